// New staff by a file: look at what would come of every row, confirm, follow, and take the result.

import { onSubmit } from "./form.js";
import { MAIL } from "./mail.js";
import { asProblem, ask, describe, element, fill, fromTemplate, pressed, reveal, say, showProblem, toHome, within } from "./page.js";
import { callSignedIn, mayAuthorize, withSession } from "./session.js";

/** @typedef {"preview" | "expired" | "queued" | "running" | "done" | "stopped" | "cancelled"} State */
/**
 * @typedef {object} Bulk
 * @property {string} bulk_id
 * @property {State} state
 * @property {number} rows
 * @property {number} to_reset
 * @property {{ reset: number, refused: number, remaining: number }} progress
 * @property {{ code: string, reason: string }} [stopped_by]
 */
/** @typedef {import("./mail.js").Mail} Mail */
/**
 * @typedef {object} Row
 * @property {number} line
 * @property {string} [national_id] masked
 * @property {string} [email] masked
 * @property {"to_reset" | "reset" | "refused" | "cancelled"} status
 * @property {string} [reason]
 * @property {Mail} [mail]
 */

const STATE = {
  preview: say("say.bulk.preview"),
  expired: say("say.bulk.expired"),
  queued: say("say.bulk.queued"),
  running: say("say.bulk.running"),
  done: say("say.bulk.done"),
  stopped: say("say.bulk.stopped"),
  cancelled: say("say.bulk.cancelled"),
};
/** What to do next, where the state does not say it. */
const NEXT = /** @type {Partial<Record<State, string>>} */ ({
  preview: say("say.bulk.next.preview"),
  queued: say("say.bulk.next.running"),
  running: say("say.bulk.next.running"),
  done: say("say.bulk.next.done"),
});
const NOBODY = say("say.bulk.next.nobody");
const ROW = {
  to_reset: say("say.bulk.row.to_reset"),
  reset: say("say.bulk.row.reset"),
  refused: say("say.bulk.row.refused"),
  cancelled: say("say.bulk.row.cancelled"),
};

/** How long to wait before asking again how far it has come. */
const ASK_MS = 2_000;
/** How often to look at the mails of a bulk reset that is done. */
const LOOKS = 30;
const LOOK_MS = 10_000;

const upload = element("upload", HTMLFormElement);
const part = element("bulk", HTMLElement);
const problem = element("bulk-problem", HTMLElement);
const confirmButton = element("confirm", HTMLButtonElement);
const cancelButton = element("cancel", HTMLButtonElement);
const rowsPart = element("rows", HTMLElement);
const list = element("row-list", HTMLUListElement);
const onlyRefused = element("only-refused", HTMLInputElement);
const more = element("more", HTMLButtonElement);

/** The one that the page shows. @type {Bulk | undefined} */
let shown;
/** Where the list of rows goes on. @type {string | undefined} */
let cursor;

/** @param {Bulk} bulk */
function address(bulk) {
  return `/v1/hr/bulk-resets/${encodeURIComponent(bulk.bulk_id)}`;
}

/** @param {Bulk} bulk */
function show(bulk) {
  shown = bulk;
  // A reload of the page, or its address in another tab, finds it again.
  history.replaceState(null, "", `#${bulk.bulk_id}`);
  const { state, rows, to_reset: toReset, progress } = bulk;
  const place = element("bulk-state", HTMLElement);
  // What a screen reader has said it is not told again.
  if (place.textContent !== STATE[state]) place.textContent = STATE[state];
  const begun = state !== "preview" && state !== "expired";
  fill("bulk-rows", String(rows));
  fill("bulk-to-reset", String(toReset));
  fill("bulk-refused", String(rows - toReset));
  const { reset, refused, remaining } = progress;
  fill("bulk-done", begun
    ? say("say.bulk.count", { reset: String(reset), refused: String(refused), remaining: String(remaining) })
    : undefined);
  const bar = element("bulk-progress", HTMLProgressElement);
  bar.hidden = !begun;
  bar.max = Math.max(toReset, 1);
  bar.value = reset + refused;
  const stopped = element("bulk-stopped", HTMLElement);
  stopped.hidden = bulk.stopped_by === undefined;
  stopped.textContent = bulk.stopped_by?.reason ?? "";
  fill("bulk-next", state === "preview" && toReset === 0 ? NOBODY : NEXT[state]);
  confirmButton.hidden = state !== "preview" || toReset === 0;
  cancelButton.hidden = !["preview", "queued", "running"].includes(state);
  const result = element("result", HTMLAnchorElement);
  result.hidden = !begun;
  result.href = `${address(bulk)}/result`;
  upload.hidden = true;
  part.hidden = false;
}

