// Another email address: ask for it, then type in the code that was mailed there.

import { showMeant } from "./address.js";
import { clearProblems, onSubmit } from "./form.js";
import { MAIL, followMail } from "./mail.js";
import { element, fill, reveal, say, showProblem, time } from "./page.js";
import { callSignedIn, withSession } from "./session.js";

/**
 * @typedef {object} Change a change that waits for its code
 * @property {string} email masked
 * @property {import("./mail.js").Mail} mail
 * @property {number} tries_left
 * @property {string} expires_at
 */
/** @typedef {{ email: string | null, undeliverable_since?: string, change?: Change }} Email */

/** What to do when the mail with the code does not arrive. */
const UNSENT = /** @type {Partial<Record<import("./mail.js").Mail, string>>} */ ({
  bounced: say("say.email.bounced"),
  complained: say("say.email.bounced"),
  failed: say("say.email.failed"),
});

const askForm = element("ask", HTMLFormElement);
const codeForm = element("confirm", HTMLFormElement);
const email = element("email", HTMLInputElement);
const code = element("code", HTMLInputElement);
const current = element("current_password", HTMLInputElement);
const state = element("mail", HTMLElement);

let loaded = false;

withSession(element("session", HTMLElement), async (session) => {
  element("username", HTMLInputElement).value = session.account ?? "";
  // Within five minutes of a sign-in by card it may be left out, and only the server knows whether it still may.
  const byCard = session.amr.includes("sc");
  current.required = !byCard;
  element("current_password-hint", HTMLElement).hidden = !byCard;
  if (loaded) return;
  loaded = true;
  try {
    const { change } = await load();
    if (change) waitFor(change);
    else askForm.hidden = false;
  } catch (error) {
    showProblem(element("problem", HTMLElement), error);
  }
});

/**
 * Asks for the account's address, and shows it.
 * @returns {Promise<Email>}
 */
async function load() {
  /** @type {Email} */
  const answer = await callSignedIn("GET", "/v1/account/email");
  const since = answer.undeliverable_since;
  fill("address", answer.email ?? undefined);
  fill("undeliverable", since === undefined ? undefined : time(since));
  return answer;
}

/** The change that the page shows. @type {Change | undefined} */
let waiting;

/**
 * Shows the form for the code, and follows its mail.
 * @param {Change} change
 */
function waitFor(change) {
  waiting = change;
  fill("sent-to", change.email);
  fill("until", time(change.expires_at));
  codeForm.reset();
  clearProblems(codeForm);
  showMail(change);
  askForm.hidden = true;
  codeForm.hidden = false;
  followMail(async () => {
    if (waiting !== change) return undefined;
    /** @type {Email} */
    const { change: now } = await callSignedIn("GET", "/v1/account/email");
    if (waiting !== change || !now) return undefined;
    showMail(now);
    return now.mail;
  });
}

/** @param {Change} change */
function showMail({ mail }) {
  if (state.dataset.mail === mail) return;
  state.dataset.mail = mail;
  state.textContent = MAIL[mail];
  const advice = UNSENT[mail];
  const unsent = element("unsent", HTMLElement);
  unsent.textContent = advice ?? "";
  unsent.hidden = advice === undefined;
}

showMeant(email);
onSubmit(askForm, async ({ current_password, ...values }) => {
  /** @type {Change} */
  const change = await callSignedIn("PUT", "/v1/account/email", current_password ? { current_password, ...values } : values);
  current.value = "";
  waitFor(change);
  code.focus();
});

onSubmit(codeForm, async (values) => {
  await callSignedIn("POST", "/v1/account/email/confirmation", values);
  waiting = undefined;
  codeForm.hidden = true;
  askForm.reset();
  reveal(element("changed", HTMLElement));
  await load();
}, {
  refused: (problem) => {
    // It may have been used elsewhere, or before an answer was lost: what the page shows is what is so now.
    if (problem.code === "email_code_void") load().catch(() => {});
    return false;
  },
});

element("again", HTMLButtonElement).addEventListener("click", () => {
  if (codeForm.getAttribute("aria-busy") === "true") return;
  waiting = undefined;
  codeForm.hidden = true;
  askForm.hidden = false;
  email.focus();
});
