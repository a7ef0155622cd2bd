// Search an employee, confirm, reset, and follow the mail; for the helpdesk, the employee's cards.

import { meantAddress, showMeant } from "./address.js";
import { loadCards, nameOf } from "./bound-cards.js";
import { clearProblems, onSubmit } from "./form.js";
import { MAIL, followMail, isFinal } from "./mail.js";
import { ask, asProblem, describe, element, fill, fromTemplate, pressed, problemOf, reveal, say, time, toHome, within } from "./page.js";
import { callSignedIn, mayAuthorize, mayReset, withSession } from "./session.js";

/**
 * @typedef {object} Employee
 * @property {string} person_id names the person in addresses
 * @property {string} name
 * @property {string} agency
 * @property {string} agency_name
 * @property {"in_service" | "departed"} status
 * @property {"none" | "initial_password" | "active" | "locked"} account_state
 * @property {string} [email] masked
 * @property {string} [email_undeliverable_since] since when mail to it comes back
 * @property {boolean} may_reset
 * @property {string} [why_not] the code of the problem that a reset would meet
 */

/** @typedef {import("./mail.js").Mail} Mail */
/**
 * @typedef {object} Reset
 * @property {string} reset_id
 * @property {Mail} mail
 * @property {"permanent" | "transient"} [bounce]
 * @property {boolean} [resendable] whether the same password may be mailed once more
 * @property {string} created_at
 * @property {string} expires_at
 * @property {boolean} [superseded] whether a later one of the same person is known
 */

const STATUS = {
  in_service: say("say.status.in_service"),
  departed: say("say.status.departed"),
};
const ACCOUNT = {
  none: say("say.account.none"),
  initial_password: say("say.account.initial_password"),
  active: say("say.account.active"),
  locked: say("say.account.locked"),
};
const MAIL_DETAIL = {
  queued: say("say.mail-detail.queued"),
  sent: say("say.mail-detail.sent"),
  delivered: say("say.mail-detail.delivered"),
  bounced: say("say.mail-detail.bounced"),
  complained: say("say.mail-detail.complained"),
  failed: say("say.mail-detail.failed"),
};
const FULL = say("say.mail-detail.full");

/** How many of the latest resets are listed, how often to look where their mails are, and for how long. */
const RECENT = 20;
const RECENT_MS = 10_000;
const RECENT_LOOKS = 60;

const searchForm = element("search", HTMLFormElement);
const nationalId = element("national_id", HTMLInputElement);
const whose = element("whose", HTMLElement);
const employeePart = element("employee", HTMLElement);
const resetForm = element("reset", HTMLFormElement);
const reason = element("reason", HTMLTextAreaElement);
const emailConfirmed = element("email-confirmed", HTMLInputElement);
const emailConfirmedField = element("email-confirmed-field", HTMLElement);
const confirmation = element("confirm", HTMLDialogElement);
const donePart = element("done", HTMLElement);
const cardsPart = element("cards", HTMLElement);
const unbindDialog = element("unbind", HTMLDialogElement);
const unbindForm = element("unbind-form", HTMLFormElement);
const unbound = element("unbound", HTMLElement);

/** @typedef {{ nationalId: string, name: string }} Found */

/** Whom the page shows, with the national ID that found them. @type {Found | undefined} */
let found;

/** The card in the dialog, and whose it is. @type {{ person: Found, cardId: string } | undefined} */
let unbinding;

/** Whether the helpdesk is signed in, which alone sees cards. */
let helpdesk = false;

withSession(element("desk", HTMLElement), (session) => {
  if (!mayReset(session)) {
    toHome();
    return;
  }
  fill("who", session.subject === "agency" ? session.agency_name : `${session.agency_name} ${session.name}`);
  helpdesk = session.roles.includes("helpdesk");
  element("reason-field", HTMLElement).hidden = !helpdesk;
  reason.required = helpdesk;
  element("by-file", HTMLElement).hidden = !mayAuthorize(session);
  if (!looking) lookAtRecent();
  looking = true;
});

/** Whether the latest resets are being looked at. */
let looking = false;

/** What shows a reset, for those that the page lists, by id. @type {Map<string, (reset: Reset) => void>} */
const listed = new Map();

