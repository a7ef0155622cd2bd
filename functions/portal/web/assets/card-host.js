// The card host: asking whether it lets this browser's card in, and going there.

import { Problem } from "./api.js";
import { makeChallenge } from "./challenge.js";
import { leave } from "./page.js";

/** Its origin. A `*` stands for a label that each attempt makes up. */
const ORIGIN = document.querySelector("meta[name=card-origin]")?.getAttribute("content") ?? "";

/** How fast a connection fails when nobody had anything to do: there was nothing to choose, and no PIN to enter. */
const QUICK_MS = 1_500;

/** How long a connection takes at least that nobody answers. On a busy computer one without a card takes a while, too. */
const UNANSWERED_MS = 10_000;

/**
 * Whether each attempt goes to a name of its own. A browser remembers which certificate was chosen for a name until it
 * is closed: only under another name can a person choose another card.
 */
const fresh = ORIGIN.includes("*");

for (const part of document.querySelectorAll("[data-attempts]")) {
  if (part instanceof HTMLElement) part.hidden = (part.dataset.attempts === "fresh") !== fresh;
}

/**
 * What kept a card out, as far as a page can tell: no certificate was there or chosen; its PIN was wrong, or the window for it
 * was closed; the gateway in front of the card host refused the certificate; there was nobody to talk to.
 * @typedef {"no-card" | "pin" | "refused" | "unreachable"} Obstacle
 */

/**
 * Signs in with the card: goes to `/card` with what the card host says of it. Ends only when the card host says nothing, and
 * then with why.
 *
 * The card checks its PIN in the TLS handshake, so a missing card and a wrong PIN end as a failed connection, and a certificate
 * that the gateway refuses as an answer of the gateway's own, that no other origin may read. A navigation could only show the
 * browser's error page for the one and that answer for the other. Hence two questions. Whether there is an answer at all goes
 * first, by no-cors: of two questions whose handshakes fail, each would have a person choose a certificate. Then whether it is
 * the function's, which lets this origin read it. Neither has a preflight, which would carry no certificate.
 * @returns {Promise<Obstacle>}
 */
export async function signInWithCard() {
  const challenge = await makeChallenge();
  const origin = ORIGIN.replace("*", label());
  const began = performance.now();
  const sawWindow = watchForWindow();
  const answered = await fetch(`${origin}/`, { ...AS_PERSON, mode: "no-cors" }).then(() => true, () => false);
  const took = performance.now() - began;
  const windowCame = sawWindow();
  if (answered) {
    const said = await readable(`${origin}/v1/login/certificate?challenge=${challenge}`);
    if (said) await leave(`/card#${said}`);
  }
  // When this site itself does not answer, the card is not what is wrong.
  try {
    await fetch(location.pathname, { cache: "no-store" });
  } catch {
    throw new Problem({ code: "unreachable" });
  }
  if (answered) return "refused";
  if (windowCame && took >= QUICK_MS) return "pin";
  return took < UNANSWERED_MS ? "no-card" : "unreachable";
}

/** How the card host is asked: with the certificate, and never from memory. @type {RequestInit} */
const AS_PERSON = { credentials: "include", cache: "no-store" };

/**
 * What the function says of the card, as the fragment that it would send a browser back with; nothing, when what answers is not
 * the function.
 * @param {string} address
 * @returns {Promise<URLSearchParams | undefined>}
 */
async function readable(address) {
  try {
    const answer = await fetch(address, { ...AS_PERSON, headers: { Accept: "application/json" }, redirect: "error" });
    const { code } = await answer.json();
    return typeof code === "string" ? new URLSearchParams({ [answer.ok ? "code" : "problem"]: code }) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Watches whether a window comes up in front of the page, as those do in which to choose a certificate or to enter a PIN.
 * @returns {() => boolean} ends it, and tells
 */
function watchForWindow() {
  let came = false;
  const note = () => { came = true; };
  addEventListener("blur", note);
  return () => {
    removeEventListener("blur", note);
    return came;
  };
}

/** A label that no attempt had before: 80 random bits. */
function label() {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
