import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  entryFor,
  promptResultFor,
  serverInfoFor,
  toolResultFor,
} from "../../../src/protocol/downgrade.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { objectOutputSchema, wrapsOutput } from "../../../src/protocol/output_schema.ts";
import type { ProtocolVersion } from "../../../src/protocol/versions.ts";
import { assertValid, SCHEMA_VERSIONS } from "../../support/schema.ts";

const ICONS = [{ src: "https://a.example/i.png" }];
const ENTRIES: Readonly<Record<string, JsonObject>> = {
  tools: {
    name: "t",
    title: "T",
    description: "A tool",
    inputSchema: { type: "object" },
    outputSchema: { type: "object" },
    annotations: { readOnlyHint: true },
    icons: ICONS,
    _meta: { a: 1 },
  },
  prompts: {
    name: "p",
    title: "P",
    arguments: [{ name: "a", title: "A", required: true }],
    icons: ICONS,
    _meta: { a: 1 },
  },
  resources: {
    uri: "a://b",
    name: "r",
    title: "R",
    mimeType: "text/plain",
    size: 3,
    annotations: { priority: 1 },
    icons: ICONS,
    _meta: { a: 1 },
  },
  resourceTemplates: { uriTemplate: "a://{b}", name: "u", title: "U", icons: ICONS, _meta: {} },
};
const DEFINITIONS: Readonly<Record<string, string>> = {
  tools: "Tool",
  prompts: "Prompt",
  resources: "Resource",
  resourceTemplates: "ResourceTemplate",
};
/** The members of each entry that a version has, by the published schemas. */
const KNOWN: readonly (readonly [ProtocolVersion, Readonly<Record<string, readonly string[]>>])[] =
  [
    ["2024-11-05", {
      tools: ["name", "description", "inputSchema"],
      prompts: ["name", "arguments"],
      resources: ["uri", "name", "mimeType", "size", "annotations"],
      resourceTemplates: ["uriTemplate", "name"],
    }],
    ["2025-03-26", {
      tools: ["name", "description", "inputSchema", "annotations"],
      prompts: ["name", "arguments"],
      resources: ["uri", "name", "mimeType", "size", "annotations"],
      resourceTemplates: ["uriTemplate", "name"],
    }],
    ["2025-06-18", {
      tools: [
        "name",
        "title",
        "description",
        "inputSchema",
        "outputSchema",
        "annotations",
        "_meta",
      ],
      prompts: ["name", "title", "arguments", "_meta"],
      resources: ["uri", "name", "title", "mimeType", "size", "annotations", "_meta"],
      resourceTemplates: ["uriTemplate", "name", "title", "_meta"],
    }],
  ];

describe("entryFor()", () => {
  for (const [version, lists] of KNOWN) {
    for (const [list, members] of Object.entries(lists)) {
      test(`[GTW-13] entryFor() keeps what ${version} has of ${list}, in order`, () => {
        const entry = entryFor(version, list, ENTRIES[list] ?? {});
        assert.deepEqual(Object.keys(entry), members);
        assertValid(version, DEFINITIONS[list] ?? "", entry);
      });
    }
  }

  test("[GTW-13] entryFor() returns the same entry for the newest version of each era", () => {
    for (const version of ["2025-11-25", "2026-07-28"] as const) {
      for (const [list, entry] of Object.entries(ENTRIES)) {
        assert.equal(entryFor(version, list, entry), entry);
      }
    }
  });

  test("[GTW-13] entryFor() drops how a tool runs as a task of 2025-11-25", () => {
    const tool = { name: "t", inputSchema: { type: "object" } };
    for (const version of SCHEMA_VERSIONS) {
      const execution = { taskSupport: "required" };
      assert.deepEqual(entryFor(version, "tools", { ...tool, execution }), tool);
    }
  });

  test("[GTW-13] entryFor() titles arguments only from 2025-06-18 on", () => {
    const { arguments: args } = entryFor("2025-03-26", "prompts", ENTRIES.prompts ?? {});
    assert.deepEqual(args, [{ name: "a", required: true }]);
  });

  test("[GTW-13] entryFor() makes booleans as schemas of properties objects for 2025", () => {
    const properties = { yes: true, no: false, text: { type: "string" } };
    const schema = { type: "object", properties };
    const tool = { name: "t", inputSchema: schema, outputSchema: schema };
    const replaced = { type: "object", properties: { ...properties, yes: {}, no: { not: {} } } };
    assert.deepEqual(entryFor("2025-11-25", "tools", tool), {
      name: "t",
      inputSchema: replaced,
      outputSchema: replaced,
    });
    assert.equal(entryFor("2026-07-28", "tools", tool), tool);
  });

  test("[GTW-13] serverInfoFor() keeps what a version has", () => {
    const info = { name: "n", version: "1", title: "T", description: "D", icons: ICONS };
    assert.deepEqual(Object.keys(serverInfoFor("2025-03-26", info)), ["name", "version"]);
    assert.deepEqual(Object.keys(serverInfoFor("2025-06-18", info)), ["name", "version", "title"]);
    assert.equal(serverInfoFor("2025-11-25", info), info);
  });
});

