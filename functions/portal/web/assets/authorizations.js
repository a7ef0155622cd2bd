// Who may reset in the agency: what waits for an answer, what counts, what was; granting, asking, answering, revoking.

import { onSubmit } from "./form.js";
import { offerNext } from "./next-page.js";
import { asProblem, ask, describe, element, fill, fromTemplate, pressed, reveal, say, showProblem, time, toHome, within } from "./page.js";
import { callSignedIn, mayAuthorize, withSession } from "./session.js";

/** @typedef {"requested" | "active" | "refused" | "withdrawn" | "revoked" | "ended" | "expired"} State */
/** @typedef {"accept" | "refuse" | "withdraw" | "revoke"} Step */
/**
 * @typedef {object} Happened
 * @property {"requested" | "granted" | "accepted" | "refused" | "withdrawn" | "revoked" | "ended"} what
 * @property {string} at
 * @property {{ kind: "person" | "agency" | "roster", name?: string }} by
 */
/**
 * @typedef {object} Authorization
 * @property {string} authorization_id
 * @property {State} state
 * @property {boolean} in_force
 * @property {string} agency where the holder may reset
 * @property {string} home_agency
 * @property {boolean} concurrent
 * @property {{ person_id: string, name?: string, agency_name?: string }} holder
 * @property {string} from the first day
 * @property {string} [until] the last day
 * @property {string} [answer_by]
 * @property {"departed" | "moved" | "role_lost" | "roster"} [ending]
 * @property {Step[]} may
 * @property {Happened[]} history
 */

const STATE = {
  requested: say("say.authorization.requested"),
  active: say("say.authorization.active"),
  refused: say("say.authorization.refused"),
  withdrawn: say("say.authorization.withdrawn"),
  revoked: say("say.authorization.revoked"),
  ended: say("say.authorization.ended"),
  expired: say("say.authorization.expired"),
};
const NOT_IN_FORCE = say("say.authorization.not-in-force");
const ENDING = {
  departed: say("say.ending.departed"),
  moved: say("say.ending.moved"),
  role_lost: say("say.ending.role_lost"),
  roster: say("say.ending.roster"),
};
const HAPPENED = {
  requested: say("say.happened.requested"),
  granted: say("say.happened.granted"),
  accepted: say("say.happened.accepted"),
  refused: say("say.happened.refused"),
  withdrawn: say("say.happened.withdrawn"),
  revoked: say("say.happened.revoked"),
  ended: say("say.happened.ended"),
};
const STEP = {
  accept: { name: say("say.step.accept"), text: say("say.step-text.accept"), done: say("say.step-done.accept") },
  refuse: { name: say("say.step.refuse"), text: say("say.step-text.refuse"), done: say("say.step-done.refuse") },
  withdraw: { name: say("say.step.withdraw"), text: say("say.step-text.withdraw"), done: say("say.step-done.withdraw") },
  revoke: { name: say("say.step.revoke"), text: say("say.step-text.revoke"), done: say("say.step-done.revoke") },
};
const BY = { agency: say("say.by.agency"), roster: say("say.by.roster"), person: say("say.by.person") };

const AT = "/v1/hr/authorizations";
const confirmation = element("confirm", HTMLDialogElement);
const grantForm = element("grant", HTMLFormElement);
const done = element("done", HTMLElement);

let loaded = false;

withSession(element("desk", HTMLElement), (session) => {
  if (!mayAuthorize(session)) {
    toHome();
    return;
  }
  const byCertificate = session.subject === "agency";
  fill("who", byCertificate ? session.agency_name : `${session.agency_name} ${session.name}`);
  // An organization certificate asks for no concurrent duty.
  for (const field of grantForm.querySelectorAll("[data-of-head]")) {
    if (field instanceof HTMLElement) field.hidden = byCertificate;
  }
  if (!loaded) showAll();
  loaded = true;
});

/** @param {Authorization} authorization */
const isConcurrent = (authorization) => authorization.concurrent;
/** @param {Authorization} authorization */
const isAnswerable = (authorization) => authorization.may.includes("accept") || authorization.may.includes("refuse");

/** Shows what is open, as it is now; what waits for this agency's answer, there alone. */
async function showAll() {
  await Promise.all([
    show("waiting", ["side=target&state=requested&limit=100", "side=home&state=requested&limit=100"], isAnswerable),
    show("here", ["side=target"], (authorization) => !isAnswerable(authorization)),
    show("elsewhere", ["side=home"], (authorization) => isConcurrent(authorization) && !isAnswerable(authorization)),
  ]);
}

