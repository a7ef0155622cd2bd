import { meantAddress, showMeant } from "./address.js";
import { call } from "./api.js";
import { onSubmit } from "./form.js";
import { element, giveWay, ready, say, time, toSignIn } from "./page.js";
import { tellRules } from "./policy.js";
import { accountName, localPart } from "./rules.js";
import { dropTicket, ticketFor } from "./steps.js";

const form = element("activation", HTMLFormElement);
const account = element("account", HTMLInputElement);
const email = element("email", HTMLInputElement);

const kept = ticketFor("activation");
if (!kept) {
  toSignIn("sign-in-first");
} else {
  element("until", HTMLElement).textContent = say("say.until", { time: time(kept.expires_at) });
  tellRules(element("password", HTMLInputElement), () => [accountName(account.value), localPart(email.value)]);
  showMeant(email);
  onSubmit(form, async (values) => {
    await call("POST", "/v1/activation", { ticket: kept.ticket, ...values, email: meantAddress(email.value) });
    dropTicket("activation");
    await giveWay("/activated");
  });
  ready();
}
