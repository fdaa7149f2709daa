import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { assertPassed, assertRefused, bare, pass, post } from "./support.ts";

const DEL = (origin: string | null, host: string | null = "api.example"): Request =>
  bare("DELETE", { origin, host });

/** Entry of `allowedOrigins`, Origin, whether it may call. */
const ORIGINS: readonly (readonly [string, string, boolean])[] = [
  ["https://app.example", "https://app.example", true],
  ["https://app.example", "HTTPS://App.Example", true],
  ["HTTPS://APP.EXAMPLE", "https://app.example", true],
  ["https://app.example", "https://app.example:8443", false],
  ["https://app.example", "http://app.example", false],
  ["https://app.example", "https://app.example.evil", false],
  ["https://app.example", "https://evilapp.example", false],
  ["https://app.example", "https://sub.app.example", false],
  ["https://app.example", "https://app.example.", false],
  ["https://app.example", "https://app.example/", false],
  ["https://app.example", "https://app.example@evil.test", false],
  ["https://app.example", "https://evil.test/https://app.example", false],
  ["https://app.example", "https://evil.test#https://app.example", false],
  ["https://app.example", "https://app.example, https://evil.test", false],
  ["https://app.example", "https://app.example:", false],
  ["https://app.example", "https://app.example:x", false],
  ["https://app.example", "https://app.example:443:443", false],
  ["https://app.example", "https://", false],
  ["https://app.example", "app.example", false],
  ["https://app.example", "", false],
  ["https://app.example", "null", false],
  ["https://app.example:8443", "https://app.example:8443", true],
  ["https://app.example:8443", "https://app.example", false],
  ["https://app.example:8443", "https://app.example:84430", false],
  ["https://app.example:443", "https://app.example", true],
  ["https://app.example:443", "https://app.example:443", true],
  ["http://app.example:80", "http://app.example", true],
  ["http://app.example:443", "http://app.example", false],
  ["https://.app.example", "https://app.example", true],
  ["https://.app.example", "https://a.b.app.example:1", false],
  ["https://.app.example", "https://evilapp.example", false],
  ["https://.app.example", "http://a.app.example", false],
  ["https://.app.example:8443", "https://a.app.example:8443", true],
  ["https://.app.example:8443", "https://a.app.example", false],
  [".app.example", "https://a.app.example", true],
  [".app.example", "http://app.example:3000", true],
  [".app.example", "ftp://app.example", false],
  [".app.example", ".app.example", false],
  ["app.example", "http://app.example", true],
  ["app.example", "https://app.example:3000", true],
  ["app.example", "https://sub.app.example", false],
  ["app.example:3000", "https://app.example:3000", true],
  ["app.example:3000", "https://app.example", false],
  ["https://[2001:db8::1]", "https://[2001:db8::1]:8443", false],
  ["https://[2001:DB8:0::1]", "https://[2001:db8::1]", true],
  ["https://[2001:db8::1]", "https://[2001:db8::2]", false],
  ["https://bücher.example", "https://xn--bcher-kva.example", true],
  ["chrome-extension://abcdefgh", "chrome-extension://abcdefgh", true],
  ["chrome-extension://abcdefgh", "chrome-extension://abcdefgi", false],
  ["http://localhost", "http://localhost:5173", false],
];

/** Origin, Host, whether a page may call without being configured. */
const LOOPBACK: readonly (readonly [string, string, boolean])[] = [
  ["http://localhost:6274", "localhost:3000", true],
  ["http://LOCALHOST", "LocalHost", true],
  ["https://127.0.0.1:1", "127.0.0.1", true],
  ["http://127.255.3.9", "[::1]:3000", true],
  ["http://[::1]", "127.8.8.8:80", true],
  ["http://localhost", "api.example", false],
  ["http://evil.test", "localhost:3000", false],
  ["http://evil.test", "evil.test", false],
  ["http://localhost.", "localhost", false],
  ["http://localhost.evil.test", "localhost", false],
  ["http://notlocalhost", "localhost", false],
  ["http://127.0.0.1.evil.test", "localhost", false],
  ["http://127.evil", "localhost", false],
  ["http://127.0.0.256", "localhost", false],
  ["http://127.1", "localhost", false],
  ["http://128.0.0.1", "localhost", false],
  ["http://[::2]", "localhost", false],
  ["http://0.0.0.0", "localhost", false],
  ["chrome-extension://localhost", "localhost", false],
  ["null", "localhost", false],
  ["http://localhost", "localhost@evil.test", false],
  ["http://localhost", "localhost, evil.test", false],
  ["http://localhost", "", false],
];

