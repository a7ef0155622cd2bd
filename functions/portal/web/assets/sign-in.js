import { call } from "./api.js";
import { askAuthorization, pendingAuthorization } from "./authorization.js";
import { signInWithCard } from "./card-host.js";
import { clearProblems, onSubmit } from "./form.js";
import { comeBackTo, element, giveWay, mayBeSignedIn, ready, reveal, say, showProblem, takeNotice } from "./page.js";
import { goOn } from "./steps.js";

const cardForm = element("card", HTMLFormElement);
const accountForm = element("account", HTMLFormElement);
const cardFailed = element("card-failed", HTMLElement);

/** What is said first of what kept a card out. */
const OBSTACLES = {
  "no-card": say("say.card.no-card"),
  "pin": say("say.card.pin"),
  "refused": say("say.card.refused"),
  "unreachable": say("say.card.unreachable"),
};

onSubmit(cardForm, async () => {
  cardFailed.hidden = true;
  clearProblems(accountForm);
  const obstacle = await signInWithCard();
  element("card-failed-lead", HTMLElement).textContent = OBSTACLES[obstacle];
  for (const part of cardFailed.querySelectorAll("details")) part.open = part.dataset.case === obstacle;
  reveal(cardFailed);
}, { pending: say("say.choosing") });

onSubmit(accountForm, async ({ identifier, password }) => {
  cardFailed.hidden = true;
  clearProblems(cardForm);
  await goOn(await call("POST", "/v1/login/password", { identifier, password }));
});

const notices = /** @type {Record<string, string>} */ ({
  "card-first": say("say.notice.card-first"),
  "session-ended": say("say.notice.session-ended"),
  "signed-out": say("say.notice.signed-out"),
  "sign-in-first": say("say.notice.sign-in-first"),
});

/** Leaves no way but the card. */
function byCardOnly() {
  for (const id of ["by-account-part", "first-part"]) element(id, HTMLElement).hidden = true;
}

/** @param {string} text */
function tell(text) {
  const place = element("notice", HTMLElement);
  place.hidden = false;
  place.textContent = text;
}

const kind = takeNotice() ?? "";
const notice = notices[kind];
const pending = pendingAuthorization();
if (pending?.client !== undefined) {
  const client = pending.client;
  comeBackTo("/continue");
  tell(pending.byCard ? say("say.continue.by-card", { client }) : say("say.continue.sign-in", { client }));
  if (pending.byCard) byCardOnly();
  element("cancel-part", HTMLElement).hidden = false;
  element("cancel", HTMLButtonElement).addEventListener("click", async () => {
    try {
      await askAuthorization(pending, "deny");
    } catch (error) {
      showProblem(element("cancel-problem", HTMLElement), error);
    }
  });
} else if (notice) {
  tell(notice);
  if (kind === "card-first") byCardOnly();
} else if (mayBeSignedIn()) {
  giveWay("/home");
}
ready();
