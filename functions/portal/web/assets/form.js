// Forms: sent once at a time, kept as they are when refused, with the refusal at the field that it is about.

import { Problem } from "./api.js";
import { asProblem, describe, say } from "./page.js";

/**
 * Sends a form by `send`. While that is pending, the form can't be sent again; `leave` never ends, so a form that
 * led to another page stays pending.
 * @param {HTMLFormElement} form
 * @param {(values: Record<string, string>) => Promise<void>} send
 * @param {object} [options]
 * @param {string} [options.pending] what to say meanwhile
 * @param {(values: Record<string, string>) => Promise<boolean>} [options.confirm] asks the person first
 * @param {(problem: Problem) => boolean} [options.refused] shows a refusal elsewhere; false: it belongs in the form
 */
export function onSubmit(form, send, options = {}) {
  const button = form.querySelector("button[type=submit]");
  if (!(button instanceof HTMLButtonElement)) throw new Error("a form without a button");
  const status = form.querySelector(".pending");
  let pending = false;

  /** @param {boolean} now */
  const setPending = (now) => {
    pending = now;
    form.setAttribute("aria-busy", String(now));
    // Not `disabled`, which would take the focus away.
    button.setAttribute("aria-disabled", String(now));
    if (status) status.textContent = now ? (options.pending ?? say("say.pending")) : "";
  };

  form.noValidate = true;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (pending) return;
    clearProblems(form);
    if (!isComplete(form)) return;
    const values = valuesOf(form);
    if (options.confirm && !await options.confirm(values)) return;
    setPending(true);
    try {
      await send(values);
      setPending(false);
    } catch (error) {
      setPending(false);
      const problem = asProblem(error);
      if (!options.refused?.(problem)) showIn(form, problem);
    }
  });

  // What is being corrected is not called wrong any more.
  form.addEventListener("input", ({ target }) => {
    if (!isField(target) || !target.hasAttribute("aria-invalid")) return;
    target.removeAttribute("aria-invalid");
    const place = document.getElementById(`${target.id}-error`);
    if (place) place.hidden = true;
  });

  for (const box of form.querySelectorAll("[data-reveals]")) {
    if (box instanceof HTMLInputElement) revealBy(form, box);
  }
  button.disabled = false;
}

/**
 * Takes every refusal off a form.
 * @param {HTMLFormElement} form
 */
export function clearProblems(form) {
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
  for (const place of form.querySelectorAll(".problem, .field-error")) {
    if (place instanceof HTMLElement) place.hidden = true;
    place.replaceChildren();
  }
}

/**
 * Shows a refusal at the field that it names, else at the top of the form.
 * @param {HTMLFormElement} form
 * @param {Problem} problem
 */
export function showIn(form, problem) {
  const control = problem.field === undefined ? null : form.elements.namedItem(problem.field);
  if (isField(control) && control.type !== "hidden" && control.checkVisibility()) {
    const title = document.createElement("strong");
    title.textContent = problem.title;
    markInvalid(control, title, ["", problem.detail, ...problem.rules.map((rule) => `· ${rule.text}`)].join("\n"));
    for (const rule of problem.rules) {
      const line = form.querySelector(`[data-rule="${CSS.escape(rule.code)}"]`);
      if (line instanceof HTMLElement) line.dataset.state = "wrong";
    }
    control.focus();
    return;
  }
  const place = form.querySelector(".problem");
  if (!(place instanceof HTMLElement)) throw new Error("a form without a place for problems");
  describe(place, problem);
  place.focus();
}

/**
 * Whether every required field is filled in. One that is not gets the focus; of several there is a list, which gets it.
 * @param {HTMLFormElement} form
 */
function isComplete(form) {
  /** @type {(HTMLInputElement | HTMLTextAreaElement)[]} */
  const missing = [];
  for (const control of form.elements) {
    if (isField(control) && control.required && control.value.trim() === "") {
      markInvalid(control, say("say.required"));
      missing.push(control);
    }
  }
  if (missing.length > 1) summarize(form, missing);
  else missing[0]?.focus();
  return missing.length === 0;
}

/**
 * Lists the fields that are to be corrected at the top of a form, each as a link to it.
 * @param {HTMLFormElement} form
 * @param {(HTMLInputElement | HTMLTextAreaElement)[]} controls
 */
function summarize(form, controls) {
  const place = form.querySelector(".problem");
  if (!(place instanceof HTMLElement)) throw new Error("a form without a place for problems");
  const title = document.createElement("p");
  title.className = "problem-title";
  title.textContent = say("say.missing", { count: String(controls.length) });
  const list = document.createElement("ul");
  for (const control of controls) {
    const link = document.createElement("a");
    link.href = `#${control.id}`;
    link.textContent = control.labels?.[0]?.textContent ?? control.name;
    link.addEventListener("click", (event) => {
      event.preventDefault();
      control.focus();
    });
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  place.replaceChildren(title, list);
  place.hidden = false;
  place.focus();
}

/**
 * @param {HTMLInputElement | HTMLTextAreaElement} control
 * @param {...(string | Node)} text
 */
function markInvalid(control, ...text) {
  control.setAttribute("aria-invalid", "true");
  const place = document.getElementById(`${control.id}-error`);
  if (!place) return;
  place.replaceChildren(...text);
  place.hidden = false;
}

/**
 * @param {HTMLFormElement} form
 * @returns {Record<string, string>}
 */
function valuesOf(form) {
  /** @type {Record<string, string>} */
  const values = {};
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string") values[name] = value;
  }
  return values;
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLInputElement} box
 */
function revealBy(form, box) {
  const names = box.dataset.reveals?.split(" ") ?? [];
  box.addEventListener("change", () => {
    for (const name of names) {
      const control = form.elements.namedItem(name);
      if (control instanceof HTMLInputElement) control.type = box.checked ? "text" : "password";
    }
  });
}

/**
 * @param {unknown} control
 * @returns {control is HTMLInputElement | HTMLTextAreaElement}
 */
function isField(control) {
  return control instanceof HTMLInputElement || control instanceof HTMLTextAreaElement;
}
