// The first use of a citizen certificate: whose is it? A wrong answer can be mended with one step back.

import { call } from "./api.js";
import { onSubmit } from "./form.js";
import { element, ready, say, showProblem, time, toSignIn } from "./page.js";
import { dropTicket, goOn, ticketFor } from "./steps.js";

const form = element("identity", HTMLFormElement);
const identifier = element("identifier", HTMLInputElement);
const refused = element("refused", HTMLElement);
const back = element("back", HTMLButtonElement);
const again = element("again", HTMLAnchorElement);

/** Refusals that end the ticket; after any other, the identifier can be corrected. */
const FINAL = ["ticket_invalid", "ticket_expired"];

const kept = ticketFor("identity");
if (!kept) {
  toSignIn("sign-in-first");
} else {
  element("until", HTMLElement).textContent = say("say.until", { time: time(kept.expires_at) });
  onSubmit(form, async (values) => {
    const answer = await call("POST", "/v1/login/certificate/identity", {
      ticket: kept.ticket,
      identifier: values.identifier,
    });
    dropTicket("identity");
    await goOn(answer);
  }, {
    refused(problem) {
      if (problem.code === "request_invalid") return false;
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
    identifier.focus();
    identifier.select();
  });
  ready();
}
