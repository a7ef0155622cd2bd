// An email address as it is understood, whatever an input method or a paste has made of it. The server reads it the same way,
// and has the last word on whether it is one; here it is shown, so that people see what mail will be sent to.

/** What nobody sees, as the server has it (`shared/src/visible.rs`): no part of an address or a custom account. */
export const UNSEEN = /[\p{Cf}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2800]|(?!\p{White_Space})\p{Cc}/gu;

/**
 * What was meant by what was typed.
 * @param {string} typed
 */
export function meantAddress(typed) {
  const seen = typed.normalize("NFKC").replace(UNSEEN, "").replaceAll("。", ".");
  const text = withoutScheme(trimmed(trimmed(seen).replace(/[;,.、]$/u, "")));
  return text.length > 1 && text.startsWith("<") && text.endsWith(">") ? withoutScheme(trimmed(text.slice(1, -1))) : text;
}

/**
 * Shows in a field what is understood, as soon as it is left.
 * @param {HTMLInputElement} field
 */
export function showMeant(field) {
  field.addEventListener("change", () => {
    const meant = meantAddress(field.value);
    if (meant !== field.value) field.value = meant;
  });
}

/** @param {string} text */
function withoutScheme(text) {
  return trimmed(text.replace(/^mailto:/iu, ""));
}

/** @param {string} text */
function trimmed(text) {
  return text.replace(/^\p{White_Space}+|\p{White_Space}+$/gu, "");
}
