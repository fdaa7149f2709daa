import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { headerParamsOf } from "../../../src/protocol/header_params.ts";
import type { McpServer } from "../../../src/server/server.ts";
import { makeServer, request } from "./helpers.ts";

const MARK = "x-mcp-header";

function headerParams(server: McpServer, name: string) {
  return server.route({ method: "tools/call", params: { name } }).headerParams;
}

function schema(properties: JsonObject, more: JsonObject = {}): JsonObject {
  return { type: "object", properties, ...more };
}

describe("headerParamsOf", () => {
  test("[ERA-3] without a schema, or a mark in it, nothing is repeated", () => {
    assert.deepEqual(headerParamsOf(undefined), []);
    assert.deepEqual(headerParamsOf({}), []);
    assert.deepEqual(headerParamsOf(schema({ a: { type: "string" }, b: true })), []);
  });

  test("[ERA-3] marked properties are found, those of objects in objects too, with their paths", () => {
    const found = headerParamsOf(schema({
      region: { type: "string", [MARK]: "Region" },
      plain: { type: "string" },
      box: schema({
        size: { type: "integer", [MARK]: "Size" },
        lid: schema({ shut: { type: "boolean", [MARK]: "Shut" } }),
      }),
    }));
    assert.deepEqual(found, [
      { header: "Region", path: ["region"], type: "string" },
      { header: "Size", path: ["box", "size"], type: "integer" },
      { header: "Shut", path: ["box", "lid", "shut"], type: "boolean" },
    ]);
  });

  test("[ERA-3] a property that has the mark's own name is a property like any other", () => {
    const found = headerParamsOf(schema({ [MARK]: { type: "string", [MARK]: "Odd" } }));
    assert.deepEqual(found, [{ header: "Odd", path: [MARK], type: "string" }]);
  });

  for (
    const name of ["", "Two words", "Colon:", "Line\r\nbreak", "Tab\t", "Ümlaut", "a,b", 7, null]
  ) {
    test(`[ERA-3] ${JSON.stringify(name)} is no header's name`, () => {
      const marked = schema({ a: { type: "string", [MARK]: name } });
      assert.throws(() => headerParamsOf(marked), TypeError);
    });
  }

  for (const type of ["number", "object", "array", "null", ["string", "null"], undefined]) {
    test(`[ERA-3] what is of type ${JSON.stringify(type)} can't be repeated`, () => {
      const marked = schema({ a: { type, [MARK]: "A" } });
      assert.throws(() => headerParamsOf(marked), /only on strings, integers and booleans/);
    });
  }

  test("[ERA-3] names are given once, whatever their case and place", () => {
    const twice = schema({
      a: { type: "string", [MARK]: "Region" },
      box: schema({ b: { type: "string", [MARK]: "rEGION" } }),
    });
    assert.throws(() => headerParamsOf(twice), /once: rEGION/);
  });

  const marked = { type: "string", [MARK]: "A" };
  const elsewhere: Readonly<Record<string, JsonObject>> = {
    "items": schema({ list: { type: "array", items: marked } }),
    "prefixItems": schema({ list: { type: "array", prefixItems: [marked] } }),
    "anyOf": schema({ a: { anyOf: [marked, { type: "null" }] } }),
    "oneOf of the root": schema({}, { oneOf: [schema({ a: marked })] }),
    "allOf": schema({}, { allOf: [schema({ a: marked })] }),
    "not": schema({}, { not: schema({ a: marked }) }),
    "then": schema({}, { if: {}, then: schema({ a: marked }) }),
    "$defs": schema({ a: { $ref: "#/$defs/a" } }, { $defs: { a: marked } }),
    "additionalProperties": schema({}, { additionalProperties: marked }),
    "patternProperties": schema({}, { patternProperties: { "^a": marked } }),
  };
  for (const [where, wrong] of Object.entries(elsewhere)) {
    test(`[ERA-3] a mark in ${where} is refused: nobody could tell which argument it means`, () => {
      assert.throws(() => headerParamsOf(wrong), /only on properties of the arguments/);
    });
  }
});

describe("McpServer and marked arguments", () => {
  const region = z.object({ region: z.string().meta({ [MARK]: "Region" }) });

  test("[ERA-3] a mark in a zod schema is found, and clients see it in the list", async () => {
    const server = makeServer();
    server.registerTool("query", { inputSchema: region }, () => "");
    assert.deepEqual(headerParams(server, "query"), [
      { header: "Region", path: ["region"], type: "string" },
    ]);
    const { tools } = await request(server, "tools/list");
    assert.equal((tools as JsonObject[]).length, 1);
    assert.match(JSON.stringify(tools), /"x-mcp-header":"Region"/);
  });

  test("[ERA-3] an integer that may be left out can be marked", () => {
    const server = makeServer();
    const inputSchema = z.object({ size: z.number().int().optional().meta({ [MARK]: "Size" }) });
    server.registerTool("pack", { inputSchema }, () => "");
    assert.deepEqual(headerParams(server, "pack"), [
      { header: "Size", path: ["size"], type: "integer" },
    ]);
  });

  test("[ERA-3] a tool that nobody registered, or that is hidden, repeats nothing", () => {
    const server = makeServer();
    const tool = server.registerTool("query", { inputSchema: region }, () => "");
    assert.equal(headerParams(server, "other"), undefined);
    tool.disable();
    assert.equal(headerParams(server, "query"), undefined);
  });

  test("[ERA-3] an update of the schema is an update of what is repeated", () => {
    const server = makeServer();
    const tool = server.registerTool("query", { inputSchema: region }, () => "");
    tool.update({ inputSchema: z.object({ zone: z.string().meta({ [MARK]: "Zone" }) }) });
    assert.deepEqual(headerParams(server, "query")?.map(({ header }) => header), ["Zone"]);
  });

  test("[ERA-3] a wrong mark is misuse, found when the tool is registered", () => {
    const inputSchema = z.object({ a: z.number().meta({ [MARK]: "A" }) });
    assert.throws(() => makeServer().registerTool("bad", { inputSchema }, () => ""), TypeError);
  });
});