/** Lists the latest resets of the agency, or the helpdesk's own, and keeps them as they are until their mails are. */
async function lookAtRecent() {
  const recent = element("recent", HTMLElement);
  const problem = recent.querySelector(".problem");
  const none = recent.querySelector(".none");
  if (!(problem instanceof HTMLElement) || !(none instanceof HTMLElement)) throw new Error("no #recent");
  for (let looked = 0; looked < RECENT_LOOKS; looked += 1) {
    try {
      /** @type {{ resets: (Reset & { name?: string, person_id: string })[] }} */
      const { resets } = await callSignedIn("GET", `/v1/hr/password-resets?limit=${RECENT}${helpdesk ? "&mine=true" : ""}`);
      // The newest comes first, and of each person's only that one counts.
      const newest = new Map([...resets].reverse().map((reset) => [reset.person_id, reset.reset_id]));
      for (const reset of [...resets].reverse()) {
        const now = { ...reset, superseded: newest.get(reset.person_id) !== reset.reset_id };
        const show = listed.get(reset.reset_id);
        if (show) show(now);
        else listReset("recent-resets", reset.name ?? "", now);
      }
      problem.hidden = true;
      none.hidden = listed.size > 0;
      recent.hidden = false;
      if (resets.every((reset) => isFinal(reset.mail))) return;
    } catch (error) {
      describe(problem, asProblem(error));
      recent.hidden = false;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, RECENT_MS));
  }
}

onSubmit(searchForm, async ({ national_id = "" }) => {
  employeePart.hidden = true;
  whose.hidden = true;
  found = undefined;
  /** @type {Employee} */
  const employee = await callSignedIn("POST", "/v1/hr/employees/search", { national_id });
  const person = { nationalId: national_id, name: employee.name };
  found = person;
  fill("employee-name", employee.name);
  fill("employee-agency", employee.agency_name);
  fill("employee-status", STATUS[employee.status]);
  fill("employee-account", ACCOUNT[employee.account_state]);
  fill("employee-email", employee.email);
  const since = employee.email_undeliverable_since;
  fill("employee-undeliverable", since === undefined ? undefined : time(since));
  emailConfirmedField.hidden = true;
  const whyNot = element("why-not", HTMLElement);
  whyNot.hidden = true;
  if (employee.why_not) describe(whyNot, problemOf(employee.why_not));
  resetForm.reset();
  clearProblems(resetForm);
  resetForm.hidden = !employee.may_reset;
  unbound.hidden = true;
  if (helpdesk) showCards(person);
  reveal(employeePart);
});

/**
 * Shows an employee's cards.
 * @param {Found} person
 */
function showCards(person) {
  const load = () => callSignedIn("POST", "/v1/hr/employees/cards", { national_id: person.nationalId });
  return loadCards(cardsPart, load, (card) => {
    unbinding = { person, cardId: card.card_id };
    unbound.hidden = true;
    fill("unbind-person", person.name);
    fill("unbind-card", nameOf(card));
    unbindForm.reset();
    clearProblems(unbindForm);
    unbindDialog.showModal();
  });
}

onSubmit(unbindForm, async ({ reason: why = "" }) => {
  if (!unbinding) return;
  const { person, cardId } = unbinding;
  await callSignedIn("POST", "/v1/hr/employees/cards/unbind", {
    national_id: person.nationalId,
    card_id: cardId,
    reason: why,
  });
  unbindDialog.close();
  if (found !== person) return;
  await showCards(person);
  reveal(unbound);
});

/** Closes the dialog, but not while an answer is on its way that belongs in it. @param {Event} event */
function closeUnbinding(event) {
  event.preventDefault();
  if (unbindForm.getAttribute("aria-busy") !== "true") unbindDialog.close();
}
unbindDialog.addEventListener("cancel", closeUnbinding);
element("unbind-cancel", HTMLButtonElement).addEventListener("click", closeUnbinding);

/** The request that was sent last and not answered with a reset, and its key. @type {{ request: string, key: string } | undefined} */
let asked;

/**
 * The key of a request: the same when it is sent again, because no answer was heard, so that nobody is reset twice.
 * @param {string} request
 */
