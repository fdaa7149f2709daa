import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseAccept } from "../../../src/http/gates/accept.ts";
import { assertLinear } from "../../support/growth.ts";
import { assertPassed, assertRefused, bare, pass, post } from "./support.ts";

/** Accept, whether it takes JSON, whether it takes SSE. */
const ACCEPTS: readonly (readonly [string | null, boolean, boolean])[] = [
  [null, true, true],
  ["", true, true],
  [",", true, true],
  ["*/*", true, true],
  ["*", true, true],
  ["application/json, text/event-stream", true, true],
  ["text/event-stream, application/json", true, true],
  ["application/json,text/event-stream", true, true],
  ["Application/JSON , TEXT/event-stream", true, true],
  ["application/json", true, false],
  ["text/event-stream", false, true],
  ["application/*", true, false],
  ["text/*", false, true],
  ["text/*, application/*", true, true],
  ["text/html", false, false],
  ["text/html, */*;q=0.1", true, true],
  ["application/json;q=0", false, false],
  ["application/json; q=0.0, text/event-stream", false, true],
  ["application/json;q=0.000,*/*", false, true],
  ["*/*, application/json;q=0", false, true],
  ["*/*;q=0, application/json", true, false],
  ["*/*;q=0", false, false],
  ["text/*;q=0, text/event-stream;q=0.1", false, true],
  ["text/event-stream;q=0, text/*", false, false],
  ["text/*;q=0, */*", true, false],
  ["application/json;Q=0, text/event-stream; Q=1", false, true],
  ["application/json;q=0, application/json", true, false],
  ["application/json;q=0.001", true, false],
  ["application/json;q=-1", false, false],
  ["application/json;q=", true, false],
  ["application/json;q=abc", true, false],
  ["application/json;charset=utf-8;q=0", false, false],
  ['application/json;profile="a,b;q=0"', true, false],
  ['application/json;profile="a\\",text/event-stream;x="', true, false],
  ['text/x;a="application/json', false, false],
  ["application/jsonx, text/event-streams", false, false],
  ["json", false, false],
  [" application/json ", true, false],
];

describe("the Accept gate", () => {
  for (const [accept, json, sse] of ACCEPTS) {
    test(`[GATE-6] Accept ${accept} takes JSON: ${json}, SSE: ${sse}`, async () => {
      assert.deepEqual(parseAccept(accept), { json, sse });
      // Some hosts fill an absent or empty Accept in.
      if (!accept) return;
      const posted = await pass(post(undefined, { accept }));
      if (json || sse) {
        const passed = assertPassed(posted);
        assert.ok(passed.verb === "POST");
        assert.deepEqual([passed.json, passed.sse], [json, sse]);
      } else {
        await assertRefused(posted, 406, -32000, "accept");
      }
      const got = await pass(bare("GET", { accept }));
      if (sse) assertPassed(got);
      else {
        assert.match(
          await assertRefused(got, 406, -32000, "accept"),
          /Accept: text\/event-stream$/,
        );
      }
      assertPassed(await pass(bare("DELETE", { accept })));
    });
  }

  test("[GATE-6] without an Accept header everything is accepted", async () => {
    const passed = assertPassed(await pass(post(undefined, { accept: null })));
    assert.ok(passed.verb === "POST" && passed.json && passed.sse);
    assertPassed(await pass(bare("GET")));
  });

  test("[GATE-6] is linear in the header's length", async () => {
    for (const part of [",", ";", '"', "q=", "\\", ' ;"', "*/*;q=0,"]) {
      await assertLinear(part, 100_000, (size) => parseAccept(part.repeat(size)));
    }
  });
});
