// Ticks the rules of a new password off while it is typed.

import { element, say } from "./page.js";
import { breaks } from "./rules.js";

/** For how long a person must have stopped typing before a screen reader is told. */
const PAUSE_MS = 1_200;

/**
 * Ticks the rules off while a password is typed, and says how many are left when the person pauses.
 * @param {HTMLInputElement} password
 * @param {() => (string | undefined)[]} names
 */
export function tellRules(password, names) {
  /** @type {import("./rules.js").Rule[]} */
  const rules = JSON.parse(document.getElementById("password-policy")?.textContent ?? "[]");
  const told = element("rules-told", HTMLElement);
  /** @type {number | undefined} */
  let pause;
  /** @param {boolean} finished whether the person has left the field */
  const tell = (finished) => {
    const typed = password.value;
    let left = 0;
    for (const rule of rules) {
      const line = document.querySelector(`[data-rule="${rule.code}"]`);
      const broken = breaks(rule, typed, names());
      if (!(line instanceof HTMLElement) || broken === undefined) continue;
      if (broken) left += 1;
      const state = typed === "" ? "" : broken ? (finished || rule.code === "forbidden_character" ? "wrong" : "broken") : "kept";
      line.dataset.state = state;
      const word = line.querySelector(".visually-hidden");
      if (word) word.textContent = state === "" ? "" : broken ? say("say.rule.broken") : say("say.rule.kept");
    }
    clearTimeout(pause);
    if (typed === "") return;
    pause = setTimeout(() => {
      told.textContent = left === 0 ? say("say.rules.kept") : say("say.rules.left", { count: String(left) });
    }, PAUSE_MS);
  };
  password.addEventListener("input", () => tell(false));
  password.addEventListener("change", () => tell(true));
  password.form?.addEventListener("reset", () => setTimeout(() => tell(false)));
  for (const other of password.form?.querySelectorAll("input") ?? []) {
    if (other !== password && other.type !== "checkbox" && other.type !== "password") {
      other.addEventListener("input", () => tell(false));
    }
  }
}
