/**
 * What a value costs to validate grows with its size, whatever a client sends: a body of 1 MiB must not
 * stop the event loop.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compileJsonSchema } from "../../../src/server/schemas/json_schema.ts";
import type { JsonSchema, StandardIssue } from "../../../src/server/schemas/standard_schema.ts";
import { assertLinear } from "../../support/growth.ts";

function issuesOf(schema: JsonSchema, value: unknown): readonly StandardIssue[] {
  return compileJsonSchema(schema, "schema").validate(value).issues ?? [];
}

function messages(schema: JsonSchema, value: unknown): string[] {
  return issuesOf(schema, value).map(({ message }) => message);
}

const UNIQUE = { type: "array", uniqueItems: true };
const NOT_UNIQUE = ["Give items that are all different"];

describe("uniqueItems", () => {
  /** Items that differ only in what is compared last. */
  const items: Readonly<Record<string, readonly [number, (n: number) => unknown]>> = {
    "numbers": [8_000, (n) => n],
    "texts": [8_000, (n) => `${"x".repeat(20)}${n}`],
    "lists": [1_500, (n) => [1, 2, 3, 4, 5, 6, 7, n]],
    "objects": [1_500, (n) => ({ a: 1, b: 2, c: 3, d: 4, e: 5, f: n })],
    "lists of lists": [1_000, (n) => [[[1, 2], [3, 4]], [[5, 6], [7, n]]]],
  };
  for (const [what, [length, item]] of Object.entries(items)) {
    test(`[GATE-8, SRV-2] costs no more than the length of its ${what}`, async () => {
      const schema = compileJsonSchema(UNIQUE, "schema");
      const all = Array.from({ length }, (_, n) => item(n));
      assert.equal(schema.validate(all).issues, undefined);
      assert.deepEqual(messages(UNIQUE, [...all, item(7)]), NOT_UNIQUE);
      await assertLinear(what, length, (size) => schema.validate(all.slice(0, size)));
    });
  }

  test("[SRV-2] means equal as JSON is: the order of keys doesn't matter, the types do", () => {
    const different = [
      [],
      [1],
      [1, "1", true, "true", null, "null", [], {}, [1], ["1"], { a: 1 }, { a: "1" }, { b: 1 }],
      [[1, 2], [2, 1], [[1], 2], [1, [2]], [12], [1, 2, 3]],
      [{ a: 1, b: 2 }, { a: 2, b: 1 }, { "a,b": 1 }, { a: { b: 1 } }, { "a": 1 }],
      ["[1]", [1], "{}", {}, "a", "a "],
      [{ __proto__: null }, JSON.parse('{"__proto__":1}'), { constructor: 1 }],
    ];
    for (const value of different) assert.deepEqual(messages(UNIQUE, value), []);
    const equal = [
      [1, 1],
      [1, 2, 3, 1.0],
      [0, -0],
      ["a", "b", "a"],
      [null, 1, null],
      [[], []],
      [{}, {}],
      [{ a: 1, b: [2] }, { b: [2], a: 1 }],
      [[{ a: [1] }], [{ a: [1] }]],
      [JSON.parse('{"__proto__":1}'), JSON.parse('{"__proto__":1}')],
    ];
    for (const value of equal) assert.deepEqual(messages(UNIQUE, value), NOT_UNIQUE);
  });

  test("[SRV-2] is checked where it stands, and nowhere else", () => {
    const schema = {
      type: "object",
      properties: {
        tags: UNIQUE,
        points: { type: "array", items: { type: "array" } },
        any: { anyOf: [{ type: "array", uniqueItems: true }, { type: "array", maxItems: 2 }] },
        none: { not: { type: "array", uniqueItems: true } },
        off: { type: "array", uniqueItems: false },
        odd: { uniqueItems: true },
      },
    };
    const fine = {
      tags: [1, 2],
      points: [[1, 1], [2, 2], [1, 1]],
      any: [3, 3],
      none: [1, 1],
      off: [1, 1],
      odd: { 0: 1, 1: 1, length: 2 },
    };
    assert.deepEqual(messages(schema, fine), []);
    assert.deepEqual(
      issuesOf(schema, { ...fine, tags: [1, 2, 1] }),
      [{ message: NOT_UNIQUE[0], path: ["tags"] }],
    );
    assert.notDeepEqual(messages(schema, { any: [1, 1, 1] }), []);
    assert.notDeepEqual(messages(schema, { none: [1, 2] }), []);
    // What one value contained says nothing about the next.
    assert.deepEqual(messages(schema, fine), []);
  });

  test("[GATE-8] is given up where too many lists would have to be compared", () => {
    const schema = { properties: { groups: { type: "array", items: UNIQUE } } };
    const valueOf = (size: number) => ({
      groups: Array.from({ length: size }, (_, n) => [1, 2, 3, n + 4]),
      others: Array.from({ length: size }, (_, n) => [1, 1, 3, n + 4]),
    });
    assert.deepEqual(messages(schema, valueOf(500)), []);
    assert.deepEqual(messages(schema, valueOf(20_000)), [
      "Give another value: this one can't be validated",
    ]);
    assert.deepEqual(messages(schema, { groups: valueOf(20_000).groups }), []);
  });
});

