// On the way to a client that has sent the browser here: to the sign-in, where that is needed, and back to the client.

import { Problem, call } from "./api.js";
import { askAuthorization, dropPending, keepPending, pendingAuthorization } from "./authorization.js";
import { asProblem, comeBackTo, element, giveWay, problemOf, ready, revealQuestion, say, showProblem } from "./page.js";

const progress = element("progress", HTMLElement);
const part = element("ask", HTMLElement);

const sent = new URLSearchParams(location.hash.slice(1));
// What a client sends belongs in no history and under no bookmark.
history.replaceState(null, "", location.pathname);

/** What a client may do, by the scope that it asks for. @type {Record<string, string>} */
const SCOPES = {
  openid: say("say.scope.openid"),
  profile: say("say.scope.profile"),
  "hr.search": say("say.scope.hr.search"),
  "hr.reset": say("say.scope.hr.reset"),
  "hr.cards": say("say.scope.hr.cards"),
  "hr.audit": say("say.scope.hr.audit"),
  "hr.authorizations": say("say.scope.hr.authorizations"),
};

/** Refusals that the same request meets again. */
const FINAL = ["client_unknown", "redirect_refused", "request_invalid", "ticket_expired"];

/** @param {Problem} problem */
function refuse(problem) {
  progress.hidden = true;
  part.hidden = true;
  const final = FINAL.includes(problem.code);
  if (final) dropPending();
  element("again", HTMLElement).hidden = final;
  showProblem(element("problem", HTMLElement), problem);
}

/**
 * @param {import("./authorization.js").Pending} pending
 * @param {"allow" | "deny"} [word]
 */
async function goOn(pending, word) {
  part.hidden = true;
  progress.hidden = false;
  try {
    const answer = await askAuthorization(pending, word);
    if (answer.status === "sign_in") {
      return signIn({ ...pending, client: answer.client_name, byCard: answer.by_card });
    }
    progress.hidden = true;
    const may = answer.scopes.map((scope) => {
      const item = document.createElement("li");
      item.textContent = SCOPES[scope] ?? scope;
      return item;
    });
    element("scopes", HTMLUListElement).replaceChildren(...may);
    revealQuestion(say("say.continue.ask", { client: answer.client_name }), answer);
  } catch (error) {
    refuse(asProblem(error));
  }
}

/** @param {import("./authorization.js").Pending} pending */
function signIn(pending) {
  keepPending(pending);
  comeBackTo("/continue");
  return giveWay("/");
}

/**
 * @param {string} id
 * @param {() => Promise<void>} act
 */
function onClick(id, act) {
  element(id, HTMLButtonElement).addEventListener("click", act);
}

const problem = sent.get("problem");
const request = sent.get("request");
if (request !== null) keepPending({ request, asked_at: Number(sent.get("asked_at")) });
const pending = pendingAuthorization();
ready();
if (problem !== null) {
  // The other language shows the same problem.
  for (const link of document.querySelectorAll("a[hreflang]")) {
    if (link instanceof HTMLAnchorElement) link.hash = `problem=${encodeURIComponent(problem)}`;
  }
  refuse(problemOf(problem));
} else if (!pending) {
  giveWay("/");
} else {
  onClick("allow", () => goOn(pending, "allow"));
  onClick("deny", () => goOn(pending, "deny"));
  onClick("other", async () => {
    try {
      await call("DELETE", "/v1/session");
    } catch (error) {
      // It may have ended meanwhile, which is what was wanted.
      if (!(error instanceof Problem && error.code === "session_required")) return refuse(asProblem(error));
    }
    await goOn(pending);
  });
  goOn(pending);
}
