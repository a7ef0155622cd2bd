// The audit trail: who did what to whom, in the agency or to one person, newest first.

import { ACTION, OUTCOME } from "./action.js";
import { onSubmit } from "./form.js";
import { offerNext } from "./next-page.js";
import { element, fill, fromTemplate, problemOf, reveal, say, showProblem, time, toHome, within } from "./page.js";
import { callSignedIn, mayReadAudit, withSession } from "./session.js";

/** @typedef {"person" | "agency" | "agency_code" | "card" | "certificate" | "identifier" | "system"} Kind */
/** @typedef {{ kind: Kind, id: string, name?: string }} Party */
/**
 * @typedef {object} Entry
 * @property {string} at
 * @property {string} action
 * @property {string} outcome `success`, `activation_required`, or the code of the problem
 * @property {Party} actor
 * @property {Party} subject
 * @property {string} address
 * @property {string} request_id
 * @property {string} [agency]
 * @property {string} [note]
 */

/** @type {Record<Kind, string>} */
const KIND = {
  person: say("say.party.person"),
  agency: say("say.party.agency"),
  agency_code: say("say.party.agency_code"),
  card: say("say.party.card"),
  certificate: say("say.party.certificate"),
  identifier: say("say.party.identifier"),
  system: say("say.party.system"),
};

/** A day in Taiwan is what a date means here. */
const MIDNIGHT = "T00:00:00+08:00";
const DAY_MS = 86_400_000;

const form = element("query", HTMLFormElement);
const nationalId = element("national_id", HTMLInputElement);
const trail = element("trail", HTMLElement);
const more = element("more", HTMLButtonElement);
const none = within(trail, ".none");
const problem = within(trail, ".problem");
const list = within(trail, "ol");

/** What the page shows. Counts, so that an answer that comes late is of nothing that is shown. */
let shown = 0;
let loaded = false;

withSession(element("desk", HTMLElement), (session) => {
  if (!mayReadAudit(session)) {
    toHome();
    return;
  }
  fill("who", session.subject === "agency" ? session.agency_name : `${session.agency_name} ${session.name}`);
  const agency = form.querySelector("[data-of-helpdesk]");
  if (agency instanceof HTMLElement) agency.hidden = !session.roles.includes("helpdesk");
  if (!loaded) {
    const options = Object.entries(ACTION).map(([action, text]) => new Option(text, action));
    element("action", HTMLSelectElement).append(...options);
  }
  loaded = true;
});

nationalId.addEventListener("input", () => {
  const side = form.querySelector("[data-of-person]");
  if (side instanceof HTMLElement) side.hidden = nationalId.value.trim() === "";
});

onSubmit(form, async ({ national_id = "", side = "person", agency = "", action = "", from = "", to = "" }) => {
  const query = new URLSearchParams();
  let title = say("say.audit.agency");
  if (national_id.trim() !== "") {
    // No national ID stands in an address: the search tells what names the person there.
    const person = await callSignedIn("POST", "/v1/hr/employees/search", { national_id });
    query.set(side === "actor" ? "actor" : "person", person.person_id);
    const { name } = person;
    title = side === "actor" ? say("say.audit.by", { name }) : say("say.audit.of", { name });
  } else if (agency.trim() !== "") {
    query.set("agency", agency.trim());
    title = say("say.audit.agency-of", { agency: agency.trim() });
  }
  if (action) query.set("action", action);
  if (from) query.set("from", from + MIDNIGHT);
  if (to) query.set("to", new Date(Date.parse(to + MIDNIGHT) + DAY_MS).toISOString());
  const page = await callSignedIn("GET", `/v1/hr/audit?${query}`);
  shown += 1;
  fill("trail-title", title);
  problem.hidden = true;
  list.replaceChildren(...page.entries.map(item));
  none.hidden = page.entries.length > 0;
  const of = shown;
  offerNext(more, list, page.next_cursor, async (cursor) => {
    problem.hidden = true;
    const next = await callSignedIn("GET", `/v1/hr/audit?${query}&cursor=${encodeURIComponent(cursor)}`);
    return of === shown ? { items: next.entries.map(item), next: next.next_cursor } : undefined;
  }, (error) => {
    if (of === shown) showProblem(problem, error);
  });
  reveal(trail);
});

/**
 * An entry.
 * @param {Entry} entry
 * @returns {HTMLElement}
 */
function item(entry) {
  const made = fromTemplate("entry");
  const done = OUTCOME[entry.outcome];
  const at = within(made, "[data-at]");
  at.textContent = time(entry.at, true);
  at.setAttribute("datetime", entry.at);
  within(made, "[data-action]").textContent = ACTION[entry.action] ?? entry.action;
  const outcome = within(made, "[data-outcome]");
  outcome.textContent = done ?? problemOf(entry.outcome).title;
  outcome.classList.add(done ? "good" : "bad");
  const [actor, subject] = [party(entry.actor), party(entry.subject)];
  within(made, "[data-who]").textContent =
    entry.subject.id === entry.actor.id ? say("say.audit.self", { actor }) : say("say.audit.who", { actor, subject });
  within(made, "[data-address]").textContent = entry.address;
  within(made, "[data-note]").textContent = entry.note ?? "";
  within(made, "[data-noted]").hidden = entry.note === undefined;
  within(made, "[data-request]").textContent = entry.request_id;
  return made;
}

/**
 * Who or what it is: by name where the reader may see it.
 * @param {Party} party
 */
function party({ kind, id, name }) {
  if (name) return name;
  if (kind === "system" || kind === "agency_code" || kind === "agency") return `${KIND[kind]} ${id}`;
  // Long and opaque: its beginning tells one from another.
  return `${KIND[kind]} ${id.slice(0, 8)}…`;
}
