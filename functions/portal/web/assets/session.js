// Who is signed in, for the pages that only they may see.

import { Problem, call } from "./api.js";
import { element, ready, showProblem, toSignIn } from "./page.js";

/**
 * @typedef {object} Session
 * @property {"person" | "agency"} subject
 * @property {string} name
 * @property {string} [account]
 * @property {string} agency
 * @property {string} agency_name
 * @property {string[]} roles
 * @property {string[]} amr
 * @property {string} expires_at
 */

/**
 * How long after a session's end to ask whether it has ended. Asking before would renew it, and this computer's
 * clock may be ahead of the server's.
 */
const AFTER_MS = 120_000;

/**
 * Shows a signed-in page once it is known who is signed in, and leaves it when the session ends.
 * @param {HTMLElement} part what to show
 * @param {(session: Session) => void} show called again whenever the session is asked for again
 */
export async function withSession(part, show) {
  const progress = element("progress", HTMLElement);
  ready();
  try {
    /** @type {Session} */
    const session = await call("GET", "/v1/session");
    show(session);
    progress.hidden = true;
    part.hidden = false;
    const left = new Date(session.expires_at).getTime() - Date.now();
    setTimeout(() => withSession(part, show), Math.max(left, 0) + AFTER_MS);
  } catch (error) {
    if (hasEnded(error)) return toSignIn("session-ended");
    progress.hidden = true;
    showProblem(element("problem", HTMLElement), error);
  }
}

/**
 * Whether a refusal says that nobody is signed in any more.
 * @param {unknown} error
 */
export function hasEnded(error) {
  return error instanceof Problem && error.code === "session_required";
}

/**
 * Calls the API for a signed-in page; when the session has ended, goes to the sign-in page and never resolves.
 * @param {"GET" | "POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {object} [body]
 * @param {Record<string, string>} [headers]
 */
export async function callSignedIn(method, path, body, headers) {
  try {
    return await call(method, path, body, headers);
  } catch (error) {
    if (hasEnded(error)) return toSignIn("session-ended");
    throw error;
  }
}

/**
 * Whether this session may look for employees and reset their passwords. Only the server decides; this decides
 * whether to show the way.
 * @param {Session} session
 */
export function mayReset(session) {
  return session.subject === "agency" || session.roles.length > 0;
}

/**
 * Whether this session may say who resets in its agency. Only the server decides; this decides whether to show the way.
 * @param {Session} session
 */
export function mayAuthorize(session) {
  return session.subject === "agency" || session.roles.includes("hr_head");
}
