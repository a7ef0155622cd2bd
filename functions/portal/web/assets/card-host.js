// The card host: asking whether it lets this browser's card in, and going there.

import { Problem } from "./api.js";
import { makeChallenge } from "./challenge.js";
import { leave } from "./page.js";

/** Its origin. A `*` stands for a label that each attempt makes up. */
const ORIGIN = document.querySelector("meta[name=card-origin]")?.getAttribute("content") ?? "";

/**
 * How fast a connection fails when nobody had anything to do: no window came up in which to choose a certificate or to
 * enter a PIN.
 */
const QUICK_MS = 1_500;

/**
 * Whether each attempt goes to a name of its own. A browser remembers which certificate was chosen for a name until it
 * is closed: only under another name can a person choose another card.
 */
const fresh = ORIGIN.includes("*");

for (const part of document.querySelectorAll("[data-attempts]")) {
  if (part instanceof HTMLElement) part.hidden = (part.dataset.attempts === "fresh") !== fresh;
}

/**
 * Signs in with the card: goes to the card host, which sends the browser back to `/card`. Ends only when the card host
 * cannot be reached with a card, and then says whether that was quick.
 *
 * The card checks its PIN in the TLS handshake, so a missing card, a wrong PIN and a certificate that the host refuses all
 * end as a failed connection, which a navigation could only show as the browser's own error page. Hence a question ahead
 * of it, over the connection that the navigation then uses. No-cors: the answer does not matter, and a preflight would
 * carry no certificate.
 * @returns {Promise<{ quick: boolean }>}
 */
export async function signInWithCard() {
  const challenge = await makeChallenge();
  const origin = ORIGIN.replace("*", label());
  const began = performance.now();
  let accepted = true;
  try {
    await fetch(`${origin}/`, { mode: "no-cors", credentials: "include", cache: "no-store" });
  } catch {
    accepted = false;
  }
  const quick = performance.now() - began < QUICK_MS;
  if (accepted) await leave(`${origin}/v1/login/certificate?challenge=${challenge}`);
  // When this site itself does not answer, the card is not what is wrong.
  try {
    await fetch(location.pathname, { cache: "no-store" });
  } catch {
    throw new Problem({ code: "unreachable" });
  }
  return { quick };
}

/** A label that no attempt had before: 80 random bits. */
function label() {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
