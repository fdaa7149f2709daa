import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { assertPassed, assertRefused, bare, pass, post } from "./support.ts";

describe("the required header gate", () => {
  const requests = (headers: Record<string, string>) => [
    post(undefined, headers),
    bare("GET", headers),
    bare("DELETE", headers),
  ];

  test("[GATE-7] a name asks for the header, whatever is in it, on every verb", async () => {
    for (const requiredHeader of ["X-Team", { name: "x-team" }]) {
      for (const request of requests({ "x-team": "blue" })) {
        assertPassed(await pass(request, { requiredHeader }));
      }
      for (const request of requests({ "x_team": "blue", "x-teams": "blue" })) {
        const outcome = await pass(request, { requiredHeader });
        assert.match(await assertRefused(outcome, 403, -32000, "required-header"), /x-team$/);
      }
    }
  });

  test("[GATE-7] a name and a value ask for both, on every verb", async () => {
    const requiredHeader = { name: "X-Team", value: "blue" };
    for (const request of requests({ "X-TEAM": "blue" })) {
      assertPassed(await pass(request, { requiredHeader }));
    }
    for (const value of ["Blue", "blue, blue", "", "red"]) {
      for (const request of requests({ "x-team": value })) {
        const message = await assertRefused(
          await pass(request, { requiredHeader }),
          403,
          -32000,
          "required-header",
        );
        assert.doesNotMatch(message, /blue/);
      }
    }
  });

  test("[GATE-7] is asked before the body is read", async () => {
    const request = post();
    const outcome = await pass(request, { requiredHeader: "x-team" });
    await assertRefused(outcome, 403, -32000, "required-header");
    assert.equal(request.bodyUsed, false);
  });

  test("[GATE-7] what can't be a header is misuse", () => {
    for (const name of ["", "x team", "x:y", "é", "x\n"]) {
      assert.throws(() => gateSettings({ requiredHeader: name }), TypeError, name);
      assert.throws(() => gateSettings({ requiredHeader: { name } }), TypeError, name);
    }
    // @ts-expect-error no name
    assert.throws(() => gateSettings({ requiredHeader: {} }), TypeError);
    // @ts-expect-error not a text
    assert.throws(() => gateSettings({ requiredHeader: { name: "x", value: 1 } }), TypeError);
  });
});
