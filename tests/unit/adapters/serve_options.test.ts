import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bareHostname, endpointUrl, serveSettings } from "../../../src/adapters/serve_options.ts";

describe("serveSettings()", () => {
  test("[GATE-3] binds to loopback and answers to loopback names alone by default", () => {
    const { handler, log, ...settings } = serveSettings({});
    assert.ok(log);
    assert.deepEqual(settings, {
      hostname: "127.0.0.1",
      port: 8_000,
      graceMs: 10_000,
      processes: 1,
      signals: true,
      path: "/mcp",
    });
    assert.deepEqual(handler, {
      path: "/mcp",
      allowedHosts: ["localhost", "127.0.0.1", "[::1]"],
    });
  });

  test("[GATE-3] leaves allowedHosts to the application on any other address", () => {
    for (const hostname of ["0.0.0.0", "::", "192.0.2.1", "mcp.example"]) {
      assert.equal(serveSettings({ hostname }).handler.allowedHosts, undefined);
    }
  });

  test("[GATE-3] keeps allowedHosts that are given, an empty list too", () => {
    assert.deepEqual(serveSettings({ allowedHosts: [] }).handler.allowedHosts, []);
    const allowedHosts = ["mcp.example"];
    assert.equal(serveSettings({ allowedHosts }).handler.allowedHosts, allowedHosts);
  });

  test("hands the handler its own options and no others", () => {
    const limits = { bodyBytes: 10 };
    const { handler } = serveSettings({ port: 0, graceMs: 0, signals: false, path: "/", limits });
    assert.deepEqual(Object.keys(handler).sort(), ["allowedHosts", "limits", "path"]);
    assert.equal(handler.limits, limits);
    assert.equal(handler.path, "/");
  });

  test("refuses what is out of range", () => {
    for (const port of [-1, 65_536, 1.5, Infinity, NaN]) {
      assert.throws(() => serveSettings({ port }), RangeError, `${port}`);
    }
    assert.throws(() => serveSettings({ graceMs: -1 }), RangeError);
    assert.equal(serveSettings({ port: 65_535 }).port, 65_535);
  });

  test("refuses what is of the wrong type", () => {
    const wrong: readonly unknown[] = [
      { hostname: "" },
      { hostname: 1 },
      { port: "80" },
      { graceMs: "1" },
      { signals: "yes" },
    ];
    // What callers without types may hand over.
    for (const options of wrong) assert.throws(() => serveSettings(options as never), TypeError);
  });
});

describe("endpointUrl()", () => {
  test("can be fetched from this machine", () => {
    for (
      const [hostname, host] of [
        ["127.0.0.1", "127.0.0.1"],
        ["localhost", "localhost"],
        ["0.0.0.0", "127.0.0.1"],
        ["::", "[::1]"],
        ["::1", "[::1]"],
        ["[::1]", "[::1]"],
      ] as const
    ) {
      const url = endpointUrl(hostname, 8_000, "/mcp");
      assert.equal(url, `http://${host}:8000/mcp`);
      assert.equal(new URL(url).host, `${host}:8000`);
    }
  });
});

describe("bareHostname()", () => {
  test("takes the brackets off IPv6 alone", () => {
    assert.equal(bareHostname("[::1]"), "::1");
    assert.equal(bareHostname("::1"), "::1");
    assert.equal(bareHostname("127.0.0.1"), "127.0.0.1");
  });
});
