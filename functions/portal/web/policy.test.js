// The page's evaluation of a password against the passwords of `policy.json`, as the server's is in `src/site.rs`.
// Run by `node --test`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { accountName, broken, localPart } from "./assets/rules.js";

const { policies, passwords } = JSON.parse(readFileSync(new URL("policy.json", import.meta.url), "utf8"));

for (const { what, policy, password, account, email, name, broken: expected } of passwords) {
  test(what, () => {
    const names = [accountName(account ?? ""), localPart(email ?? ""), name];
    assert.deepEqual(broken(policies[policy], password, names), expected);
  });
}