/** Whether the page still shows a bulk reset that runs. @param {Bulk} bulk */
function runs(bulk) {
  return shown?.bulk_id === bulk.bulk_id && (shown.state === "queued" || shown.state === "running");
}

/** @param {number} ms */
function pass(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks how far it has come until it is over, and then where its mails are. */
async function follow() {
  const bulk = shown;
  if (!bulk || !runs(bulk)) return;
  while (runs(bulk)) {
    await pass(ASK_MS);
    try {
      show(await callSignedIn("GET", address(bulk)));
      problem.hidden = true;
    } catch (error) {
      describe(problem, asProblem(error));
    }
  }
  for (let looked = 0; looked < LOOKS && shown?.bulk_id === bulk.bulk_id; looked += 1) {
    // Whoever reads further down is not disturbed.
    if (list.childElementCount <= 100) await listRows(true);
    if (!list.querySelector("[data-mail=queued], [data-mail=sent]")) return;
    await pass(LOOK_MS);
  }
}

/**
 * Lists rows: from the first on, or the next ones.
 * @param {boolean} anew
 */
async function listRows(anew) {
  if (!shown) return;
  const from = anew || cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
  /** @type {{ rows: Row[], next_cursor?: string }} */
  const page = await callSignedIn("GET", `${address(shown)}/rows?refused=${onlyRefused.checked}${from}`);
  const items = page.rows.map(rowItem);
  if (anew) list.replaceChildren(...items);
  else list.append(...items);
  cursor = page.next_cursor;
  more.hidden = cursor === undefined;
  rowsPart.hidden = false;
  within(rowsPart, ".none").hidden = list.childElementCount > 0;
  if (!anew) items[0]?.focus();
}

/** @param {Row} row */
function rowItem({ line, national_id: id = "", email = "", status, reason = "", mail }) {
  const made = fromTemplate("row");
  within(made, "[data-who]").textContent = say("say.bulk.row", { line: String(line), id, email });
  const state = within(made, "[data-state]");
  state.textContent = mail ? MAIL[mail] : ROW[status];
  if (mail) state.dataset.mail = mail;
  if (status === "refused") state.classList.add("bad");
  within(made, "[data-why]").textContent = reason;
  return made;
}

/** Whether something is being done about the bulk reset. */
let acting = false;

/**
 * Does something about the bulk reset, one thing at a time, and shows what went wrong.
 * @param {HTMLButtonElement} button
 * @param {() => Promise<void>} act
 */
function onPress(button, act) {
  button.addEventListener("click", async () => {
    if (acting) return;
    acting = true;
    await pressed(button, problem, act);
    acting = false;
  });
}

onSubmit(upload, async () => {
  const [file] = element("file", HTMLInputElement).files ?? [];
  if (!file) return;
  problem.hidden = true;
  const query = element("include-active", HTMLInputElement).checked ? "?include_active=true" : "";
  show(await callSignedIn("POST", `/v1/hr/bulk-resets${query}`, file));
  upload.reset();
  reveal(part);
  try {
    await listRows(true);
  } catch (error) {
    // The form is out of sight by now.
    showProblem(problem, error);
  }
});

onPress(confirmButton, async () => {
  if (!shown) return;
  element("confirmation-text", HTMLElement).textContent = say("say.bulk.confirm", { count: String(shown.to_reset) });
  if (!await ask(element("confirmation", HTMLDialogElement))) {
    confirmButton.focus();
    return;
  }
  show(await callSignedIn("POST", `${address(shown)}/confirm`));
  part.focus();
  follow();
});

onPress(cancelButton, async () => {
  if (!shown) return;
  await callSignedIn("DELETE", address(shown));
  show(await callSignedIn("GET", address(shown)));
  part.focus();
  await listRows(true);
});

onPress(more, () => listRows(false));

onlyRefused.addEventListener("change", async () => {
  try {
    await listRows(true);
  } catch (error) {
    showProblem(problem, error);
  }
});

element("another", HTMLButtonElement).addEventListener("click", () => {
  shown = undefined;
  history.replaceState(null, "", location.pathname);
  part.hidden = true;
  rowsPart.hidden = true;
  upload.hidden = false;
  element("file", HTMLInputElement).focus();
});

let begun = false;

withSession(element("desk", HTMLElement), async (session) => {
  if (!mayAuthorize(session)) {
    toHome();
    return;
  }
  fill("who", session.subject === "agency" ? session.agency_name : `${session.agency_name} ${session.name}`);
  const id = location.hash.slice(1);
  if (begun || id === "") return;
  begun = true;
  try {
    show(await callSignedIn("GET", `/v1/hr/bulk-resets/${encodeURIComponent(id)}`));
    await listRows(true);
    await follow();
  } catch (error) {
    part.hidden = false;
    describe(problem, asProblem(error));
  }
});
