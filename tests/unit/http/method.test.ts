import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { Inbound } from "../../../src/http/inbound.ts";
import { assertPassed, assertRefused, bare, pass, passHead, post } from "./support.ts";

const CORS = { allowedOrigins: ["https://app.example"] };

describe("the method gate", () => {
  for (const method of ["PUT", "PATCH", "HEAD", "PROPFIND", "OPTIONS"]) {
    test(`[GATE-5] ${method} gets a 405 that names the methods`, async () => {
      const outcome = await pass(bare(method));
      assert.equal(outcome.response?.headers.get("allow"), "GET, POST, DELETE");
      assert.match(await assertRefused(outcome, 405, -32000, "method"), /GET, POST, DELETE/);
    });
  }

  test("[GATE-5] [GATE-12] OPTIONS is named among the methods where CORS is on", async () => {
    const on = await pass(bare("PUT"), CORS);
    assert.equal(on.response?.headers.get("allow"), "GET, POST, DELETE, OPTIONS");
    const off = await pass(bare("PUT"), { ...CORS, cors: false });
    assert.equal(off.response?.headers.get("allow"), "GET, POST, DELETE");
  });

  test("[GATE-5] POST, GET and DELETE go through", async () => {
    assert.equal(assertPassed(await pass(post())).verb, "POST");
    assert.equal(assertPassed(await pass(bare("GET"))).verb, "GET");
    assert.equal(assertPassed(await pass(bare("DELETE"))).verb, "DELETE");
  });

  test("[GATE-5] GET and DELETE take no promise, and leave the body alone", () => {
    const settings = gateSettings({});
    const request = new Request("http://a/", { method: "DELETE", body: "x" });
    assert.equal(passHead(new Inbound(request), settings), undefined);
    assert.equal(request.bodyUsed, false);
    assert.equal(passHead(new Inbound(bare("GET")), settings), undefined);
  });
});
