// Proof Key for Code Exchange (RFC 7636, S256) for card sign-in: only the tab that left for the card host can
// exchange the code that comes back.

const VERIFIER = "card.verifier";

/**
 * Makes a verifier, keeps it in this tab, and gives its challenge.
 * @returns {Promise<string>}
 */
export async function makeChallenge() {
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  sessionStorage.setItem(VERIFIER, verifier);
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

/** The verifier of this tab, once. */
export function takeVerifier() {
  const verifier = sessionStorage.getItem(VERIFIER);
  sessionStorage.removeItem(VERIFIER);
  return verifier;
}

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
