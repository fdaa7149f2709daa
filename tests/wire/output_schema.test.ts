/**
 * Output schemas of any type, as the official clients of each era get them.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { fromJsonSchema } from "../../src/server/schemas/from_json_schema.ts";
import { McpServer } from "../../src/server/server.ts";
import { OFFICIAL } from "../clients/in_process.ts";
import { ModernPeer } from "../support/modern.ts";
import { initialize, type Peer, textOf } from "../support/wire.ts";

const TREE = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $defs: {
    node: {
      type: "object",
      properties: {
        name: { type: "string" },
        children: { type: "array", items: { $ref: "#/$defs/node" } },
      },
      required: ["name"],
      additionalProperties: false,
    },
  },
  type: "array",
  items: { $ref: "#/$defs/node" },
};
const FOREST = [{ name: "a", children: [{ name: "b" }] }];
const NESTED = { type: "array", items: { anyOf: [{ type: "number" }, { $ref: "#" }] } };

/** A value for each tool, by its name. */
const VALUES: Readonly<Record<string, unknown>> = {
  array: [1, 2],
  union: "text",
  either: { a: 1 },
  objects: { kind: "b", b: "x" },
  text: "plain",
  nothing: null,
  tree: FOREST,
  nested: [1, [2, [3]]],
  object: { sum: 3 },
};
/** The tools whose data a 2025 client gets as it is. */
const UNWRAPPED = new Set(["objects", "object"]);

function makeServer(): McpServer {
  const server = new McpServer({ name: "outputs", version: "1.0.0" });
  const schemas = {
    array: z.array(z.number()),
    union: z.union([z.string(), z.number()]),
    either: z.union([z.object({ a: z.number() }), z.string()]),
    objects: z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("a"), a: z.number() }),
      z.object({ kind: z.literal("b"), b: z.string() }),
    ]),
    text: z.string(),
    nothing: z.null(),
    tree: fromJsonSchema(TREE),
    nested: fromJsonSchema(NESTED),
    object: z.object({ sum: z.number() }),
  };
  for (const [name, outputSchema] of Object.entries(schemas)) {
    // The values fit, and one that doesn't is refused below.
    server.registerTool(name, { outputSchema }, () => ({
      structuredContent: VALUES[name] as never,
    }));
  }
  server.registerTool("no_schema", {}, () => ({ structuredContent: [1] }));
  server.registerTool("wrong", { outputSchema: schemas.array }, () => ({
    structuredContent: ["x"] as never,
  }));
  return server;
}

async function ask(peer: Peer, method: string, params?: JsonObject): Promise<JsonObject> {
  return await peer.result(await peer.request(1, method, params));
}

describe("output schemas that are not of an object", () => {
  for (const { name, connect, era } of OFFICIAL) {
    test(`[SRV-7] ${name} accepts the list and each result, and checks them`, async () => {
      const handler = createMcpHandler(makeServer());
      const client = await connect(handler);
      const tools = await client.list();
      assert.equal(tools.length, Object.keys(VALUES).length + 2);
      for (const [tool, value] of Object.entries(VALUES)) {
        const wrapped = era === "2025" && !UNWRAPPED.has(tool);
        assert.deepEqual(await client.call(tool), wrapped ? { result: value } : value, tool);
      }
      const bare = era === "2025" ? { result: [1] } : [1];
      assert.deepEqual(await client.call("no_schema"), bare);
      await client.close();
      await handler.close();
    });
  }

  test("[SRV-7] in 2026-07-28 a schema and a value are sent as they are, with their text", async () => {
    const handler = createMcpHandler(makeServer());
    const peer = new ModernPeer(handler);
    const { tools } = await peer.ask("tools/list");
    const schemas = new Map((tools as JsonObject[]).map((tool) => [tool.name, tool.outputSchema]));
    assert.deepEqual(schemas.get("array"), { type: "array", items: { type: "number" } });
    assert.deepEqual(schemas.get("tree"), TREE);
    const result = await peer.say("array");
    assert.deepEqual(result.structuredContent, [1, 2]);
    assert.equal(textOf(result), "[1,2]");
    assert.equal(textOf(await peer.say("nothing")), "null");
    const { code } = await peer.error(await peer.call("wrong"));
    assert.equal(code, -32603);
    await handler.close();
  });

  test("[SRV-7] the newest 2025 version gets the schema and the value wrapped, the text as it is", async () => {
    const handler = createMcpHandler(makeServer());
    const peer = await initialize(handler, { version: "2025-11-25" });
    const { tools } = await ask(peer, "tools/list");
    const schemas = new Map((tools as JsonObject[]).map((tool) => [tool.name, tool.outputSchema]));
    assert.deepEqual(schemas.get("array"), {
      type: "object",
      properties: { result: { type: "array", items: { type: "number" } } },
      required: ["result"],
    });
    assert.equal((schemas.get("objects") as JsonObject).type, "object");
    const result = await ask(peer, "tools/call", { name: "array", arguments: {} });
    assert.deepEqual(result, {
      content: [{ type: "text", text: "[1,2]" }],
      structuredContent: { result: [1, 2] },
    });
    await handler.close();
  });

  test("[SRV-7] a version without structured content gets the text alone", async () => {
    const handler = createMcpHandler(makeServer());
    const peer = await initialize(handler, { version: "2025-03-26" });
    const { tools } = await ask(peer, "tools/list");
    assert.ok((tools as JsonObject[]).every((tool) => !("outputSchema" in tool)));
    for (const [name, value] of Object.entries(VALUES)) {
      assert.deepEqual(await ask(peer, "tools/call", { name, arguments: {} }), {
        content: [{ type: "text", text: JSON.stringify(value) }],
      });
    }
    await handler.close();
  });
});
