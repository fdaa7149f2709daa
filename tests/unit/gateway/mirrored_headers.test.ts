import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeHeader,
  HeaderParams,
  mirroredHeaders,
} from "../../../src/gateway/upstreams/mirrored_headers.ts";
import { decodeHeader } from "../../../src/protocol/headers.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";

const _meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28" };

function mirrored(method: string, params: JsonObject, tools = new HeaderParams()) {
  const message = { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } } as const;
  return mirroredHeaders(message, (tool) => tools.of(tool));
}

test("[GTW-10] values are encoded as the specification's examples are", () => {
  // 2026-07-28, Streamable HTTP, Value Encoding
  const examples = [
    ["us-west1", "us-west1"],
    ["Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="],
    [" padded ", "=?base64?IHBhZGRlZCA=?="],
    ["line1\nline2", "=?base64?bGluZTEKbGluZTI=?="],
    ["=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="],
  ] as const;
  for (const [text, encoded] of examples) {
    assert.equal(encodeHeader(text), encoded);
    assert.equal(decodeHeader(encoded), text);
  }
});

test("[GTW-10] a request's headers say its version, method and name", () => {
  assert.deepEqual(mirrored("tools/call", { name: "a" }), {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "a",
  });
  assert.equal(mirrored("resources/read", { uri: "a:ü" })?.["mcp-name"], "=?base64?YTrDvA==?=");
  assert.equal(mirrored("prompts/get", { name: "p" })?.["mcp-name"], "p");
  assert.equal(mirrored("tools/list", { name: "a" })?.["mcp-name"], undefined);
  assert.equal(mirrored("tools/call", { name: 7 })?.["mcp-name"], undefined);
});

test("[GTW-10] messages of the older era, and answers, have no such headers", () => {
  const none = () => undefined;
  const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "a" } } as const;
  assert.equal(mirroredHeaders(call, none), undefined);
  assert.equal(mirroredHeaders({ jsonrpc: "2.0", id: 1, result: {} }, none), undefined);
});

test("[GTW-10] marked arguments are repeated, at whatever depth, and missing ones left out", () => {
  const tools = new HeaderParams();
  const inputSchema = {
    type: "object",
    properties: {
      region: { type: "string", "x-mcp-header": "Region" },
      count: { type: "integer", "x-mcp-header": "Count" },
      dry: { type: "boolean", "x-mcp-header": "Dry" },
      deep: { type: "object", properties: { a: { type: "string", "x-mcp-header": "Deep" } } },
    },
  };
  tools.learn({ tools: [{ name: "t", inputSchema }] });
  const given = { region: "é", count: -7, dry: false, deep: { a: "b" } };
  const headers = mirrored("tools/call", { name: "t", arguments: given }, tools);
  assert.equal(headers?.["mcp-param-region"], "=?base64?w6k=?=");
  assert.equal(headers?.["mcp-param-count"], "-7");
  assert.equal(headers?.["mcp-param-dry"], "false");
  assert.equal(headers?.["mcp-param-deep"], "b");
  const missing = mirrored("tools/call", { name: "t", arguments: { region: null } }, tools);
  assert.ok(!Object.keys(missing ?? {}).some((name) => name.startsWith("mcp-param-")));
  // A tool that isn't marked any more is forgotten.
  tools.learn({ tools: [{ name: "t", inputSchema: { type: "object" } }] });
  assert.equal(tools.of("t"), undefined);
});
