// What every page needs: its language, its texts, notices that cross pages, and showing what went wrong.

import { Problem } from "./api.js";

/** @type {Readonly<Record<string, string>>} */
const texts = JSON.parse(document.getElementById("texts")?.textContent ?? "{}");

/** The page's language, as the server chose it. */
const language = document.documentElement.lang;

/** Where a tab keeps what must outlive a page. Nothing in it outlives the tab. */
const NOTICE = "notice";
const SIGNED_IN = "signed-in";
const ACTIVATED = "activated";
const NEXT = "next";

/**
 * A text in the page's language.
 * @param {string} key
 * @param {Record<string, string>} [values] what stands in the text's braces
 */
export function say(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/**
 * A moment as a person reads it: the time of day, and the date when it is not today.
 * @param {string | number} moment RFC 3339, or milliseconds
 * @param {boolean} [seconds] whether they matter
 */
export function time(moment, seconds = false) {
  const then = new Date(moment);
  const today = then.toDateString() === new Date().toDateString();
  const timeStyle = seconds ? "medium" : "short";
  return then.toLocaleString(language, today ? { timeStyle } : { dateStyle: "medium", timeStyle });
}

/**
 * An element that the page is known to have.
 * @template {typeof HTMLElement} T
 * @param {string} id
 * @param {T} kind
 * @returns {InstanceType<T>}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`no #${id}`);
  return /** @type {InstanceType<T>} */ (found);
}

/**
 * A part of a part of the page.
 * @param {HTMLElement} place
 * @param {string} selector
 * @returns {HTMLElement}
 */
export function within(place, selector) {
  const found = place.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`no ${selector}`);
  return found;
}

/**
 * An element made anew from the template with that id, which has one.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function fromTemplate(id) {
  const { content } = element(id, HTMLTemplateElement);
  const made = /** @type {DocumentFragment} */ (content.cloneNode(true)).firstElementChild;
  if (!(made instanceof HTMLElement)) throw new Error(`nothing in #${id}`);
  return made;
}

/**
 * Fills an element with text, or hides it and its label when there is none.
 * @param {string} id
 * @param {string | undefined} text
 */
export function fill(id, text) {
  element(id, HTMLElement).textContent = text ?? "";
  const row = document.querySelector(`[data-of="${id}"]`);
  if (row instanceof HTMLElement) row.hidden = !text;
}

/**
 * Shows who is asked, and moves the focus there. An organization certificate's name is its agency's.
 * @param {string} title
 * @param {{ name: string, agency_name: string }} who
 */
export function revealQuestion(title, { name, agency_name: agency }) {
  fill("ask-title", title);
  fill("name", name);
  fill("agency", agency === name ? undefined : agency);
  reveal(element("ask", HTMLElement));
}

/**
 * Shows a hidden part of the page and moves the focus to it.
 * @param {HTMLElement} part
 */
export function reveal(part) {
  part.hidden = false;
  part.focus();
}

/** How soon after a click in a dialog another one is the second of a double click, in milliseconds. */
const DOUBLE_CLICK_MS = 500;

/** When a dialog was clicked last, by a pointer. */
let clicked = -Infinity;

// The second click of a double one is not meant for what the dialog has uncovered. The keyboard's have no count.
document.addEventListener("click", (event) => {
  if (event.detail === 0) return;
  if (event.target instanceof Element && event.target.closest("dialog")) {
    clicked = event.timeStamp;
  } else if (event.timeStamp - clicked < DOUBLE_CLICK_MS) {
    event.preventDefault();
    event.stopPropagation();
  }
}, { capture: true });

/**
 * Asks the person to confirm, in a dialog whose button with the value `confirmed` does so.
 * @param {HTMLDialogElement} dialog
 * @returns {Promise<boolean>}
 */
export function ask(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "confirmed"), { once: true });
  });
}

/**
 * Does what the press of a button asks for, unless that is being done already, and shows what went wrong.
 * @param {HTMLElement} button
 * @param {HTMLElement} problem
 * @param {() => Promise<void>} act
 */
export async function pressed(button, problem, act) {
  if (button.getAttribute("aria-disabled") === "true") return;
  // Not `disabled`, which would take the focus away.
  button.setAttribute("aria-disabled", "true");
  problem.hidden = true;
  try {
    await act();
  } catch (error) {
    showProblem(problem, error);
  }
  button.setAttribute("aria-disabled", "false");
}

/**
 * Goes to another page. Never resolves, so that whoever awaits it stays pending until the page is gone.
 * @param {string} address
 * @returns {Promise<never>}
 */
