import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  assertServerMessage,
  assertValid,
  definitionNames,
  SCHEMA_VERSIONS,
} from "../../support/schema.ts";

const invalid = { name: "AssertionError" };
const text = { type: "text", text: "hello" };
const tool = { name: "add", inputSchema: { type: "object" } };

function response(result: unknown): unknown {
  return { jsonrpc: "2.0", id: 1, result };
}

describe("assertValid()", () => {
  for (const version of SCHEMA_VERSIONS) {
    test(`takes and refuses content of ${version}`, () => {
      const more = version === "2026-07-28" ? { resultType: "complete" } : {};
      assertValid(version, "CallToolResult", { content: [text], ...more });
      assert.throws(() => assertValid(version, "CallToolResult", { ...more }), invalid);
      assert.throws(
        () => assertValid(version, "CallToolResult", { content: [{ type: "text" }], ...more }),
        invalid,
      );
      assert.throws(() => assertValid(version, "Tool", { name: "add" }), invalid);
    });

    test(`knows both kinds of response of ${version} by one name`, () => {
      assertValid(version, "JSONRPCResultResponse", response({ resultType: "complete" }));
      const error = { jsonrpc: "2.0", id: "a", error: { code: -32601, message: "No" } };
      assertValid(version, "JSONRPCErrorResponse", error);
      assert.throws(
        () => assertValid(version, "JSONRPCErrorResponse", { ...error, error: { code: "x" } }),
        invalid,
      );
    });
  }

  test("throws RangeError for a definition that the version doesn't have", () => {
    assert.throws(() => assertValid("2025-03-26", "ElicitRequest", {}), RangeError);
    assert.ok(definitionNames("2025-06-18").includes("ElicitRequest"));
  });

  test("names the place that is wrong", () => {
    assert.throws(
      () => assertValid("2025-11-25", "ListToolsResult", { tools: [{ ...tool, name: 7 }] }),
      /#\/tools\/0\/name/,
    );
  });
});

describe("assertServerMessage()", () => {
  test("checks the envelope of a response", () => {
    assertServerMessage("2025-11-25", response({}));
    assert.throws(() => assertServerMessage("2025-11-25", { id: 1, result: {} }), invalid);
    assert.throws(
      () => assertServerMessage("2025-11-25", { jsonrpc: "2.0", id: null, result: {} }),
      invalid,
    );
    assert.throws(() => assertServerMessage("2025-11-25", "text"), invalid);
  });

  test("checks a result by the request's method", () => {
    assertServerMessage("2025-06-18", response({ tools: [tool] }), "tools/list");
    assert.throws(
      () => assertServerMessage("2025-06-18", response({ tools: [{}] }), "tools/list"),
      invalid,
    );
    assert.throws(() => assertServerMessage("2025-06-18", response({}), "tools/dance"), RangeError);
  });

  test("checks a 2026 result by the definition of its response", () => {
    const cached = { resultType: "complete", ttlMs: 0, cacheScope: "public" };
    assertServerMessage("2026-07-28", response({ tools: [], ...cached }), "tools/list");
    assert.throws(
      () => assertServerMessage("2026-07-28", response({ tools: [], ttlMs: 0 }), "tools/list"),
      invalid,
    );
  });

  test("takes an error with the id null", () => {
    for (const version of SCHEMA_VERSIONS) {
      const error = { code: -32700, message: "Send JSON" };
      assertServerMessage(version, { jsonrpc: "2.0", id: null, error });
      assert.throws(
        () => assertServerMessage(version, { jsonrpc: "2.0", id: null, error: {} }),
        invalid,
      );
    }
  });

  test("checks notifications and requests to the client by their method", () => {
    const progress = { progressToken: "t", progress: 1 };
    const notification = { jsonrpc: "2.0", method: "notifications/progress", params: progress };
    assertServerMessage("2025-11-25", notification);
    assert.throws(
      () => assertServerMessage("2025-11-25", { ...notification, params: {} }),
      invalid,
    );
    const roots = { jsonrpc: "2.0", id: "q1", method: "roots/list" };
    assertServerMessage("2025-11-25", roots);
    assert.throws(
      () => assertServerMessage("2025-11-25", { ...roots, method: "tools/list" }),
      invalid,
    );
    assert.throws(() => assertServerMessage("2026-07-28", roots), RangeError);
  });
});
