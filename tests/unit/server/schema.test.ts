import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import * as mini from "zod/mini";
import { describeIssues } from "../../../src/server/schemas/schema.ts";
import { fromJsonSchema } from "../../../src/server/schemas/from_json_schema.ts";
import { compileSchema } from "../../../src/server/schemas/schema.ts";
import {
  type JsonSchema,
  type Schema,
  type StandardResult,
  type StandardSchema,
  withJsonSchema,
} from "../../../src/server/schemas/standard_schema.ts";
import { assertLinear } from "../../support/growth.ts";

function compile(schema: Schema, side: "input" | "output" = "input") {
  return compileSchema(schema, side, 'inputSchema of "x"');
}

/** What is wrong with a value, in words; an empty text when nothing is. */
async function wrong(schema: Schema, value: unknown): Promise<string> {
  const { issues } = await compile(schema).validate(value);
  return issues === undefined ? "" : describeIssues(issues, "the arguments");
}

function object(properties: object, rest: object = {}): JsonSchema {
  return { type: "object", properties, ...rest };
}

describe("compileSchema() with a Standard Schema", () => {
  test("[SRV-1] tells zod's schemas as JSON Schema, each side its own", () => {
    const schema = z.object({ a: z.number().default(1) });
    assert.deepEqual(compile(schema).json, {
      type: "object",
      properties: { a: { type: "number", default: 1 } },
    });
    assert.deepEqual(compile(schema, "output").json.required, ["a"]);
  });

  test("checks at once what can be checked at once", () => {
    const result = compile(z.object({ a: z.number() })).validate({ a: 1 });
    assert.deepEqual(result, { value: { a: 1 } });
  });

  test("refuses what can't be told as JSON Schema, and says what to do", () => {
    assert.throws(() => compile(z.object({ a: z.date() })), {
      name: "TypeError",
      message: /^Use only what JSON Schema can express in the inputSchema of "x": Date/,
    });
    assert.throws(() => compile(mini.object({ a: mini.string() })), {
      name: "TypeError",
      message: /withJsonSchema\(\): zod$/,
    });
  });

  test("withJsonSchema() adds what a library can't tell", async () => {
    const json = { type: "object", properties: { a: { type: "string" } } };
    const schema = withJsonSchema(mini.object({ a: mini.string() }), json);
    assert.deepEqual(compile(schema).json, json);
    assert.deepEqual(compile(schema, "output").json, json);
    assert.equal(await wrong(schema, { a: "x" }), "");
    assert.match(await wrong(schema, { a: 1 }), /^Fix "a": /);
  });

  test("takes schemas that are functions", async () => {
    const props: StandardSchema["~standard"] = {
      version: 1,
      vendor: "test",
      validate: (): StandardResult<unknown> => ({
        issues: [{ message: "No", path: [{ key: "a" }] }],
      }),
      jsonSchema: { input: () => ({ type: "object" }), output: () => ({ type: "object" }) },
    };
    const schema = Object.assign(() => {}, { "~standard": props });
    assert.equal(await wrong(schema, {}), 'Fix "a": No');
  });

  test("refuses what is no schema", () => {
    for (const schema of ["text", 7, null, [], () => {}]) {
      assert.throws(() => compile(schema as unknown as Schema), TypeError);
    }
  });
});

