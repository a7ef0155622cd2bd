import { call } from "./api.js";
import { onSubmit } from "./form.js";
import { element, fill, reveal, say, showProblem, time, toSignIn } from "./page.js";
import { callSignedIn, hasEnded, mayReset, withSession } from "./session.js";

const ROLES = /** @type {Record<string, string>} */ ({
  hr_head: say("say.role.hr_head"),
  hr_staff: say("say.role.hr_staff"),
  helpdesk: say("say.role.helpdesk"),
});

const changed = element("changed", HTMLElement);
const change = element("password-change", HTMLFormElement);
const current = element("current_password", HTMLInputElement);
const signOut = element("sign-out", HTMLButtonElement);

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
  element("change", HTMLElement).hidden = byAgency;
  element("username", HTMLInputElement).value = session.account ?? "";
  const byCard = session.amr.includes("sc");
  current.required = !byCard;
  element("current_password-hint", HTMLElement).hidden = !byCard;
});

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
