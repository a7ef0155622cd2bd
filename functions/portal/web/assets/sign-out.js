// A client has sent the browser here to have the person signed out; the person is asked, unless it is about this very sign-in.

import { Problem, call } from "./api.js";
import { asProblem, element, giveWay, problemOf, ready, reveal, revealQuestion, say, showProblem } from "./page.js";

const progress = element("progress", HTMLElement);
const part = element("ask", HTMLElement);

const sent = new URLSearchParams(location.hash.slice(1));
// The other language goes on with the same request.
for (const link of document.querySelectorAll("a[hreflang]")) {
  if (link instanceof HTMLAnchorElement) link.hash = location.hash;
}
// What a client sends belongs in no history and under no bookmark.
history.replaceState(null, "", location.pathname);

/** @param {Problem} problem */
function refuse(problem) {
  progress.hidden = true;
  part.hidden = true;
  showProblem(element("problem", HTMLElement), problem);
}

/**
 * @typedef {{ status: "signed_out", location?: string }
 *   | { status: "ask", client_name?: string, name: string, agency_name: string }} Answer
 */

/**
 * @param {string} request as the client sent it
 * @param {boolean} agreed whether the person has said yes
 */
async function signOut(request, agreed) {
  part.hidden = true;
  progress.hidden = false;
  try {
    /** @type {Answer} */
    const answer = await call("POST", "/v1/logout", { request, agreed });
    if (answer.status === "signed_out") {
      // The server has compared the address with those that the client is registered for.
      if (answer.location !== undefined) return await giveWay(answer.location);
      progress.hidden = true;
      return reveal(element("out", HTMLElement));
    }
    const client = answer.client_name;
    progress.hidden = true;
    revealQuestion(client === undefined ? say("say.sign-out.ask") : say("say.sign-out.ask.client", { client }), answer);
  } catch (error) {
    refuse(asProblem(error));
  }
}

const problem = sent.get("problem");
const request = sent.get("request") ?? "";
ready();
if (problem !== null) {
  refuse(problemOf(problem));
} else {
  element("yes", HTMLButtonElement).addEventListener("click", () => signOut(request, true));
  signOut(request, false);
}