describe("compileSchema() with a shape", () => {
  const shape = { a: z.number(), b: z.string().optional(), c: z.string().default("x") };

  test("[SRV-1] is an object of its fields", async () => {
    assert.deepEqual(compile(shape).json, {
      type: "object",
      properties: {
        a: { type: "number" },
        b: { type: "string" },
        c: { type: "string", default: "x" },
      },
      required: ["a"],
    });
    assert.deepEqual(await compile(shape).validate({ a: 1, d: 2 }), { value: { a: 1, c: "x" } });
    assert.match(await wrong(shape, { a: "x", b: 1 }), /^Fix "a": .*; "b": /);
    assert.match(await wrong(shape, []), /^Fix the arguments: Expected object$/);
  });

  test("an empty one takes any object and leaves nothing of it", async () => {
    assert.deepEqual(compile({}).json, { type: "object", properties: {} });
    assert.deepEqual(await compile({}).validate({ a: 1 }), { value: {} });
  });

  test("takes fields that are checked later", async () => {
    const later = { a: z.number().refine(async (n) => n > 1) };
    assert.deepEqual(compile(later).json.required, ["a"]);
    assert.deepEqual(await compile(later).validate({ a: 2 }), { value: { a: 2 } });
    assert.match(await wrong(later, { a: 1 }), /^Fix "a": /);
  });

  test("reads nothing that a value only inherits", async () => {
    const value: unknown = JSON.parse('{"__proto__":{"a":1}}');
    assert.match(await wrong({ a: z.number() }, value), /^Fix "a": /);
    assert.match(await wrong({ constructor: z.string() }, {}), /^Fix "constructor": /);
  });

  test("refuses fields that refer to themselves, or can't be told", () => {
    const Node = z.object({
      get next() {
        return Node.optional();
      },
    });
    assert.throws(() => compile({ node: Node }), /one object schema.*"node"$/);
    assert.throws(() => compile({ a: mini.string() }), /JSON Schema: "a"$/);
  });
});

