// The rules of a new password that can be told while it is typed. They are the server's, which gives them to the page as data
// and has the last word: what needs its dictionaries and its memory, only it can tell. `policy.json` holds this evaluation and
// the server's against the same passwords.

import { UNSEEN, meantAddress } from "./address.js";

/**
 * @typedef {{ code: "too_short", min: number } | { code: "too_long", max: number, bytes: number }
 *   | { code: "too_few_classes", needed: number } | { code: "forbidden_character", forbidden: string }
 *   | { code: "contains_account", from: number, han: number } | { code: "used_before" } | { code: "too_common" }} Rule
 */

/**
 * Whether a password breaks a rule; nothing for a rule that only the server can tell.
 * @param {Rule} rule
 * @param {string} typed
 * @param {(string | undefined)[]} names what the person is known by: the custom account, what is before the `@`, the name
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
      const plain = bare(password);
      const within = (/** @type {string} */ name) => {
        const shortest = /\p{Script=Han}/u.test(name) ? rule.han : rule.from;
        return [...name].length >= shortest && plain.includes(name);
      };
      return names.some((name) => name && within(bare(name))) || hasNationalId(password);
    }
    default:
      return undefined;
  }
}

/** The letters that digits and signs are written for. @type {Record<string, string>} */
const LETTERS = { 4: "a", "@": "a", 3: "e", 1: "i", "!": "i", "|": "i", l: "i", 0: "o", 5: "s", $: "s", 7: "t", "+": "t" };

/** What is no letter or digit. */
const SIGNS = /[^\p{Alphabetic}\p{N}]/gu;

/**
 * The letters and digits of a text in one spelling.
 * @param {string} text
 */
function bare(text) {
  return [...text.normalize("NFKC").toLowerCase()].map((c) => LETTERS[c] ?? c).join("").replace(SIGNS, "");
}

/** The letters of a national ID in the order of their values, from 10 on. */
const REGIONS = "ABCDEFGHJKLMNPQRSTUVXYWZIO";

/**
 * Whether a national ID is in a password, with signs in it or not.
 * @param {string} password
 */
function hasNationalId(password) {
  const plain = password.normalize("NFKC").toUpperCase().replace(SIGNS, "");
  for (let at = 0; at + 10 <= plain.length; at += 1) {
    const part = plain.slice(at, at + 10);
    if (!/^[A-Z][A-D1289][0-9]{8}$/.test(part)) continue;
    const value = (/** @type {number} */ place) => REGIONS.indexOf(part.charAt(place)) + 10;
    const region = value(0);
    const first = /[0-9]/.test(part.charAt(1)) ? Number(part.charAt(1)) : value(1) % 10;
    const rest = [7, 6, 5, 4, 3, 2, 1, 1].reduce((sum, weight, place) => sum + weight * Number(part.charAt(place + 2)), 0);
    if ((Math.floor(region / 10) + (region % 10) * 9 + first * 8 + rest) % 10 === 0) return true;
  }
  return false;
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
  return typed.replace(UNSEEN, "").trim().normalize("NFKC") || undefined;
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
