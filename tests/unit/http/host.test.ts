import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { assertPassed, assertRefused, bare, pass, post } from "./support.ts";

/** Entry of `allowedHosts`, Host, whether it is served. */
const HOSTS: readonly (readonly [string, string, boolean])[] = [
  ["api.example", "api.example", true],
  ["api.example", "API.Example", true],
  ["API.EXAMPLE", "api.example", true],
  ["api.example", "api.example:8080", true],
  ["api.example", "evil.test", false],
  ["api.example", "api.example.evil.test", false],
  ["api.example", "x.api.example", false],
  ["api.example", "api.example.", false],
  ["api.example", "api.example@evil.test", false],
  ["api.example", "api.example/", false],
  ["api.example", "api.example, evil.test", false],
  ["api.example", "", false],
  ["api.example:8080", "api.example:8080", true],
  ["api.example:8080", "api.example", false],
  ["api.example:8080", "api.example:8081", false],
  ["api.example:443", "api.example", true],
  ["api.example:80", "api.example", true],
  ["api.example:80", "api.example:443", false],
  [".api.example", "x.api.example:1", true],
  [".api.example", "api.example", true],
  [".api.example", "xapi.example", false],
  ["127.0.0.1", "127.0.0.1:3000", true],
  ["127.0.0.1", "127.0.0.2:3000", false],
  ["[::1]", "[::1]", true],
  ["[::1]", "[::1]:3000", true],
  ["[::1]:3000", "[::1]:3000", true],
  ["[::1]:3000", "[::1]", false],
  ["[0:0::1]", "[::1]", true],
  ["[::1]", "[::2]", false],
];

describe("the Host gate", () => {
  for (const [entry, host, served] of HOSTS) {
    test(`[GATE-3] "${entry}" ${served ? "serves" : "doesn't serve"} "${host}"`, async () => {
      const outcome = await pass(bare("DELETE", { host }), { allowedHosts: ["other.test", entry] });
      if (served) assertPassed(outcome);
      else await assertRefused(outcome, 403, -32000, "host");
    });
  }

  test("[GATE-3] serves every host without allowedHosts", async () => {
    assertPassed(await pass(bare("DELETE", { host: "whatever.test" })));
    assertPassed(await pass(bare("DELETE", { host: "" })));
  });

  test("[GATE-3] refuses on every verb, and names the option", async () => {
    const options = { allowedHosts: ["localhost"] };
    for (const method of ["GET", "DELETE", "OPTIONS", "PUT"]) {
      await assertRefused(await pass(bare(method, { host: "a.b" }), options), 403, -32000, "host");
    }
    const outcome = await pass(post("{}", { host: "a.b" }), options);
    assert.match(await assertRefused(outcome, 403, -32000, "host"), /allowedHosts.*a\.b$/);
  });

  test("[GATE-3] the URL's host stands in for an absent Host header", async () => {
    const options = { allowedHosts: ["localhost"] };
    assertPassed(await pass(bare("DELETE", {}, "http://localhost:3000/"), options));
    await assertRefused(
      await pass(bare("DELETE", {}, "http://a.b/localhost"), options),
      403,
      -32000,
      "host",
    );
  });

  test("[GATE-3] entries that can't be read are misuse", () => {
    for (
      const entry of ["", "*", "http://api.example", "a b", "a/b", "[::1", "a:b", "::1", "a:1:2"]
    ) {
      assert.throws(() => gateSettings({ allowedHosts: [entry] }), TypeError, entry);
    }
    assert.throws(() => gateSettings({ allowedHosts: [] }), TypeError);
  });
});
