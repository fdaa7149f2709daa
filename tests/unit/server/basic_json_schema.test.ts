/**
 * Plain JSON Schema of common keywords means what the complete validator says it means, and a keyword
 * that isn't supported is never ignored.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { compileBasicJsonSchema } from "../../../src/server/schemas/basic_json_schema.ts";
import { compileJsonSchema } from "../../../src/server/schemas/json_schema.ts";
import type { JsonSchema } from "../../../src/server/schemas/standard_schema.ts";
import { describeIssues } from "../../../src/server/schemas/schema.ts";
import { property } from "../../faults/runs.ts";
import { assertLinear } from "../../support/growth.ts";

function compile(schema: object) {
  return compileBasicJsonSchema({ ...schema }, 'inputSchema of "x"');
}

/** What is wrong with a value, in words; an empty text when nothing is. */
function wrong(schema: object, value: unknown): string {
  const { issues } = compile(schema).validate(value);
  return issues === undefined ? "" : describeIssues(issues, "the arguments");
}

const names = fc.constantFrom("a", "b", "c", "__proto__", "constructor");
const primitive = fc.constantFrom(
  null,
  true,
  false,
  0,
  1,
  -2,
  1.5,
  3,
  "",
  "a",
  "ab",
  "a\u{1f600}",
  "b",
);
const typeName = fc.constantFrom(
  "array",
  "boolean",
  "integer",
  "null",
  "number",
  "object",
  "string",
);
const limit = fc.integer({ min: 0, max: 3 });
const few = { minLength: 1, maxLength: 3 } as const;

/** A keyword with its value. */
type Member = readonly [keyword: string, value: unknown];

function member(keyword: string, value: fc.Arbitrary<unknown>): fc.Arbitrary<Member> {
  return value.map((value) => [keyword, value]);
}

const leaf = fc.oneof(
  member("type", fc.oneof(typeName, fc.uniqueArray(typeName, few))),
  member("enum", fc.uniqueArray(primitive, few)),
  member("const", primitive),
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"]
    .map((keyword) => member(keyword, limit)),
  ...["minItems", "maxItems", "minProperties", "maxProperties"]
    .map((keyword) => member(keyword, limit)),
  member("pattern", fc.constantFrom("a", "^b?$", "^.$")),
  member("required", fc.uniqueArray(names, { maxLength: 2 })),
  member("description", fc.constant("What it is")),
  member("x-anything", fc.constant({ $ref: "#" })),
);

/** Schemas of every supported keyword, a few at a time: with all of them nothing is ever valid. */
function schemas(depth: number): fc.Arbitrary<JsonSchema> {
  const members = fc.array(depth === 0 ? leaf : fc.oneof(leaf, outer(depth - 1)), few);
  return members.map((members) => Object.fromEntries(members));
}

/** The keywords that hold schemas. */
function outer(depth: number): fc.Arbitrary<Member> {
  const part = fc.oneof({ weight: 5, arbitrary: schemas(depth) }, fc.boolean());
  const parts = fc.array(part, { minLength: 1, maxLength: 2 });
  return fc.oneof(
    member("properties", fc.dictionary(names, part, { maxKeys: 2, noNullPrototype: true })),
    member("items", part),
    member("additionalProperties", part),
    ...["allOf", "anyOf", "oneOf"].map((keyword) => member(keyword, parts)),
  );
}

function values(depth: number): fc.Arbitrary<unknown> {
  if (depth === 0) return primitive;
  const part = values(depth - 1);
  return fc.oneof(
    primitive,
    fc.array(part, { maxLength: 3 }),
    fc.dictionary(names, part, { maxKeys: 3, noNullPrototype: true }),
  );
}

