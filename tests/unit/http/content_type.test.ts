import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertPassed, assertRefused, bare, pass, post } from "./support.ts";

/** Content-Type, whether it is JSON. */
const TYPES: readonly (readonly [string | null, boolean])[] = [
  ["application/json", true],
  ["Application/JSON", true],
  ["application/json; charset=utf-8", true],
  ["application/json;charset=latin1", true],
  ["application/json ; x=y", true],
  [null, false],
  ["", false],
  [";", false],
  ["text/plain", false],
  ["text/json", false],
  ["application/jsonx", false],
  ["application/json-rpc", false],
  ["application/vnd.api+json", false],
  ["application/x-www-form-urlencoded", false],
  ["multipart/form-data; boundary=application/json", false],
  ["text/plain; application/json", false],
  ["application/json, text/plain", false],
  ["text/plain, application/json", false],
];

describe("the content type gate", () => {
  for (const [type, json] of TYPES) {
    test(`[GATE-6] Content-Type ${type} is ${json ? "" : "not "}JSON`, async () => {
      const body = new TextEncoder().encode('{"jsonrpc":"2.0","id":1,"method":"ping"}');
      const outcome = await pass(post(body, { "content-type": type }));
      if (json) assertPassed(outcome);
      else assert.match(await assertRefused(outcome, 415, -32000, "content-type"), /Content-Type/);
    });
  }

  test("[GATE-6] GET and DELETE need no content type", async () => {
    assertPassed(await pass(bare("GET", { "content-type": "text/plain" })));
    assertPassed(await pass(bare("DELETE")));
  });
});
