// Where the person is signed in, with an end to each and one to all others; and what happened to the account lately.

import { ACTION, OUTCOME } from "./action.js";
import { onSubmit } from "./form.js";
import { asProblem, describe, element, fromTemplate, pressed, problemOf, reveal, say, time, within } from "./page.js";
import { callSignedIn, withSession } from "./session.js";

/**
 * @typedef {object} Open
 * @property {string} session_id
 * @property {boolean} current
 * @property {("sc" | "pwd")[]} amr
 * @property {"cookie" | "token"} carrier
 * @property {string} [client] what it is lent to
 * @property {string} created_at
 * @property {string} last_used_at
 */
/**
 * @typedef {object} Entry
 * @property {string} at
 * @property {string} action
 * @property {string} outcome `success`, `activation_required` or a problem's code
 * @property {"self" | "other"} by
 * @property {string} [address]
 */

const OPENED_BY = { sc: say("say.session.by-card"), pwd: say("say.session.by-password") };
const CARRIER = { cookie: say("say.session.browser"), token: say("say.session.program") };

const sessions = element("sessions", HTMLElement);
const activity = element("activity", HTMLElement);
const ended = element("ended", HTMLElement);
const endOthers = element("end-others", HTMLFormElement);

let loaded = false;

withSession(element("session", HTMLElement), (session) => {
  element("username", HTMLInputElement).value = session.account ?? "";
  // Within five minutes of a sign-in by card it may be left out, and only the server knows whether it still may.
  const byCard = session.amr.includes("sc");
  element("current_password", HTMLInputElement).required = !byCard;
  element("current_password-hint", HTMLElement).hidden = !byCard;
  if (loaded) return;
  loaded = true;
  showSessions();
  show(activity, async () => {
    /** @type {{ entries: Entry[] }} */
    const { entries } = await callSignedIn("GET", "/v1/account/activity");
    return entries.map(entryLine);
  });
});

onSubmit(endOthers, async ({ current_password }) => {
  ended.hidden = true;
  await callSignedIn("POST", "/v1/account/end-other-sessions", current_password ? { current_password } : {});
  endOthers.reset();
  await showSessions();
  reveal(ended);
});

function showSessions() {
  return show(sessions, async () => {
    /** @type {{ sessions: Open[] }} */
    const answer = await callSignedIn("GET", "/v1/account/sessions");
    endOthers.hidden = answer.sessions.length < 2;
    return answer.sessions.map(sessionLine);
  });
}

/**
 * Shows a list in a part of the page.
 * @param {HTMLElement} part
 * @param {() => Promise<HTMLElement[]>} load
 */
async function show(part, load) {
  const pending = within(part, ".pending");
  const problem = within(part, ".problem");
  pending.textContent = say("say.loading");
  problem.hidden = true;
  try {
    within(part, "ul").replaceChildren(...await load());
  } catch (error) {
    describe(problem, asProblem(error));
  }
  pending.textContent = "";
}

/** @param {Open} open */
function sessionLine(open) {
  const opened = OPENED_BY[open.amr[0] ?? "pwd"];
  const { client } = open;
  const made = line(client === undefined ? CARRIER[open.carrier] : say("say.session.client", { client }), say("say.session.detail", {
    by: opened,
    since: time(open.created_at),
    used: time(open.last_used_at),
  }));
  const end = within(made, "[data-end]");
  if (open.current) {
    const state = within(made, "[data-state]");
    state.textContent = say("say.session.current");
    state.classList.add("good");
    return made;
  }
  within(made, "[data-state]").remove();
  end.hidden = false;
  end.setAttribute("aria-label", say("say.session.end", { since: time(open.created_at) }));
  end.addEventListener("click", () => pressed(end, within(sessions, ".problem"), async () => {
    ended.hidden = true;
    await callSignedIn("DELETE", `/v1/account/sessions/${encodeURIComponent(open.session_id)}`);
    await showSessions();
    reveal(ended);
  }));
  return made;
}

/** @param {Entry} entry */
function entryLine(entry) {
  const done = OUTCOME[entry.outcome];
  const detail = [time(entry.at)];
  if (entry.by === "other") detail.push(say("say.activity.by-other"));
  if (entry.address) detail.push(say("say.activity.address", { address: entry.address }));
  const made = line(ACTION[entry.action] ?? entry.action, detail.join(" · "));
  const state = within(made, "[data-state]");
  state.textContent = done ?? problemOf(entry.outcome).title;
  state.classList.add(done === undefined ? "bad" : "good");
  return made;
}

/**
 * @param {string} what
 * @param {string} detail
 */
function line(what, detail) {
  const made = fromTemplate("line");
  within(made, "[data-what]").textContent = what;
  within(made, "[data-detail]").textContent = detail;
  return made;
}
