import { Problem, call } from "./api.js";
import { loadCards, nameOf } from "./bound-cards.js";
import { onSubmit } from "./form.js";
import { ask, element, fill, reveal, say, showProblem, time, toSignIn } from "./page.js";
import { callSignedIn, hasEnded, mayAuthorize, mayReset, withSession } from "./session.js";

const ROLES = /** @type {Record<string, string>} */ ({
  hr_head: say("say.role.hr_head"),
  hr_staff: say("say.role.hr_staff"),
  helpdesk: say("say.role.helpdesk"),
});

const changed = element("changed", HTMLElement);
const change = element("password-change", HTMLFormElement);
const current = element("current_password", HTMLInputElement);
const signOut = element("sign-out", HTMLButtonElement);
const cards = element("cards", HTMLElement);
const cardsPending = element("cards-pending", HTMLElement);
const cardsProblem = element("cards-problem", HTMLElement);
const unbound = element("unbound", HTMLElement);

/** Loads the person's cards again. Nothing before it is known who is signed in. */
let showCards = async () => {};

withSession(element("session", HTMLElement), (session) => {
  const byAgency = session.subject === "agency";
  fill("name", session.name);
  fill("account", session.account);
  fill("agency", session.agency_name);
  fill("roles", byAgency
    ? say("say.as-agency")
    : session.roles.map((role) => ROLES[role] ?? role).join(say("say.list-separator")));
  fill("expires", time(session.expires_at));
  element("hr", HTMLAnchorElement).hidden = !mayReset(session);
  element("authorizations", HTMLAnchorElement).hidden = !mayAuthorize(session);
  element("change", HTMLElement).hidden = byAgency;
  element("username", HTMLInputElement).value = session.account ?? "";
  const byCard = session.amr.includes("sc");
  current.required = !byCard;
  element("current_password-hint", HTMLElement).hidden = !byCard;
  if (!byAgency && cards.hidden) {
    const byPassword = session.amr.includes("pwd");
    element("password-first", HTMLElement).hidden = byPassword;
    showCards = () => loadCards(cards, () => callSignedIn("GET", "/v1/account/cards"), byPassword ? unbind : undefined);
    showCards();
  }
});

let unbinding = false;

/**
 * Unbinds a card, once the person has confirmed it.
 * @param {import("./bound-cards.js").Card} card
 */
async function unbind(card) {
  if (unbinding) return;
  unbound.hidden = true;
  cardsProblem.hidden = true;
  fill("unbind-card", nameOf(card));
  if (!await ask(element("unbind", HTMLDialogElement))) return;
  unbinding = true;
  cardsPending.textContent = say("say.pending");
  try {
    await callSignedIn("DELETE", `/v1/account/cards/${encodeURIComponent(card.card_id)}`);
    await showCards();
    reveal(unbound);
  } catch (error) {
    cardsPending.textContent = "";
    // Somebody else may have unbound it: then the list is not the one that it was.
    if (error instanceof Problem && error.code === "card_not_found") await showCards();
    showProblem(cardsProblem, error);
  }
  unbinding = false;
}

onSubmit(change, async ({ current_password, ...values }) => {
  changed.hidden = true;
  await callSignedIn("POST", "/v1/account/password", current_password ? { current_password, ...values } : values);
  change.reset();
  reveal(changed);
});

let signingOut = false;
signOut.addEventListener("click", async () => {
  if (signingOut) return;
  signingOut = true;
  signOut.setAttribute("aria-disabled", "true");
  try {
    await call("DELETE", "/v1/session");
    await toSignIn("signed-out");
  } catch (error) {
    if (hasEnded(error)) await toSignIn("signed-out");
    signingOut = false;
    signOut.setAttribute("aria-disabled", "false");
    showProblem(element("problem", HTMLElement), error);
  }
});
