import { onSubmit } from "./form.js";
import { element, reveal } from "./page.js";
import { tellRules } from "./policy.js";
import { accountName } from "./rules.js";
import { callSignedIn, withSession } from "./session.js";

const form = element("password-change", HTMLFormElement);
const current = element("current_password", HTMLInputElement);
const username = element("username", HTMLInputElement);

/** @type {string | undefined} */
let fullName;

withSession(element("session", HTMLElement), (session) => {
  username.value = session.account ?? "";
  fullName = session.name;
  // Within five minutes of a sign-in by card it may be left out, and only the server knows whether it still may.
  const byCard = session.amr.includes("sc");
  current.required = !byCard;
  element("current_password-hint", HTMLElement).hidden = !byCard;
});

tellRules(element("password", HTMLInputElement), () => [accountName(username.value), fullName]);

onSubmit(form, async ({ current_password, ...values }) => {
  await callSignedIn("POST", "/v1/account/password", current_password ? { current_password, ...values } : values);
  form.reset();
  form.hidden = true;
  reveal(element("changed", HTMLElement));
});
