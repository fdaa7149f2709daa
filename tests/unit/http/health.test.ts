import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertPassed, assertRefused, bare, pass, post } from "./support.ts";

const at = (path: string, method = "GET") =>
  bare(method, { accept: "text/event-stream" }, `http://api.example${path}`);

describe("the health path", () => {
  test("[GATE-1] a GET of exactly it answers 200, and nothing else about the process", async () => {
    for (const path of ["/health", "/health?", "/health?x=/y#z"]) {
      const { response, events } = await pass(at(path), { healthPath: "/health" });
      assert.ok(response);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("content-type"), "application/json");
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.equal(await response.text(), '{"status":"ok"}');
      assert.deepEqual(events, []);
    }
  });

  test("[GATE-1] is off by default", async () => {
    assertPassed(await pass(at("/health")));
  });

  test("[GATE-1] answers before every other gate", async () => {
    const request = bare(
      "GET",
      { origin: "https://evil.test", host: "evil.test" },
      "http://a/health",
    );
    const { response } = await pass(request, {
      path: "/mcp",
      healthPath: "/health",
      allowedHosts: ["localhost"],
      requiredHeader: "x-key",
      rateLimit: {
        check() {
          throw new Error("must not be asked");
        },
      },
    });
    assert.equal(response?.status, 200);
  });

  test("[GATE-1] other paths fall through", async () => {
    for (const path of ["/", "/health/", "/healthz", "/Health", "/x/health", "/?/health"]) {
      assertPassed(await pass(at(path), { healthPath: "/health" }));
    }
  });

  test("[GATE-1] other verbs fall through", async () => {
    const options = { healthPath: "/health" };
    assertPassed(await pass(at("/health", "DELETE"), options));
    assertPassed(await pass(post(undefined, {}, "http://api.example/health"), options));
    await assertRefused(await pass(at("/health", "HEAD"), options), 405, -32000, "method");
    const both = { ...options, path: "/mcp" };
    await assertRefused(await pass(at("/health", "DELETE"), both), 404, -32000, "path");
  });
});
