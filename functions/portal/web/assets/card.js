// Back from the card host, with a code or a problem in the address's fragment.

import { call } from "./api.js";
import "./card-host.js";
import { takeVerifier } from "./challenge.js";
import { element, problemOf, ready, showProblem, toSignIn } from "./page.js";
import { goOn } from "./steps.js";

const answer = new URLSearchParams(location.hash.slice(1));
// Neither belongs in the history or under a bookmark.
history.replaceState(null, "", location.pathname);

/** @param {unknown} error */
function refuse(error) {
  element("progress", HTMLElement).hidden = true;
  element("next", HTMLElement).hidden = false;
  showProblem(element("problem", HTMLElement), error);
}

async function exchange() {
  const code = answer.get("code");
  const problem = answer.get("problem");
  const verifier = takeVerifier();
  if (problem !== null) {
    // The other language shows the same problem.
    for (const link of document.querySelectorAll("a[hreflang]")) {
      if (link instanceof HTMLAnchorElement) link.hash = `problem=${encodeURIComponent(problem)}`;
    }
    return refuse(problemOf(problem));
  }
  if (code === null) return toSignIn("sign-in-first");
  // A code that another tab asked for is of no use here, and the API would say so in the same words.
  if (verifier === null) return refuse(problemOf("ticket_invalid"));
  try {
    await goOn(await call("POST", "/v1/login/certificate", { code, verifier }));
  } catch (error) {
    refuse(error);
  }
}

ready();
exchange();
