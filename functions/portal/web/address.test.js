// The page's reading of an address against the rows that the server's is held against. Run by `node --test`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { meantAddress } from "./assets/address.js";

const rows = JSON.parse(readFileSync(new URL("../../../shared/src/email_address.json", import.meta.url), "utf8"));

for (const [what, typed, understood] of rows) {
  test(what, () => assert.equal(meantAddress(typed), understood));
}
