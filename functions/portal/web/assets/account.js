import { element, fill } from "./page.js";
import { withSession } from "./session.js";

withSession(element("session", HTMLElement), (session) => {
  fill("name", session.name);
  fill("account", session.account);
  fill("agency", session.agency_name);
});
