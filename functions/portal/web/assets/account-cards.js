import { Problem } from "./api.js";
import { loadCards, nameOf } from "./bound-cards.js";
import { ask, element, fill, reveal, say, showProblem } from "./page.js";
import { callSignedIn, withSession } from "./session.js";

const cards = element("cards", HTMLElement);
const pending = element("cards-pending", HTMLElement);
const problem = element("cards-problem", HTMLElement);
const unbound = element("unbound", HTMLElement);

/** Loads the person's cards again. Nothing before it is known who is signed in. */
let showCards = async () => {};

withSession(element("session", HTMLElement), (session) => {
  if (!cards.hidden) return;
  const byPassword = session.amr.includes("pwd");
  element("password-first", HTMLElement).hidden = byPassword;
  // A card unbinds those that were bound after it, and so never the first one.
  showCards = () => loadCards(cards, () => callSignedIn("GET", "/v1/account/cards"), unbind, byPassword ? 0 : 1);
  showCards();
});

let unbinding = false;

/**
 * Unbinds a card, once the person has confirmed it.
 * @param {import("./bound-cards.js").Card} card
 */
async function unbind(card) {
  if (unbinding) return;
  unbound.hidden = true;
  problem.hidden = true;
  fill("unbind-card", nameOf(card));
  if (!await ask(element("unbind", HTMLDialogElement))) return;
  unbinding = true;
  pending.textContent = say("say.pending");
  try {
    await callSignedIn("DELETE", `/v1/account/cards/${encodeURIComponent(card.card_id)}`);
    await showCards();
    reveal(unbound);
  } catch (error) {
    pending.textContent = "";
    // Somebody else may have unbound it: then the list is not the one that it was.
    if (error instanceof Problem && error.code === "card_not_found") await showCards();
    showProblem(problem, error);
  }
  unbinding = false;
}
