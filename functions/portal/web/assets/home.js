import { element, fill, say, takeActivated, time } from "./page.js";
import { mayAuthorize, mayReadAudit, mayReset, withSession } from "./session.js";

const ROLES = /** @type {Record<string, string>} */ ({
  hr_head: say("say.role.hr_head"),
  hr_staff: say("say.role.hr_staff"),
  helpdesk: say("say.role.helpdesk"),
});

withSession(element("session", HTMLElement), (session) => {
  const byAgency = session.subject === "agency";
  fill("name", session.name);
  fill("account", session.account);
  fill("agency", session.agency_name);
  fill("roles", byAgency
    ? say("say.as-agency")
    : session.roles.map((role) => ROLES[role] ?? role).join(say("say.list-separator")));
  fill("expires", time(session.expires_at));
  /** For whom each task is. Only the server decides; this decides what is shown. */
  const may = /** @type {Record<string, boolean>} */ ({
    reset: mayReset(session),
    authorize: mayAuthorize(session),
    audit: mayReadAudit(session),
    person: !byAgency,
  });
  for (const task of document.querySelectorAll("[data-task]")) {
    if (task instanceof HTMLElement) task.hidden = !may[task.dataset.task ?? ""];
  }
  // The manual asks to sign in again after activating, to see that it works: it does.
  if (takeActivated()) element("activated", HTMLElement).hidden = false;
});
