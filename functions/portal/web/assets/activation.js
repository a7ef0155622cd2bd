import { call } from "./api.js";
import { onSubmit } from "./form.js";
import { element, ready, reveal, say, time, toSignIn } from "./page.js";
import { dropTicket, ticketFor } from "./steps.js";

const form = element("activation", HTMLFormElement);

const kept = ticketFor("activation");
if (!kept) {
  toSignIn("sign-in-first");
} else {
  element("until", HTMLElement).textContent = say("say.until", { time: time(kept.expires_at) });
  onSubmit(form, async (values) => {
    await call("POST", "/v1/activation", { ticket: kept.ticket, ...values });
    dropTicket("activation");
    form.reset();
    form.hidden = true;
    reveal(element("done", HTMLElement));
  });
  ready();
}
