// The cards that are bound to an account, on the pages that list them.

import { asProblem, describe, say, time, within } from "./page.js";

/**
 * @typedef {object} Card
 * @property {string} card_id
 * @property {string} issuer
 * @property {string} number_tail
 * @property {string} bound_at
 * @property {string} last_used_at
 */

/** Which loading of a part is the latest: an answer that was overtaken is not shown. @type {WeakMap<HTMLElement, object>} */
const latest = new WeakMap();

/**
 * A card as its holder recognizes it.
 * @param {Card} card
 */
export function nameOf(card) {
  return say("say.cards.card", { issuer: card.issuer, tail: card.number_tail });
}

/**
 * Loads cards into a part of the page. A refusal is shown there, and takes nothing else from the page.
 * @param {HTMLElement} part with `.pending`, `.problem`, `.none` and a list
 * @param {() => Promise<{ cards: Card[] }>} load
 * @param {(card: Card) => void} [unbind] what the button at each card does; without it there is no button
 * @param {number} [first] the first card that has the button, in the order in which they were bound
 */
export async function loadCards(part, load, unbind, first = 0) {
  const turn = {};
  latest.set(part, turn);
  const list = within(part, "ul");
  const none = within(part, ".none");
  const problem = within(part, ".problem");
  const status = within(part, ".pending");
  problem.hidden = true;
  none.hidden = true;
  list.replaceChildren();
  status.textContent = say("say.loading");
  part.hidden = false;
  try {
    const { cards } = await load();
    if (latest.get(part) !== turn) return;
    list.replaceChildren(...cards.map((card, at) => item(card, at < first ? undefined : unbind)));
    none.hidden = cards.length > 0;
  } catch (error) {
    if (latest.get(part) !== turn) return;
    describe(problem, asProblem(error));
  }
  status.textContent = "";
}

/**
 * @param {Card} card
 * @param {((card: Card) => void) | undefined} unbind
 */
function item(card, unbind) {
  const made = document.createElement("li");
  const name = document.createElement("p");
  name.className = "card-name";
  name.textContent = nameOf(card);
  const dates = document.createElement("dl");
  dates.append(
    row(say("say.cards.bound"), time(card.bound_at)),
    row(say("say.cards.used"), time(card.last_used_at)),
  );
  made.append(name, dates);
  if (unbind) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = say("say.cards.unbind");
    button.setAttribute("aria-label", say("say.cards.unbind-card", { card: nameOf(card) }));
    button.addEventListener("click", () => unbind(card));
    made.append(button);
  }
  return made;
}

/**
 * @param {string} term
 * @param {string} text
 */
function row(term, text) {
  const made = document.createElement("div");
  const dt = document.createElement("dt");
  dt.textContent = term;
  const dd = document.createElement("dd");
  dd.textContent = text;
  made.append(dt, dd);
  return made;
}