describe("the Origin gate", () => {
  test("[GATE-2] lets requests without an Origin pass, on every verb", async () => {
    assertPassed(await pass(post()));
    assertPassed(await pass(bare("GET", { accept: "text/event-stream" })));
    assertPassed(await pass(DEL(null)));
  });

  for (const [entry, origin, allowed] of ORIGINS) {
    test(`[GATE-2] "${entry}" ${allowed ? "allows" : "doesn't allow"} "${origin}"`, async () => {
      const outcome = await pass(DEL(origin), { allowedOrigins: ["https://other.test", entry] });
      if (allowed) assertPassed(outcome);
      else await assertRefused(outcome, 403, -32000, "origin");
    });
  }

  for (const [origin, host, allowed] of LOOPBACK) {
    const verdict = allowed ? "may" : "may not";
    test(`[GATE-2] "${origin}" ${verdict} call host "${host}" unconfigured`, async () => {
      for (const options of [{}, { allowedOrigins: [] }, { allowedOrigins: ["https://a.test"] }]) {
        const outcome = await pass(DEL(origin, host), options);
        if (allowed) assertPassed(outcome);
        else await assertRefused(outcome, 403, -32000, "origin");
      }
    });
  }

  test("[GATE-2] refuses on every verb, the preflight included", async () => {
    const headers = { origin: "https://evil.test", host: "api.example" };
    for (const options of [{}, { allowedOrigins: ["https://app.example"] }]) {
      await assertRefused(await pass(post("{}", headers), options), 403, -32000, "origin");
      for (const method of ["GET", "DELETE", "OPTIONS", "PUT", "HEAD"]) {
        await assertRefused(await pass(bare(method, headers), options), 403, -32000, "origin");
      }
    }
  });

  test("[GATE-2] the URL's host stands in for an absent Host header", async () => {
    const origin = "http://localhost:6274";
    const at = (url: string) => bare("DELETE", { origin }, url);
    assertPassed(await pass(at("http://localhost:3000/mcp?x=/")));
    assertPassed(await pass(at("http://127.0.0.1?/")));
    assertPassed(await pass(at("http://[::1]:8080/")));
    await assertRefused(await pass(at("http://api.example/localhost")), 403, -32000, "origin");
    await assertRefused(await pass(at("http://api.example?@localhost")), 403, -32000, "origin");
  });

  test("[GATE-2] same-origin alone is no reason to allow (DNS rebinding)", async () => {
    const request = bare("DELETE", { origin: "http://evil.test", host: "evil.test" });
    await assertRefused(await pass(request), 403, -32000, "origin");
  });

  test("[GATE-2] names the option, and quotes little of the Origin", async () => {
    const origin = `https://${"a".repeat(5000)}.test`;
    const message = await assertRefused(await pass(DEL(origin)), 403, -32000, "origin");
    assert.match(message, /allowedOrigins/);
    assert.ok(message.length < 250);
  });

  test("[GATE-2] entries that can't be read are misuse", () => {
    const bad = [
      "*",
      "null",
      "",
      ".",
      "https://",
      "https://*.example",
      "https://app.example/",
      "https://app.example/path",
      "https://user@app.example",
      "https://app.example:port",
      "https://app.example:",
      "https://app example",
      "1https://app.example",
      "https://[::1",
      "app.example?x",
    ];
    for (const entry of bad) {
      assert.throws(() => gateSettings({ allowedOrigins: [entry] }), TypeError, entry);
    }
    // @ts-expect-error not an array
    assert.throws(() => gateSettings({ allowedOrigins: "https://app.example" }), TypeError);
    // @ts-expect-error not a text
    assert.throws(() => gateSettings({ allowedOrigins: [/app/] }), TypeError);
  });
});
