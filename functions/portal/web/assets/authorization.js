// A client's request that this tab takes a person through: kept until its answer leaves for the client.

import { call } from "./api.js";
import { giveWay } from "./page.js";

/**
 * @typedef {object} Pending
 * @property {string} request as the client sent it
 * @property {number} asked_at when
 * @property {string} [client] the client's name, once the server has said it
 * @property {boolean} [byCard] whether only a card will do
 */

/**
 * @typedef {{ status: "leave", location: string }
 *   | { status: "ask", client_name: string, name: string, agency_name: string, scopes: string[] }
 *   | { status: "sign_in", client_name: string, why: string, by_card: boolean }} Answer
 */

const PENDING = "authorization";

/** @param {Pending} pending */
export function keepPending(pending) {
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
}

/** @returns {Pending | undefined} */
export function pendingAuthorization() {
  const kept = sessionStorage.getItem(PENDING);
  return kept === null ? undefined : JSON.parse(kept);
}

export function dropPending() {
  sessionStorage.removeItem(PENDING);
}

/**
 * Asks what comes of a request. Leaves for the client when it is settled, and never resolves then.
 * @param {Pending} pending
 * @param {"allow" | "deny"} [word] what the person says to it
 * @returns {Promise<Exclude<Answer, { status: "leave" }>>}
 */
export async function askAuthorization({ request, asked_at }, word) {
  /** @type {Answer} */
  const answer = await call("POST", "/v1/authorization", { request, asked_at, ...(word ? { say: word } : {}) });
  if (answer.status !== "leave") return answer;
  dropPending();
  // The server has compared the address with those that the client is registered for.
  return giveWay(answer.location);
}