describe("references", () => {
  /** An expression whose alternatives are told apart by what is compared last. */
  const schema = {
    $ref: "#/$defs/node",
    $defs: {
      node: {
        anyOf: ["and", "or", "not"].map((op) => ({
          type: "object",
          properties: { inner: { $ref: "#/$defs/node" }, op: { const: op } },
          required: ["op"],
        })),
      },
    },
  };
  const nested = (levels: number): unknown =>
    levels === 0 ? { op: "not" } : { inner: nested(levels - 1), op: "not" };

  test("[GATE-8, GATE-9] a recursive schema with alternatives ends, however deep the value", () => {
    assert.deepEqual(messages(schema, nested(5)), []);
    for (const levels of [30, 60]) {
      assert.deepEqual(messages(schema, nested(levels)), [
        "Give another value: this one can't be validated",
      ]);
    }
    assert.deepEqual(messages(schema, nested(5)), []);
  });

  test("[GATE-8] one that refers to itself without end ends", () => {
    const loop = {
      $ref: "#/$defs/a",
      $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } },
    };
    assert.equal(messages(loop, {}).length, 1);
  });

  test("[SRV-2] large values of recursive schemas are valid", () => {
    const tree = compileJsonSchema({
      $ref: "#/$defs/node",
      $defs: {
        node: {
          type: "object",
          properties: {
            value: { $ref: "#/$defs/value" },
            children: { type: "array", items: { $ref: "#/$defs/node" } },
          },
        },
        value: { anyOf: [{ $ref: "#/$defs/text" }, { type: "number" }] },
        text: { type: "string" },
      },
    }, "schema");
    const grown = (nodes: number) => ({
      children: Array.from({ length: nodes }, () => ({ value: 1, children: [{ value: "a" }] })),
    });
    assert.equal(tree.validate(grown(10_000)).issues, undefined);
  });

  test("[SRV-2] references that don't recur are not limited", () => {
    const list = compileJsonSchema({
      items: { $ref: "#/$defs/item" },
      $defs: { item: { $ref: "#/$defs/number" }, number: { type: "number" } },
    }, "schema");
    assert.equal(list.validate(Array.from({ length: 300_000 }, () => 1)).issues, undefined);
  });
});

