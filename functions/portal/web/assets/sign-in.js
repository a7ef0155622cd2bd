import { call } from "./api.js";
import { signInWithCard } from "./card-host.js";
import { clearProblems, onSubmit } from "./form.js";
import { element, giveWay, mayBeSignedIn, ready, reveal, say, takeNotice } from "./page.js";
import { goOn } from "./steps.js";

const cardForm = element("card", HTMLFormElement);
const accountForm = element("account", HTMLFormElement);
const cardFailed = element("card-failed", HTMLElement);

onSubmit(cardForm, async () => {
  cardFailed.hidden = true;
  clearProblems(accountForm);
  const { quick } = await signInWithCard();
  // What a browser can tell: whether there was time to choose a certificate and enter a PIN.
  element("card-failed-lead", HTMLElement).textContent = quick ? say("say.card.quick") : say("say.card.slow");
  const likely = quick ? "no-card" : "pin";
  for (const part of cardFailed.querySelectorAll("details")) part.open = part.dataset.case === likely;
  reveal(cardFailed);
}, { pending: say("say.choosing") });

onSubmit(accountForm, async ({ identifier, password }) => {
  cardFailed.hidden = true;
  clearProblems(cardForm);
  await goOn(await call("POST", "/v1/login/password", { identifier, password }));
});

const notices = /** @type {Record<string, string>} */ ({
  "session-ended": say("say.notice.session-ended"),
  "signed-out": say("say.notice.signed-out"),
  "sign-in-first": say("say.notice.sign-in-first"),
});

const notice = notices[takeNotice() ?? ""];
if (notice) {
  const place = element("notice", HTMLElement);
  place.hidden = false;
  place.textContent = notice;
} else if (mayBeSignedIn()) {
  giveWay("/home");
}
ready();