element("show-history", HTMLButtonElement).addEventListener("click", () => show("history", ["side=target&state=closed"]));

/**
 * Shows lists in a part of the page, the first page of each.
 * @param {string} name the part's id
 * @param {string[]} queries
 * @param {(authorization: Authorization) => boolean} [takes]
 */
async function show(name, queries, takes = () => true) {
  const part = element(name, HTMLElement);
  const list = within(part, "ul");
  const pending = within(part, ".pending");
  const problem = within(part, ".problem");
  const none = within(part, ".none");
  const more = part.querySelector("[data-more]");
  pending.textContent = say("say.loading");
  problem.hidden = true;
  none.hidden = true;
  try {
    const pages = await Promise.all(queries.map((query) => callSignedIn("GET", `${AT}?${query}`)));
    list.replaceChildren(...pages.flatMap((page) => page.authorizations).filter(takes).map(item));
    none.hidden = list.children.length > 0;
    if (more instanceof HTMLButtonElement) {
      offerNext(more, list, pages[0].next_cursor, async (cursor) => {
        const page = await callSignedIn("GET", `${AT}?${queries[0] ?? ""}&cursor=${encodeURIComponent(cursor)}`);
        return { items: page.authorizations.filter(takes).map(item), next: page.next_cursor };
      }, (error) => showProblem(problem, error));
    }
  } catch (error) {
    describe(problem, asProblem(error));
  }
  pending.textContent = "";
}

/**
 * An authorization, with the steps that may be taken.
 * @param {Authorization} authorization
 * @returns {HTMLElement}
 */
function item(authorization) {
  const made = fromTemplate("authorization");
  made.tabIndex = -1;
  const { state, ending, holder, from, until, may, history } = authorization;
  const waits = state === "active" && !authorization.in_force;
  within(made, "[data-name]").textContent = holder.name ?? "";
  within(made, "[data-state]").textContent = ending ? `${STATE[state]} (${ENDING[ending]})` : waits ? NOT_IN_FORCE : STATE[state];
  within(made, "[data-where]").textContent = authorization.agency;
  within(made, "[data-home]").textContent = holder.agency_name ?? authorization.home_agency;
  within(made, "[data-term]").textContent =
    until ? say("say.term.until", { from, until }) : say("say.term.open", { from });
  within(made, "[data-history]").replaceChildren(...history.map((event) => {
    const line = document.createElement("li");
    const who = event.by.name ?? BY[event.by.kind];
    line.textContent = say("say.happened.line", { time: time(event.at), what: HAPPENED[event.what], who });
    return line;
  }));
  within(made, "[data-steps]").replaceChildren(...may.flatMap((step) => [button(made, authorization, step), " "]));
  return made;
}

/**
 * The button of a step, which asks first.
 * @param {HTMLElement} place
 * @param {Authorization} authorization
 * @param {Step} step
 */
function button(place, authorization, step) {
  const { authorization_id: id, holder, agency } = authorization;
  const { name, text, done: said } = STEP[step];
  const made = document.createElement("button");
  made.type = "button";
  if (step !== "accept") made.className = "quiet";
  made.textContent = name;
  made.setAttribute("aria-label", say("say.step.of", { step: name, name: holder.name ?? "" }));
  made.addEventListener("click", () => pressed(made, within(place, "[data-problem]"), async () => {
    fill("confirm-title", name);
    fill("confirm-person", holder.name);
    fill("confirm-where", agency);
    fill("confirm-text", text);
    if (!await ask(confirmation)) {
      made.focus();
      return;
    }
    done.hidden = true;
    const at = `${AT}/${encodeURIComponent(id)}`;
    if (step === "revoke") await callSignedIn("DELETE", at);
    else await callSignedIn("POST", `${at}/${step}`);
    await showAll();
    tell(said);
  }));
  return made;
}

/** The id of what the form asks for: it stays until that is done, so that asking again asks for nothing more. */
let asking = crypto.randomUUID();
grantForm.addEventListener("input", () => {
  asking = crypto.randomUUID();
});

onSubmit(grantForm, async (values) => {
  done.hidden = true;
  const body = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
  /** @type {Authorization} */
  const made = await callSignedIn("PUT", `${AT}/${asking}`, body);
  asking = crypto.randomUUID();
  grantForm.reset();
  await showAll();
  tell(made.state === "requested" ? say("say.authorized.requested") : say("say.authorized.granted"));
});

/** @param {string} text */
function tell(text) {
  done.textContent = text;
  reveal(done);
}
