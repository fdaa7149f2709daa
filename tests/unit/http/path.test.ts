import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { pathOf } from "../../../src/http/gates/path.ts";
import { assertPassed, assertRefused, bare, pass } from "./support.ts";

const at = (path: string, method = "GET") =>
  bare(method, { accept: "text/event-stream" }, `http://api.example${path}`);

describe("the path gate", () => {
  test("[GATE-1] serves the named path alone", async () => {
    const options = { path: "/mcp" };
    assertPassed(await pass(at("/mcp?x=1"), options));
    assertPassed(await pass(at("/mcp", "DELETE"), options));
    for (const path of ["/", "/mcp//", "/mcp/x", "/mc", "/MCP", "/?/mcp", "//mcp"]) {
      for (const method of ["GET", "DELETE", "PUT", "OPTIONS"]) {
        await assertRefused(await pass(at(path, method), options), 404, -32000, "path");
      }
    }
  });

  test("[GATE-13] a slash at the end makes no difference, and any other path is told the right one", async () => {
    for (const path of ["/mcp", "/mcp/"]) {
      for (const asked of ["/mcp", "/mcp/", "/mcp?x=1", "/mcp/?x=1"]) {
        assertPassed(await pass(at(asked), { path }));
      }
    }
    assertPassed(await pass(at("/"), { path: "/" }));
    const wrong = await pass(at("/sse"), { path: "/mcp" });
    const message = await assertRefused(wrong, 404, -32000, "path");
    assert.equal(message, "Not found: the MCP endpoint is at /mcp");
  });

  test("[GATE-1] paths are compared as they stand in URLs", async () => {
    assertPassed(await pass(at("/b%C3%BCcher"), { path: "/bücher" }));
    assertPassed(await pass(at("/a/mcp"), { path: "/a/b/../mcp" }));
  });

  test("[GATE-1] paths that can't be one are misuse", () => {
    for (const path of ["", "mcp", "http://a/mcp", "/mcp?x", "/mcp#x"]) {
      assert.throws(() => gateSettings({ path }), TypeError, path);
      assert.throws(() => gateSettings({ healthPath: path }), TypeError, path);
    }
    assert.throws(() => gateSettings({ path: "/x", healthPath: "/x" }), TypeError);
    assert.throws(() => gateSettings({ path: "/x", healthPath: "/y/../x" }), TypeError);
  });

  test("[GATE-1] `pathOf()` agrees with URL on every form", () => {
    const urls = [
      "http://a",
      "http://a/",
      "http://a?",
      "http://a?/x",
      "http://a#/x",
      "http://a/x",
      "http://a/x?y",
      "http://a/x#y?z",
      "http://a/x?y#z/",
      "http://a/#?",
      "https://u:p@a:8/x/y/?z",
      "http://[::1]:8/x",
    ];
    for (const url of urls) assert.equal(pathOf(url), new URL(url).pathname, url);
  });
});
