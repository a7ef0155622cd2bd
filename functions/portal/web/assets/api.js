// Calls to the JSON API. Every refusal is thrown as a `Problem`.

/** How long API Gateway itself waits for an answer, and a little more. */
const PATIENCE_MS = 35_000;

/** How far the server's clock is ahead of this computer's, as its last answer showed. */
let ahead = 0;

/** The server's time, in milliseconds: what its answers call a time is to be held against this. */
export function serverNow() {
  return Date.now() + ahead;
}

/** A refusal: the API's problem+json, or what stands for it when there is none. */
export class Problem extends Error {
  /**
   * @param {{ code?: string, title?: string, detail?: string, status?: number, field?: string,
   *   rules?: { code: string, text: string }[], retry_after?: number, request_id?: string }} body
   */
  constructor(body) {
    super(body.code ?? "unavailable");
    this.code = body.code ?? "unavailable";
    this.title = body.title ?? "";
    this.detail = body.detail ?? "";
    this.status = body.status ?? 0;
    this.field = body.field;
    this.rules = body.rules ?? [];
    this.requestId = body.request_id;
    /** When it is worth trying again, in milliseconds. */
    this.retryAt = body.retry_after === undefined ? undefined : Date.now() + body.retry_after * 1000;
  }
}

/**
 * Calls the API in the page's language.
 * @param {"GET" | "POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {object} [body] JSON, or a file: its encoding is for its reader to find out
 * @param {Record<string, string>} [more] further headers
 * @returns {Promise<any>} the answer's JSON, or nothing for 204
 */
export async function call(method, path, body, more = {}) {
  /** @type {Record<string, string>} */
  const headers = { "Accept": "application/json", "Accept-Language": document.documentElement.lang, ...more };
  const isFile = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = isFile ? "application/octet-stream" : "application/json";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : isFile ? body : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch {
    throw new Problem({ code: "unreachable" });
  }
  const date = Date.parse(response.headers.get("date") ?? "");
  if (!Number.isNaN(date)) ahead = date - Date.now();
  if (response.status === 204) return undefined;
  const json = await response.json().catch(() => ({}));
  if (response.ok) return json;
  // What the gateway itself refuses (its throttle, say) is no problem+json and has no title.
  throw new Problem(typeof json.code === "string" ? json : { status: response.status });
}
