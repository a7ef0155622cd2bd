// Who is signed in, for the pages that only they may see; how long for; and signing out.

import { Problem, call, serverNow } from "./api.js";
import { comeBackTo, element, fill, ready, say, showProblem, time, toSignIn } from "./page.js";

/**
 * @typedef {object} Session
 * @property {"person" | "agency"} subject
 * @property {string} name
 * @property {string} [account]
 * @property {string} agency
 * @property {string} agency_name
 * @property {string[]} roles
 * @property {string[]} amr
 * @property {string} expires_at
 */

/** How long before its end a person is asked whether to go on. */
const WARN_MS = 120_000;

/** How long after a session's end to ask whether it has ended. Asking before would renew it. */
const AFTER_MS = 5_000;

/** What this browser's other tabs are told: that the session was renewed, or that it is over. */
const tabs = new BroadcastChannel("session");

/** When the session ends unless something is asked in it, by the server's clock; and how long it lasts from each call on. */
let end = 0;
let lasts = 0;

/** @type {number | undefined} */
let timer;

/** @type {{ part: HTMLElement, show: (session: Session) => void } | undefined} */
let shown;

/**
 * Shows a signed-in page once it is known who is signed in, and leaves it when the session ends.
 * @param {HTMLElement} part what to show
 * @param {(session: Session) => void} show called again whenever the session is asked for again
 */
export async function withSession(part, show) {
  shown = { part, show };
  ready();
  await ask();
}

/** Asks who is signed in, which also renews the session. */
async function ask() {
  const progress = element("progress", HTMLElement);
  try {
    /** @type {Session} */
    const session = await call("GET", "/v1/session");
    shown?.show(session);
    fill("session-name", session.subject === "agency" ? session.agency_name : session.name);
    // An organization certificate has no account.
    element("session-account", HTMLElement).hidden = session.subject === "agency";
    element("session-bar", HTMLElement).hidden = false;
    progress.hidden = true;
    if (shown) shown.part.hidden = false;
    const until = new Date(session.expires_at).getTime();
    lasts = Math.max(until - serverNow(), 0);
    lastsUntil(until);
    tabs.postMessage({ end: until });
  } catch (error) {
    if (hasEnded(error)) {
      await toSignIn("session-ended");
    }
    progress.hidden = true;
    showProblem(element("problem", HTMLElement), error);
  }
}

/** @param {number} until by the server's clock */
function lastsUntil(until) {
  end = until;
  dialog?.close();
  watch();
}

/** Does what is due: warns, or asks whether the session has ended; and looks again when the next is. */
function watch() {
  clearTimeout(timer);
  const left = end - serverNow();
  // A session that lasts shorter than usual is half over when its end is told.
  const warn = Math.min(WARN_MS, lasts / 2);
  if (left <= -AFTER_MS) {
    ask();
  } else if (left <= warn) {
    if (left > 0) warnOfEnd();
    timer = setTimeout(watch, left + AFTER_MS);
  } else {
    timer = setTimeout(watch, left - warn);
  }
}

/** @type {HTMLDialogElement | undefined} */
let dialog;

/** Says that the session is about to end, and how to stay. */
function warnOfEnd() {
  if (dialog?.open) return;
  dialog ??= makeDialog();
  const text = dialog.querySelector("p");
  if (text) text.textContent = say("say.ending.text", { time: time(Date.now() + (end - serverNow()), true) });
  dialog.showModal();
}

function makeDialog() {
  const made = document.createElement("dialog");
  made.setAttribute("role", "alertdialog");
  made.setAttribute("aria-labelledby", "ending-title");
  made.setAttribute("aria-describedby", "ending-text");
  const title = document.createElement("h2");
  title.id = "ending-title";
  title.textContent = say("say.ending.title");
  const text = document.createElement("p");
  text.id = "ending-text";
  const actions = document.createElement("p");
  actions.className = "actions";
  const stay = button(say("say.ending.stay"), "", () => made.close());
  stay.autofocus = true;
  actions.append(stay, " ", button(say("say.ending.leave"), "quiet", signOut));
  made.append(title, text, actions);
  // Closed by the person, also with Escape: somebody is here.
  made.addEventListener("close", () => {
    if (end - serverNow() <= Math.min(WARN_MS, lasts / 2)) ask();
  });
  document.body.append(made);
  return made;
}

/**
 * @param {string} text
 * @param {string} kind
 * @param {() => void} act
 */
function button(text, kind, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = kind;
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}

let signingOut = false;

/** Signs out, and goes to the sign-in page. */
export async function signOut() {
  if (signingOut) return;
  signingOut = true;
  const button = element("sign-out", HTMLButtonElement);
  button.setAttribute("aria-disabled", "true");
  try {
    await call("DELETE", "/v1/session");
    tabs.postMessage({ signedOut: true });
    await toSignIn("signed-out");
  } catch (error) {
    if (hasEnded(error)) await toSignIn("signed-out");
    signingOut = false;
    button.setAttribute("aria-disabled", "false");
    dialog?.close();
    showProblem(element("problem", HTMLElement), error);
  }
}

element("sign-out", HTMLButtonElement).addEventListener("click", signOut);

tabs.addEventListener("message", ({ data }) => {
  if (data?.signedOut) toSignIn("signed-out");
  else if (typeof data?.end === "number" && data.end > end && lasts > 0) lastsUntil(data.end);
});

// Timers stand still while the computer sleeps.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && lasts > 0) watch();
});

/**
 * Whether a refusal says that nobody is signed in any more.
 * @param {unknown} error
 */
export function hasEnded(error) {
  return error instanceof Problem && error.code === "session_required";
}

/**
 * Calls the API for a signed-in page; when the session has ended, or a recent sign-in by card is needed, goes to the sign-in
 * page and never resolves.
 * @param {"GET" | "POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {object} [body]
 * @param {Record<string, string>} [headers]
 */
export async function callSignedIn(method, path, body, headers) {
  try {
    const answer = await call(method, path, body, headers);
    if (lasts > 0) {
      lastsUntil(Math.max(end, serverNow() + lasts));
      tabs.postMessage({ end });
    }
    return answer;
  } catch (error) {
    if (hasEnded(error)) return toSignIn("session-ended");
    if (error instanceof Problem && error.code === "step_up_required") {
      comeBackTo(location.pathname);
      return toSignIn("card-first");
    }
    throw error;
  }
}

/**
 * Whether this session may look for employees and reset their passwords. Only the server decides; this decides
 * whether to show the way.
 * @param {Session} session
 */
export function mayReset(session) {
  return session.subject === "agency" || session.roles.length > 0;
}

/**
 * Whether this session may say who resets in its agency. Only the server decides; this decides whether to show the way.
 * @param {Session} session
 */
export function mayAuthorize(session) {
  return session.subject === "agency" || session.roles.includes("hr_head");
}

/**
 * Whether this session may read the audit trail. Only the server decides; this decides whether to show the way.
 * @param {Session} session
 */
export function mayReadAudit(session) {
  return mayAuthorize(session) || session.roles.includes("helpdesk");
}