function keyOf(request) {
  if (asked?.request !== request) asked = { request, key: crypto.randomUUID() };
  return asked.key;
}

/**
 * Asks to confirm, as the manual does.
 * @param {Record<string, string>} values
 * @returns {Promise<boolean>}
 */
function confirmed({ email }) {
  fill("confirm-person", found?.name);
  fill("confirm-email", email === undefined ? undefined : meantAddress(email));
  return ask(confirmation);
}

showMeant(element("email", HTMLInputElement));
onSubmit(resetForm, async ({ email = "", reason: why = "" }) => {
  const person = found;
  if (!person) return;
  const request = {
    national_id: person.nationalId,
    email: meantAddress(email),
    ...(reason.required ? { reason: why } : {}),
    ...(emailConfirmed.checked ? { email_confirmed: true } : {}),
  };
  const key = { "Idempotency-Key": `"${keyOf(JSON.stringify(request))}"` };
  /** @type {Reset} */
  const reset = await callSignedIn("POST", "/v1/hr/employees/password-reset", request, key);
  asked = undefined;
  employeePart.hidden = true;
  searchForm.reset();
  const shown = listReset("resets", person.name, reset, person);
  reveal(donePart);
  follow(reset, shown);
}, {
  confirm: confirmed,
  refused: (problem) => {
    // Mail to it came back: whoever knows better says so, and tries again.
    if (problem.code === "email_undeliverable") emailConfirmedField.hidden = false;
    return false;
  },
});

/**
 * Looks an employee up once more, whose mail did not arrive. Of a reset that was only listed nobody has typed the national ID.
 * @param {string} name
 * @param {Found} [person]
 */
function searchAgain(name, person) {
  nationalId.value = person?.nationalId ?? "";
  if (person) {
    searchForm.requestSubmit();
    return;
  }
  whose.textContent = say("say.hr.whose", { name });
  whose.hidden = false;
  nationalId.focus();
}

/**
 * Adds a reset to a list of the page.
 * @param {"resets" | "recent-resets"} place
 * @param {string} name
 * @param {Reset} reset
 * @param {Found} [person] where this page has reset them
 * @returns {(reset: Reset) => void} shows the mail's state
 */
function listReset(place, name, reset, person) {
  const item = fromTemplate("done-reset");
  const state = within(item, "[data-mail]");
  const detail = within(item, "[data-mail-detail]");
  within(item, "[data-name]").textContent = name;
  const until = within(item, "[data-until]");
  const made = time(reset.created_at);
  until.textContent = say("say.initial-until", { made, time: time(reset.expires_at) });
  const again = within(item, "[data-again]");
  const correct = within(item, "[data-correct]");
  correct.addEventListener("click", () => searchAgain(name, person));
  /** @param {Reset} now */
  const show = ({ mail, bounce, resendable, superseded }) => {
    // While it is on its way there is nothing to send again.
    again.hidden = !resendable || mail === "queued";
    correct.hidden = superseded === true || resendable === true || !["bounced", "failed"].includes(mail);
    if (state.dataset.mail === mail) return;
    state.dataset.mail = mail;
    state.textContent = MAIL[mail];
    detail.textContent = mail === "bounced" && bounce === "transient" ? FULL : MAIL_DETAIL[mail];
    // What nobody received is good for nothing any more.
    if (mail === "bounced" && bounce !== "transient") until.textContent = say("say.initial-void", { made });
  };
  const problem = within(item, "[data-problem]");
  element(place, HTMLUListElement).prepend(item);
  again.addEventListener("click", () => pressed(again, problem, async () => {
    /** @type {Reset} */
    const now = await callSignedIn("POST", `/v1/hr/password-resets/${encodeURIComponent(reset.reset_id)}/resend`);
    show(now);
    follow(now, show);
  }));
  show(reset);
  listed.set(reset.reset_id, show);
  return show;
}

/**
 * Asks about a reset's mail until its state is final.
 * @param {Reset} reset
 * @param {(reset: Reset) => void} show
 */
function follow(reset, show) {
  return followMail(async () => {
    /** @type {Reset} */
    const now = await callSignedIn("GET", `/v1/hr/password-resets/${encodeURIComponent(reset.reset_id)}`);
    show(now);
    return now.mail;
  });
}