describe("results", () => {
  const text = { type: "text", text: "x" };
  const image = { type: "image", data: "AQID", mimeType: "image/png" };
  const annotations = { audience: ["user"] };
  const audio = { type: "audio", data: "AQID", mimeType: "audio/wav", annotations };
  const link = { type: "resource_link", uri: "a://b", name: "B", icons: ICONS };
  const content = [text, image, audio, link];
  const heard = { type: "text", text: "[Audio: audio/wav]", annotations };
  const linked = { type: "text", text: "B: a://b" };
  const { icons: _, ...plainLink } = link;
  const blocks: Readonly<Record<string, readonly JsonObject[]>> = {
    "2024-11-05": [text, image, heard, linked],
    "2025-03-26": [text, image, audio, linked],
    "2025-06-18": [text, image, audio, plainLink],
    "2025-11-25": content,
    "2026-07-28": content,
  };

  for (const version of SCHEMA_VERSIONS) {
    test(`[GTW-13] the blocks of a result are those of ${version}`, () => {
      const result = { content };
      const converted = toolResultFor(version, result, false);
      assert.deepEqual(converted, { content: blocks[version] });
      if (version < "2026") assertValid(version, "CallToolResult", converted);
      const messages = content.map((content) => ({ role: "user", content }));
      const prompt = promptResultFor(version, { messages });
      assert.deepEqual(prompt, {
        messages: blocks[version]?.map((content) => ({ role: "user", content })),
      });
      if (version < "2026") assertValid(version, "GetPromptResult", prompt);
      // What is known already stays the same object
      assert.equal(toolResultFor(version, converted, false), converted);
      assert.equal(promptResultFor(version, prompt), prompt);
    });
  }

  for (const data of [[1], "text", 7, false, null, { a: 1 }]) {
    test(`[SRV-7, GTW-13] data is an object for 2025, and a text before: ${JSON.stringify(data)}`, () => {
      const result = { content: [image], structuredContent: data };
      const json = { type: "text", text: JSON.stringify(data) };
      assert.equal(toolResultFor("2026-07-28", result, true), result);
      for (const version of ["2025-11-25", "2025-06-18"] as const) {
        const wrapped = toolResultFor(version, result, true);
        assert.deepEqual(wrapped, { content: [image, json], structuredContent: { result: data } });
        assertValid(version, "CallToolResult", wrapped);
        const isObject = data !== null && typeof data === "object" && !Array.isArray(data);
        assert.deepEqual(toolResultFor(version, result, false), isObject ? result : wrapped);
      }
      for (const version of ["2025-03-26", "2024-11-05"] as const) {
        assert.deepEqual(toolResultFor(version, result, true), { content: [image, json] });
        const told = { content: [text], structuredContent: data };
        assert.deepEqual(toolResultFor(version, told, true), { content: [text] });
      }
    });
  }

  test("[GTW-13] a result that isn't one is left alone", () => {
    for (const result of [{}, { content: "x" }, { content: [null, 3] }, { messages: [null] }]) {
      assert.equal(toolResultFor("2024-11-05", result, false), result);
      assert.equal(promptResultFor("2024-11-05", result), result);
    }
  });
});

describe("output schemas", () => {
  const cases: readonly [JsonObject, boolean][] = [
    [{ type: "object" }, false],
    [{ type: "array" }, true],
    [{ type: ["object", "null"] }, true],
    [{}, true],
    [{ anyOf: [{ type: "object" }, { type: "string" }] }, true],
    [{ anyOf: [{ type: "object" }, { oneOf: [{ type: "object" }] }] }, false],
    [{ anyOf: [] }, true],
    [{ anyOf: [true] }, true],
    [{ allOf: [{ type: "object" }, { required: ["a"] }] }, false],
    [{ type: "string", anyOf: [{ type: "object" }] }, true],
  ];
  for (const [schema, wraps] of cases) {
    test(`[SRV-7] ${JSON.stringify(schema)} is ${wraps ? "wrapped" : "of an object"}`, () => {
      assert.equal(wrapsOutput(schema), wraps);
      const { type, properties } = objectOutputSchema(schema);
      assert.equal(type, "object");
      assert.deepEqual(properties, wraps ? { result: schema } : undefined);
    });
  }

  test("[SRV-7] references move with a schema, but neither names nor data", () => {
    const schema = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      $defs: { $ref: { const: { $ref: "#/data" } }, own: { $id: "urn:own", $ref: "#/inside" } },
      type: "array",
      items: {
        anyOf: [
          { $ref: "#" },
          { $ref: "#/$defs/$ref" },
          { $ref: "#anchor" },
          { $ref: "https://a.example/s#/x" },
          { $recursiveRef: "#" },
        ],
      },
      default: [{ $ref: "#" }],
    };
    const { $schema, ...rest } = schema;
    assert.deepEqual(objectOutputSchema(schema), {
      $schema,
      type: "object",
      properties: {
        result: {
          ...rest,
          items: {
            anyOf: [
              { $ref: "#/properties/result" },
              { $ref: "#/properties/result/$defs/$ref" },
              { $ref: "#anchor" },
              { $ref: "https://a.example/s#/x" },
              { $ref: "#/properties/result" },
            ],
          },
        },
      },
      required: ["result"],
    });
    const own = { $id: "urn:s", type: "array", items: { $ref: "#" } };
    assert.deepEqual(objectOutputSchema(own).properties, { result: own });
  });

  test("[SRV-7] references move in schemas that are named like keywords", () => {
    const named = (pointer: string) => ({
      type: "array",
      $defs: { $ref: { $ref: pointer }, enum: { items: { $ref: pointer } } },
      items: { properties: { default: { $ref: pointer }, const: { anyOf: [{ $ref: pointer }] } } },
    });
    assert.deepEqual(objectOutputSchema(named("#")).properties, {
      result: named("#/properties/result"),
    });
  });

  test("[SRV-7] a name as $id is no base of references, as before draft 2019-09", () => {
    const named = (pointer: string) => ({ $id: "#s", type: "array", items: { $ref: pointer } });
    assert.deepEqual(objectOutputSchema(named("#")).properties, {
      result: named("#/properties/result"),
    });
  });
});
