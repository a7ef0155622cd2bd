import { Problem, call } from "./api.js";
import { makeChallenge } from "./challenge.js";
import { clearProblems, onSubmit } from "./form.js";
import { element, giveWay, leave, mayBeSignedIn, ready, reveal, say, takeNotice } from "./page.js";
import { goOn } from "./steps.js";

const cardOrigin = document.querySelector("meta[name=card-origin]")?.getAttribute("content") ?? "";
const accountForm = element("account", HTMLFormElement);
const cardFailed = element("card-failed", HTMLElement);

/**
 * Whether the card host lets this browser connect. The card checks its PIN in the TLS handshake, so a missing card,
 * a wrong PIN and a refused certificate all end as a failed connection, which a navigation could only show as the
 * browser's own error page. No-cors: the answer does not matter, and a preflight would carry no certificate.
 */
async function cardIsAccepted() {
  try {
    await fetch(`${cardOrigin}/`, { mode: "no-cors", credentials: "include", cache: "no-store" });
    return true;
  } catch {
    return false;
  }
}

/** Whether this site itself still answers; if not, the card is not what is wrong. */
async function siteAnswers() {
  try {
    await fetch(location.pathname, { cache: "no-store" });
    return true;
  } catch {
    return false;
  }
}

onSubmit(element("card", HTMLFormElement), async () => {
  cardFailed.hidden = true;
  clearProblems(accountForm);
  const challenge = await makeChallenge();
  if (await cardIsAccepted()) {
    await leave(`${cardOrigin}/v1/login/certificate?challenge=${challenge}`);
  }
  if (!await siteAnswers()) throw new Problem({ code: "unreachable" });
  reveal(cardFailed);
}, { pending: say("say.choosing") });

onSubmit(accountForm, async ({ identifier, password }) => {
  cardFailed.hidden = true;
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