describe("compileBasicJsonSchema()", () => {
  const found = { valid: 0, invalid: 0 };

  property(
    "[SRV-2, SRV-8] finds a value valid where the complete validator does",
    fc.tuple(schemas(2), fc.array(values(2), { minLength: 5, maxLength: 10 })),
    { everyday: 1_000, long: 50_000 },
    async ([schema, values]) => {
      const complete = compileJsonSchema(schema, "schema");
      const basic = compile(schema);
      assert.deepEqual(basic.json, complete.json);
      for (const value of values) {
        const valid = complete.validate(value).issues === undefined;
        assert.equal(basic.validate(value).issues === undefined, valid, JSON.stringify(value));
        found[valid ? "valid" : "invalid"]++;
      }
    },
  );

  test("[SRV-2] the property above has seen valid and invalid values", () => {
    assert.ok(found.valid > 500 && found.invalid > 500, JSON.stringify(found));
  });

  const formats: Readonly<Record<string, readonly (readonly [string, boolean])[]>> = {
    date: [["2026-02-28", true], ["2026-02-30", false], ["2026-2-1", false], ["x", false]],
    "date-time": [
      ["2026-07-28T12:00:00Z", true],
      ["2026-07-28t12:00:00.5+02:00", true],
      ["2026-07-28T24:00:00Z", false],
      ["2026-07-28T12:00:00", false],
      ["2026-13-28T12:00:00Z", false],
      ["2026-07-28", false],
    ],
    email: [["ada@example.com", true], ["ada", false], ["a da@example.com", false], ["@", false]],
    uri: [["https://example.com/a?b#c", true], ["urn:a:b", true], ["/a", false], ["a b", false]],
  };
  for (const [format, texts] of Object.entries(formats)) {
    test(`[SRV-2] knows the format ${format}, as the complete validator does`, () => {
      const complete = compileJsonSchema({ format }, "schema");
      for (const [text, valid] of texts) {
        assert.equal(wrong({ format }, text) === "", valid, text);
        assert.equal(complete.validate(text).issues === undefined, valid, text);
      }
      assert.equal(wrong({ format }, 1), "");
    });
  }

  const said: readonly [object, unknown, RegExp][] = [
    [
      { properties: { a: { type: "number" } } },
      { a: "x" },
      /^Fix "a": Expected number, received string$/,
    ],
    [{ type: ["object", "null"] }, [], /Expected object or null, received array$/],
    [{ required: ["a"] }, {}, /^Fix the arguments: .*required property "a"$/],
    [{ required: ["a"] }, { a: undefined }, /required/],
    [{ properties: { a: { minimum: 3 } } }, { a: 2 }, /^Fix "a": 2 is less than 3$/],
    [{ properties: { a: { enum: ["x", 1] } } }, { a: "y" }, /^Fix "a": Expected one of \["x",1\]$/],
    [{ properties: { a: { format: "email" } } }, { a: "y" }, /^Fix "a": .*email$/],
    [{ additionalProperties: false }, { b: 1 }, /^Fix "b": Leave this out$/],
    [{ items: { items: { type: "null" } } }, [[null], [0]], /^Fix "\[1\]\[0\]": Expected null/],
    [{ anyOf: [{ type: "string" }, { type: "null" }] }, 1, /alternatives; .*string.*; .*null/],
    [{ oneOf: [{}, {}] }, 1, /only one of the alternatives$/],
    [{ type: "number" }, NaN, /Expected number/],
  ];
  for (const [schema, value, message] of said) {
    test(`[SRV-2] says what to fix: ${JSON.stringify(schema)}`, () => {
      assert.match(wrong(schema, value), message);
    });
  }

  test("[SRV-8] leaves no keyword unread: it names fromJsonSchema() instead", () => {
    const unsupported: object[] = [
      { $ref: "#/$defs/a" },
      { $defs: {} },
      { $id: "https://a.example" },
      { $schema: "http://json-schema.org/draft-04/schema#" },
      { if: {}, then: {} },
      { not: {} },
      { uniqueItems: true },
      { multipleOf: 2 },
      { patternProperties: {} },
      { format: "uuid" },
      { format: "toString" },
      { enum: [{}] },
      { const: [1] },
      { minLenght: 1 },
      { constructor: 1 },
    ];
    for (const part of unsupported) {
      const [keyword = ""] = Object.keys(part);
      const places: object[] = [{ properties: { a: part } }, { anyOf: [{ items: part }] }];
      for (const schema of "$schema" in part ? [part] : [part, ...places]) {
        assert.throws(() => compile(schema), (error: Error) => {
          assert.equal(error.name, "TypeError");
          assert.match(error.message, /^Wrap the inputSchema of "x" in fromJsonSchema\(\)/);
          return error.message.includes(`"${keyword}"`);
        });
      }
    }
  });

  test("[SRV-8] refuses malformed keywords", () => {
    const malformed: object[] = [
      { type: "text" },
      { type: [7] },
      { enum: "a" },
      { minLength: "3" },
      { maximum: null },
      { pattern: 7 },
      { items: [{}] },
      { properties: [] },
      { properties: { a: null } },
      { required: "a" },
      { required: [1] },
      { additionalProperties: "no" },
      { anyOf: [] },
      { oneOf: {} },
    ];
    for (const schema of malformed) {
      const [keyword] = Object.keys(schema);
      const message = new RegExp(`^Correct ("${keyword}"|"a schema") in the inputSchema of "x": `);
      assert.throws(() => compile(schema), { name: "TypeError", message });
    }
    assert.throws(() => compile({ pattern: "(" }), /^TypeError: Write a regular expression/);
  });

  test("[GATE-8, SRV-2] costs no more than the length of what a client sends", async () => {
    const many = {
      type: "array",
      items: { anyOf: [{ type: "string", maxLength: 3 }, { type: "number" }] },
    };
    const list = Array.from({ length: 50_000 }, (_, n) => n % 2 ? n : "abcd");
    const { issues } = compile(many).validate(list);
    assert.equal(issues?.length, 20);
    await assertLinear(
      "a list",
      list.length,
      (size) => compile(many).validate(list.slice(0, size)),
    );
    for (const format of Object.keys(formats)) {
      const text = `https://${"1@".repeat(50_000)} `;
      await assertLinear(format, text.length, (size) => wrong({ format }, text.slice(0, size)));
    }
    const uri = `https://a.example/${"a".repeat(8_192)}`;
    assert.match(wrong({ format: "uri" }, uri), /uri$/);
    assert.equal(wrong({ format: "uri", maxLength: 10_000 }, uri), "");
    // Longer texts are not matched
    const slow = { maxLength: 20, pattern: "^(a+)+$" };
    assert.match(
      wrong(slow, `${"a".repeat(24)}!`),
      /^Fix the arguments: Give 20 characters at most$/,
    );
  });

  test("[SRV-8] keeps the schema, whatever becomes of the original", () => {
    const schema = { properties: { a: { type: "string" } } };
    const { json, validate } = compile(schema);
    schema.properties.a.type = "number";
    assert.deepEqual(json, { properties: { a: { type: "string" } } });
    assert.equal(validate({ a: "x" }).issues, undefined);
  });
});