export function leave(address) {
  location.assign(address);
  return new Promise(() => {});
}

/**
 * Goes to another page, in this one's place in the history.
 * @param {string} address
 * @returns {Promise<never>}
 */
export function giveWay(address) {
  location.replace(address);
  return new Promise(() => {});
}

/**
 * Goes to the sign-in page, which then says why.
 * @param {"session-ended" | "signed-out" | "sign-in-first" | "card-first"} notice
 */
export function toSignIn(notice) {
  sessionStorage.removeItem(SIGNED_IN);
  sessionStorage.setItem(NOTICE, notice);
  return giveWay("/");
}

/** The notice left by the page before, once. */
export function takeNotice() {
  const notice = sessionStorage.getItem(NOTICE);
  sessionStorage.removeItem(NOTICE);
  return notice;
}

/**
 * Where to go once somebody is signed in, in place of the signed-in page.
 * @param {string} path a page of this site
 */
export function comeBackTo(path) {
  sessionStorage.setItem(NEXT, path);
}

/** Goes to the signed-in page, or to where the person came from. */
export function toHome() {
  sessionStorage.setItem(SIGNED_IN, "yes");
  const next = sessionStorage.getItem(NEXT) ?? "/home";
  sessionStorage.removeItem(NEXT);
  return giveWay(next);
}

/** Keeps in mind that this tab's person has just activated their account, and is to sign in again. */
export function noteActivated() {
  sessionStorage.setItem(ACTIVATED, "yes");
}

/** Whether that is so, once. */
export function takeActivated() {
  const activated = sessionStorage.getItem(ACTIVATED) !== null;
  sessionStorage.removeItem(ACTIVATED);
  return activated;
}

/** Whether this tab was signed in when it last asked. A hint: only the server knows. */
export function mayBeSignedIn() {
  return sessionStorage.getItem(SIGNED_IN) !== null;
}

/**
 * A problem as the page shows it: title, detail, the rules that were broken, and what to quote to the helpdesk.
 * @param {HTMLElement} place
 * @param {Problem} problem
 */
export function describe(place, problem) {
  /** @type {(name: string, text: string) => HTMLElement} */
  const paragraph = (name, text) => {
    const made = document.createElement("p");
    made.className = name;
    made.textContent = text;
    return made;
  };
  const parts = [paragraph("problem-title", problem.title)];
  if (problem.detail) parts.push(paragraph("problem-detail", problem.detail));
  if (problem.rules.length > 0) {
    const list = document.createElement("ul");
    for (const rule of problem.rules) {
      const item = document.createElement("li");
      item.textContent = rule.text;
      list.append(item);
    }
    parts.push(list);
  }
  if (problem.retryAt !== undefined) parts.push(paragraph("hint", say("say.retry-after", { time: time(problem.retryAt) })));
  if (problem.requestId) parts.push(paragraph("hint", say("say.request-id", { id: problem.requestId })));
  place.replaceChildren(...parts);
  place.hidden = false;
}

/**
 * Shows a problem and moves the focus to it.
 * @param {HTMLElement} place
 * @param {unknown} error
 */
export function showProblem(place, error) {
  describe(place, asProblem(error));
  place.focus();
}

/**
 * What went wrong, as a problem: anything but a refusal by the API reads as the service being unavailable.
 * @param {unknown} error
 * @returns {Problem}
 */
export function asProblem(error) {
  if (error instanceof Problem && error.title) return error;
  if (!(error instanceof Problem)) console.error(error);
  const unreachable = error instanceof Problem && error.code === "unreachable";
  return new Problem({
    code: unreachable ? "unreachable" : "unavailable",
    title: unreachable ? say("say.unreachable.title") : say("say.unavailable.title"),
    detail: unreachable ? say("say.unreachable.detail") : say("say.unavailable.detail"),
  });
}

/**
 * The API's own texts for its codes, on the pages that carry them.
 * @param {string} code
 * @returns {Problem}
 */
export function problemOf(code) {
  /** @type {Record<string, { title: string, detail: string }>} */
  const known = JSON.parse(document.getElementById("problems")?.textContent ?? "{}");
  return asProblem(new Problem({ code, ...(Object.hasOwn(known, code) ? known[code] : {}) }));
}

/** Tells the style sheet that the page works. The last thing that a page's script does at start. */
export function ready() {
  document.documentElement.dataset.ready = "";
}

// A page that the browser brings back from its cache may show a session that has ended.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