describe("fromJsonSchema()", () => {
  test("[SRV-1] keeps it as it was given, whatever becomes of the original", () => {
    const schema = Object.freeze({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      properties: { a: { $ref: "#/$defs/a" }, b: { type: "array", uniqueItems: true } },
      $defs: { a: { type: "string", format: "url" } },
    });
    const text = JSON.stringify(schema);
    const { json } = compile(fromJsonSchema(schema));
    schema.properties.a.$ref = "changed";
    assert.equal(JSON.stringify(json), text);
    assert.deepEqual(Reflect.ownKeys(schema.$defs.a), ["type", "format"]);
  });

  const address = {
    $defs: {
      address: { $anchor: "here", type: "object", properties: { zip: { type: "string" } } },
    },
  };
  const cases: readonly [string, JsonSchema, unknown, string][] = [
    [
      "type",
      object({ a: { type: "number" } }),
      { a: "x" },
      '"a": Expected number, received string',
    ],
    ["integer", object({ a: { type: "integer" } }), { a: 1.5 }, '"a": Expected integer'],
    ["required", object({}, { required: ["a"] }), {}, 'the arguments: .*required.*"a"'],
    ["minimum", object({ a: { minimum: 3 } }), { a: 2 }, '"a": 2 is less than 3'],
    ["enum", object({ a: { enum: ["x"] } }), { a: "y" }, '"a": .*"x"'],
    ["format", object({ a: { type: "string", format: "email" } }), { a: "y" }, '"a": .*email'],
    ["no more", object({}, { additionalProperties: false }), { b: 1 }, '"b": Leave this out'],
    [
      "items",
      object({ a: { items: { type: "number" } } }),
      { a: [1, "x"] },
      '"a\\[1\\]": Expected',
    ],
    [
      "$ref",
      object({ a: { $ref: "#/$defs/address" } }, address),
      { a: { zip: 1 } },
      '"a.zip": Exp',
    ],
    ["$anchor", object({ a: { $ref: "#here" } }, address), { a: { zip: 1 } }, '"a.zip": Expected'],
    ["anyOf", object({}, { anyOf: [{ required: ["a"] }, { required: ["b"] }] }), {}, "arguments: "],
    ["then", object({}, { if: { required: ["a"] }, then: { required: ["b"] } }), { a: 1 }, '"b"'],
    [
      "odd keys",
      object({ "a/b~c%#": { type: "string" } }),
      { "a/b~c%#": 1 },
      '"a/b~c%#": Expected',
    ],
    [
      "digits",
      object({ a: { properties: { 0: { type: "string" } } } }),
      { a: { 0: 1 } },
      '"a.0": Exp',
    ],
  ];
  for (const [what, schema, value, message] of cases) {
    test(`[SRV-2] says what to fix: ${what}`, async () => {
      assert.match(await wrong(fromJsonSchema(schema), value), new RegExp(`^Fix .*${message}`));
    });
  }

  test("takes draft 04, 07 and 2019-09 as well", async () => {
    for (
      const $schema of [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-07/schema#",
        "http://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft/2019-09/schema",
      ]
    ) {
      const schema = object({ a: { type: "number" } }, { $schema });
      assert.equal(await wrong(fromJsonSchema(schema), { a: 1 }), "");
      assert.match(await wrong(fromJsonSchema(schema), { a: "x" }), /^Fix "a"/);
      assert.equal(compile(fromJsonSchema(schema)).json.$schema, $schema);
    }
  });

  const refused: readonly [string, object, RegExp][] = [
    [
      "an unknown dialect",
      { $schema: "https://a.example/schema" },
      /2020-12: https:\/\/a\.example/,
    ],
    [
      "a reference elsewhere",
      { $ref: "https://a.example/schema" },
      /inside the .*"https:\/\/a\.example/,
    ],
    ["a reference to a file", { $ref: "other.json" }, /inside the .*"other.json"/],
    ["a reference to nothing", { $ref: "#/$defs/none" }, /inside the .*"#\/\$defs\/none"/],
    ["a malformed reference", { $ref: "http://[" }, /references/],
    ["a dynamic reference", { $dynamicRef: "#a" }, /"\$dynamicRef"/],
    ["a malformed pattern", { properties: { a: { pattern: "(" } } }, /regular expression.*"\("/],
    ["a malformed key pattern", { patternProperties: { "[": {} } }, /regular expression.*"\["/],
  ];
  for (const [what, rest, message] of refused) {
    test(`refuses ${what}`, () => {
      assert.throws(() => fromJsonSchema({ type: "object", ...rest }), {
        name: "TypeError",
        message,
      });
    });
  }

  test("is not slowed down by what a client sends", async () => {
    const url = fromJsonSchema(object({ a: { type: "string", format: "url" } }));
    await assertLinear(
      "a URL",
      200_000,
      (size) => wrong(url, { a: `http://${"a".repeat(size)}!` }),
    );
    const unique = fromJsonSchema(object({ a: { type: "array", uniqueItems: true } }));
    const many = Array.from({ length: 200_000 }, (_, i) => i);
    assert.equal(await wrong(unique, { a: many }), "");
    assert.equal(
      await wrong(unique, { a: [...many, 1] }),
      'Fix "a": Give items that are all different',
    );
  });

  test("survives keys that are not Unicode, and what only objects inherit", async () => {
    const schema = fromJsonSchema(object({}, { additionalProperties: { type: "string" } }));
    assert.notEqual(await wrong(schema, { "\ud800": 1 }), "");
    const inherited = fromJsonSchema(object({}, { required: ["constructor"] }));
    assert.match(await wrong(inherited, {}), /constructor/);
  });
});

describe("describeIssues()", () => {
  test("[SRV-2] is bounded, whatever the issues are", () => {
    const issues = Array.from({ length: 1_000 }, (_, i) => ({
      message: "m".repeat(10_000),
      path: ["p".repeat(10_000), i],
    }));
    const text = describeIssues(issues, "the arguments");
    assert.ok(text.length < 9_000);
    assert.match(text, / \(and 980 more\)$/);
  });

  test("[SRV-2] writes paths as code does", () => {
    const path = ["a", 0, { key: "b" }, Symbol.for("c"), { key: 1 }];
    const text = describeIssues(
      [{ message: "No", path }, { message: "Nor this" }],
      "the arguments",
    );
    assert.equal(text, 'Fix "a[0].b.Symbol(c)[1]": No; the arguments: Nor this');
  });
});
