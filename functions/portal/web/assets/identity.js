// The first use of a citizen certificate: whose is it? A wrong answer can be mended with one step back.

import { call } from "./api.js";
import { onSubmit } from "./form.js";
import { element, ready, say, showProblem, time, toSignIn } from "./page.js";
import { dropTicket, goOn, ticketFor } from "./steps.js";

const form = element("identity", HTMLFormElement);
const identifier = element("identifier", HTMLInputElement);
const passwordPart = element("password-part", HTMLElement);
const password = element("password", HTMLInputElement);
const refused = element("refused", HTMLElement);
const back = element("back", HTMLButtonElement);
const again = element("again", HTMLAnchorElement);

/** Refusals that end the ticket; after any other, the identifier can be corrected. */
const FINAL = ["ticket_invalid", "ticket_expired"];

/** Refusals that are said at a field. `account_password_required` brings the field of the password with it. */
const AT_FIELD = ["request_invalid", "invalid_credentials", "account_password_required"];

const kept = ticketFor("identity");
if (!kept) {
  toSignIn("sign-in-first");
} else {
  element("until", HTMLElement).textContent = say("say.until", { time: time(kept.expires_at) });
  onSubmit(form, async ({ identifier, password }) => {
    const answer = await call("POST", "/v1/login/certificate/identity", {
      ticket: kept.ticket,
      identifier,
      ...(password ? { password } : {}),
    });
    dropTicket("identity");
    await goOn(answer);
  }, {
    refused(problem) {
      if (problem.code === "account_password_required") passwordPart.hidden = false;
      if (AT_FIELD.includes(problem.code)) return false;
      const final = FINAL.includes(problem.code);
      if (final) dropTicket("identity");
      form.hidden = true;
      back.hidden = final;
      again.hidden = !final;
      refused.hidden = false;
      const place = refused.querySelector(".problem");
      if (place instanceof HTMLElement) showProblem(place, problem);
      return true;
    },
  });
  back.addEventListener("click", () => {
    refused.hidden = true;
    form.hidden = false;
    // Another person's account has another password, and may need none.
    passwordPart.hidden = true;
    password.value = "";
    identifier.focus();
    identifier.select();
  });
  ready();
}