describe("other keywords", () => {
  test("[GATE-8] a text that is longer than maxLength isn't matched with the pattern", () => {
    const schema = { type: "string", maxLength: 30, pattern: "^(a|a)*$" };
    assert.deepEqual(messages(schema, "aaa"), []);
    assert.equal(messages(schema, "b").length, 1);
    // This would not end.
    const long = messages(schema, `${"a".repeat(60)}b`);
    assert.equal(long.length, 1);
    assert.match(String(long[0]), /too long/);
    assert.deepEqual(messages({ maxLength: 1, pattern: "^b" }, 5), []);
  });

  test("[GATE-8, SRV-2] a URI has at most 8,192 characters, unless the schema says otherwise", () => {
    const uri = (length: number) => "data:".padEnd(length, "a");
    for (const format of ["uri", "uri-reference"]) {
      assert.deepEqual(messages({ format }, uri(8_192)), []);
      assert.match(String(messages({ format }, uri(8_193))), /too long/);
      assert.deepEqual(messages({ format, maxLength: 9_000 }, uri(9_000)), []);
      assert.deepEqual(messages({ format }, 5), []);
    }
    assert.equal(messages({ format: "uri" }, "no uri").length, 1);
    assert.equal(messages({ format: "uri", pattern: "^b", maxLength: 9 }, "a:b").length, 1);
  });

  test("[SRV-2] a few of many issues are told", async () => {
    const schema = compileJsonSchema({
      additionalProperties: { additionalProperties: { type: "number" } },
    }, "schema");
    const { issues = [] } = schema.validate({
      a: Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`k${n}`, "x"])),
    });
    assert.ok(issues.length > 3 && issues.length <= 20, `${issues.length}`);
    assert.deepEqual(issues[0], { message: "Expected number, received string", path: ["a", "k0"] });
    // The long key is a part of every path.
    await assertLinear("issues under a long key", 1_000, (size) => {
      const inner = Object.fromEntries(Array.from({ length: size }, (_, n) => [`k${n}`, "x"]));
      return schema.validate({ ["k".repeat(size * 16)]: inner });
    });
  });

  const many = (size: number, item: unknown = "x") => Array.from({ length: size }, () => item);
  const keyed = (size: number, value: unknown = 1) =>
    Object.fromEntries(Array.from({ length: size }, (_, n) => [`key${n}`, value]));
  const keywords: Readonly<
    Record<string, readonly [JsonSchema, number, (size: number) => unknown]>
  > = {
    "contains": [{ contains: { type: "number" } }, 5_000, many],
    "contains objects": [
      { contains: { const: { a: [1, 2] } } },
      1_000,
      (size) => many(size, { a: [1, 3] }),
    ],
    "enum of objects": [
      { items: { enum: Array.from({ length: 20 }, (_, n) => ({ a: [1, 2, 3, n] })) } },
      1_000,
      (size) => many(size, { a: [1, 2, 3, 19] }),
    ],
    "a long list and an enum": [{ enum: [[1], [2]] }, 50_000, many],
    "propertyNames": [{ propertyNames: { maxLength: 20 } }, 1_000, keyed],
    "patternProperties": [
      { patternProperties: { "^k": { type: "number" }, "9$": {} } },
      1_000,
      keyed,
    ],
    "additionalProperties": [{ additionalProperties: { type: "string" } }, 1_000, keyed],
    "unevaluatedProperties": [
      { allOf: [{ properties: { key1: {} } }], unevaluatedProperties: { type: "number" } },
      1_000,
      keyed,
    ],
    "unevaluatedItems": [
      { allOf: [{ prefixItems: [{}] }], unevaluatedItems: { type: "string" } },
      1_000,
      many,
    ],
    "dependentSchemas": [
      { dependentSchemas: { key1: { minProperties: 1 }, key2: { maxProperties: 1 } } },
      1_000,
      keyed,
    ],
    "anyOf and oneOf": [
      { items: { anyOf: [{ oneOf: [{ type: "number" }, { type: "null" }] }, { type: "string" }] } },
      1_000,
      many,
    ],
  };
  for (const [what, [schema, size, valueOf]] of Object.entries(keywords)) {
    test(`[GATE-8] ${what} costs no more than the length of the value`, async () => {
      const compiled = compileJsonSchema(schema, "schema");
      await assertLinear(what, size, (size) => compiled.validate(valueOf(size)));
    });
  }

  const formats = [
    "date",
    "time",
    "date-time",
    "duration",
    "uri",
    "uri-reference",
    "uri-template",
    "url",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
    "json-pointer",
    "json-pointer-uri-fragment",
    "relative-json-pointer",
  ];
  const texts: readonly string[] = [
    "a",
    "1",
    ".",
    ":",
    "/",
    "-",
    "@",
    "%41",
    "a.",
    "a@",
    "a:",
    "1.",
    "1:",
    "~0",
    "/a",
    "{a}",
    "{a,",
    "{a.",
    "()",
    "P1",
    "::",
    '"',
    '\\"',
  ];
  for (const format of formats) {
    test(`[GATE-8] the format ${format} costs no more than the length of a text`, async () => {
      const compiled = compileJsonSchema({ format }, "schema");
      for (const begin of ["", "http://", "/", "{", '"', "#", "a@", "P"]) {
        for (const text of texts) {
          for (const end of ["", "!", "\n"]) {
            const of = (size: number) => `${begin}${text.repeat(size / text.length)}${end}`;
            await assertLinear(
              `${begin}${text}…${end}`,
              8_000,
              (size) => compiled.validate(of(size)),
            );
          }
        }
      }
    });
  }
});
