// The rules of a new password that can be told while it is typed. They are the server's, which gives them to the page as data
// and has the last word: what needs its dictionaries and its memory, only it can tell. `policy.json` holds this evaluation and
// the server's against the same passwords.

import { meantAddress } from "./address.js";

/**
 * @typedef {{ code: "too_short", min: number } | { code: "too_long", max: number, bytes: number }
 *   | { code: "too_few_classes", needed: number } | { code: "forbidden_character", forbidden: string }
 *   | { code: "contains_account", from: number } | { code: "used_before" } | { code: "too_common" }} Rule
 */

/**
 * Whether a password breaks a rule; nothing for a rule that only the server can tell.
 * @param {Rule} rule
 * @param {string} typed
 * @param {(string | undefined)[]} names what the person is known by: the custom account, and what is before the `@`
 * @returns {boolean | undefined}
 */
export function breaks(rule, typed, names) {
  const password = typed.normalize("NFC");
  switch (rule.code) {
    case "too_short":
      return [...password].length < rule.min;
    case "too_long":
      return [...password].length > rule.max || new TextEncoder().encode(password).length > rule.bytes;
    case "forbidden_character":
      return [...rule.forbidden].some((character) => password.includes(character));
    case "too_few_classes":
      return CLASSES.filter((kind) => kind.test(password)).length < rule.needed;
    case "contains_account": {
      const lower = password.toLowerCase();
      return names.some((name) => name && [...name].length >= rule.from && lower.includes(name.toLowerCase()));
    }
    default:
      return undefined;
  }
}

/** Upper case, lower case, digits, and everything else. */
const CLASSES = [/\p{Uppercase}/u, /\p{Lowercase}/u, /[0-9]/, /[^\p{Uppercase}\p{Lowercase}0-9]/u];

/**
 * The codes of the rules that a password breaks, as far as they can be told here. One that is too long is not looked at.
 * @param {Rule[]} rules
 * @param {string} typed
 * @param {(string | undefined)[]} names
 */
export function broken(rules, typed, names) {
  const codes = rules.filter((rule) => breaks(rule, typed, names)).map((rule) => rule.code);
  return codes.includes("too_long") ? ["too_long"] : codes;
}

/**
 * The custom account as the server reads it.
 * @param {string} typed
 */
export function accountName(typed) {
  return typed.trim().normalize("NFKC") || undefined;
}

/**
 * What is before the `@`.
 * @param {string} typed
 */
export function localPart(typed) {
  const address = meantAddress(typed);
  const at = address.indexOf("@");
  return at > 0 ? address.slice(0, at) : undefined;
}
