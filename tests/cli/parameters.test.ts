/**
 * What `mooring inspect` shows of the parameters of tools and prompts.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { argumentLines, parameterLines } from "../../src/cli/inspect/parameters.ts";

test("[CMD-2] parameters are shown with type, need and description, parts of objects too", () => {
  const schema = {
    type: "object",
    required: ["path", "filter"],
    properties: {
      path: { type: "string", description: "Where\nto look" },
      limit: { type: ["integer", "null"], default: 10 },
      mode: { enum: ["a", 1, null], title: "How" },
      only: { const: "x" },
      filter: {
        type: "object",
        required: ["tags"],
        properties: { tags: { type: "array", items: { type: "string" } } },
      },
      edits: { type: "array", items: { $ref: "#/$defs/edit" }, description: "In order" },
      either: { anyOf: [{ type: "string" }, { type: "array", items: { enum: [1, 2] } }] },
      free: {},
      anything: true,
    },
    $defs: { edit: { type: "object", properties: { line: { type: "integer" } } } },
  };
  assert.deepEqual(parameterLines(schema), [
    "path          string, required    Where to look",
    "limit         integer | null      (default 10)",
    'mode          "a" | 1 | null      How',
    'only          "x"',
    "filter        object, required",
    "filter.tags   string[], required",
    "edits         object[]            In order",
    "edits[].line  integer",
    "either        string | (1 | 2)[]",
    "free          any",
    "anything      any",
  ]);
});

test("[CMD-2] whatever a server says is a schema is shown within bounds", () => {
  for (const nothing of [undefined, null, 1, [], {}, { type: "object" }, { properties: 1 }]) {
    assert.deepEqual(parameterLines(nothing), []);
  }
  const endless = {
    properties: { self: { $ref: "#" }, other: { $ref: "#/$defs/a" }, own: { $ref: "other.json" } },
    $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } },
  };
  const lines = parameterLines(endless);
  assert.ok(lines.length > 3 && lines.length <= 101, `${lines.length}`);
  const choices = Array.from({ length: 12 }, () => ({ $ref: "#/properties/many" }));
  const [many] = parameterLines({ properties: { many: { anyOf: choices } } });
  assert.match(many ?? "", /^many {2}…$/);
  const properties = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`p${at}`, {}]));
  const shown = parameterLines({ properties });
  assert.deepEqual([shown.length, shown.at(-1)], [101, "… and more: see --json"]);
  const long = { properties: { [`a${"b".repeat(1_000)}`]: { description: "c".repeat(1_000) } } };
  assert.match(parameterLines(long)[0] ?? "", /^ab+ {2}any {2}c{100}…$/);
});

test("[CMD-2] arguments of prompts are shown", () => {
  assert.deepEqual(argumentLines(), []);
  assert.deepEqual(
    argumentLines([{ name: "who", description: "A\u001b name", required: true }, { name: "x" }]),
    ["who  required  A\\u001b name", "x"],
  );
});
