// From a sign-in's answer to the page that comes next, with the ticket that it needs there.

import { giveWay, toHome } from "./page.js";

/** @typedef {{ ticket: string, expires_at: string }} Ticket */
/** @typedef {"identity" | "activation"} Step */

/**
 * Goes on from a sign-in's answer.
 * @param {{ status: "signed_in" } | { status: "identity_required" | "activation_required" } & Ticket} answer
 * @returns {Promise<never>}
 */
export function goOn(answer) {
  if (answer.status === "signed_in") return toHome();
  const step = answer.status === "identity_required" ? "identity" : "activation";
  sessionStorage.setItem(key(step), JSON.stringify({ ticket: answer.ticket, expires_at: answer.expires_at }));
  return giveWay(`/${step}`);
}

/**
 * The ticket that a step was given in this tab.
 * @param {Step} step
 * @returns {Ticket | undefined}
 */
export function ticketFor(step) {
  const kept = sessionStorage.getItem(key(step));
  return kept === null ? undefined : JSON.parse(kept);
}

/**
 * Forgets a step's ticket: it is used up.
 * @param {Step} step
 */
export function dropTicket(step) {
  sessionStorage.removeItem(key(step));
}

/** @param {Step} step */
function key(step) {
  return `ticket.${step}`;
}
