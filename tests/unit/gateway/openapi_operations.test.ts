import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromJsonSchema } from "../../../mod.ts";
import { type Operations, operationsOf } from "../../../src/gateway/openapi/operations.ts";
import { checkable } from "../../../src/gateway/openapi/schemas.ts";
import { isObject, type JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { readDocument } from "../../../src/gateway/openapi/document.ts";

const ID = { name: "id", in: "path", schema: { type: "string" } };
const OPTIONS = { baseUrl: "https://api.example", documentUrl: undefined, most: 2000 };

function convert(
  paths: JsonObject,
  components: JsonObject = {},
  more: JsonObject = {},
): Operations {
  const info = { title: "Test", version: "1" };
  return operationsOf({ openapi: "3.0.3", info, paths, components, ...more }, OPTIONS);
}

/** An operation with a body of JSON. */
function post(schema: unknown, more: JsonObject = {}): JsonObject {
  const requestBody = { required: true, content: { "application/json": { schema } } };
  return { post: { operationId: "go", requestBody, responses: {}, ...more } };
}

/** The schema of the body of the only operation. */
function bodyOf({ operations }: Operations): JsonObject {
  const [first] = operations;
  const { properties } = first?.tool.inputSchema as { properties: { body: JsonObject } };
  return properties.body;
}

function inputOf({ operations }: Operations): JsonObject {
  const input = operations[0]?.tool.inputSchema;
  assert.ok(isObject(input));
  return input;
}

async function fits(schema: JsonObject, value: unknown): Promise<boolean> {
  const { validate } = fromJsonSchema(checkable(schema))["~standard"];
  return (await validate(value)).issues === undefined;
}

function textsOf({ complaints }: Operations): string[] {
  return complaints.map(({ kind, about, text }) => `${kind} ${about}: ${text}`);
}

describe("[OAPI-2] names", () => {
  const get = (operationId?: string) => ({
    ...operationId !== undefined && { operationId },
    responses: {},
  });
  const names = (paths: JsonObject) => convert(paths).operations.map(({ name }) => name);

  test("are operation ids, or methods and paths, in characters that every client takes", () => {
    assert.deepEqual(
      names({
        "/a": { get: get("repos/list-all"), put: get() },
        "/a/{id}/b.c": { parameters: [ID], get: get(""), delete: get("Größe ändern") },
        "/__proto__": { get: get("__proto__"), post: get("constructor") },
        "/x": { get: get("!!!") },
      }),
      ["repos_list-all", "put_a", "get_a_id_b_c", "Gr_e_ndern", "proto", "constructor", "get_x"],
    );
  });

  test("that collide get a hash, whatever their order, and long ones are cut", () => {
    const one = { "/1": { get: get("a/b") }, "/2": { get: get("a.b") }, "/3": { get: get("a_c") } };
    const first = names(one);
    assert.equal(new Set(first).size, 3);
    assert.match(first[0] ?? "", /^a_b_[0-9a-f]{8}$/);
    assert.equal(first[2], "a_c");
    const turned = Object.fromEntries(Object.entries(one).toReversed());
    assert.deepEqual(names(turned).toReversed(), first);
    const long = names({ "/l": { get: get("x".repeat(300)), put: get(`${"x".repeat(300)}y`) } });
    assert.equal(new Set(long).size, 2);
    assert.ok(long.every((name) => name.length <= 64));
  });

  test("of arguments are safe, and each there once", () => {
    const parameters = ["filter[name]", "filter_name_", "__proto__", "constructor", "id"].map((
      name,
    ) => (
      { name, in: "query", schema: { type: "string" } }
    ));
    const also = [{ name: "id", in: "header", schema: {} }, {
      name: "body",
      in: "query",
      schema: {},
    }];
    const made = convert({
      "/a": post({ type: "object" }, { parameters: [...parameters, ...also] }),
    });
    assert.deepEqual(Object.keys(inputOf(made).properties as JsonObject), [
      "filter_name_",
      "query_filter_name_",
      "query_proto__",
      "query_constructor",
      "id",
      "header_id",
      "body",
      "request_body",
    ]);
    assert.equal(({} as JsonObject).type, undefined);
  });
});

describe("[OAPI-3] schemas", () => {
  test("of 3.0 become those of 2020-12", async () => {
    const url = new URL("../../fixtures/openapi/notes.yaml", import.meta.url);
    const signal = new AbortController().signal;
    const { document } = await readDocument(url, { mostBytes: 1e6, fetch, signal });
    const { operations, complaints } = operationsOf(document, OPTIONS);
    assert.deepEqual(complaints.map(({ text }) => text), ["the method is no tool's"]);
    const create = operations[1]?.tool.inputSchema as JsonObject;
    const note = { title: "a", due: null, kind: null, parent: null, replies: [{ title: "b" }] };
    assert.ok(await fits(create, { body: note }));
    assert.ok(await fits(create, { body: { title: "a", kind: "idea", parent: { title: "p" } } }));
    // The other side decides its id, and its bounds hold at any depth.
    assert.ok(!await fits(create, { body: {} }));
    assert.ok(!await fits(create, { body: { title: "a", replies: [{ title: "x".repeat(81) }] } }));
    assert.ok(!await fits(create, { body: { title: "a", kind: "other" } }));
    assert.ok(!await fits(create, { body: note, tpyo: 1 }));
    const list = operations[0]?.tool.inputSchema as JsonObject;
    assert.ok(await fits(list, { page: 1, label: ["x"] }));
    assert.ok(!await fits(list, { page: 0 }));
    assert.equal(JSON.stringify(create).includes("nullable"), false);
    assert.equal(JSON.stringify(create).includes('"id"'), false);
    const output = operations[2]?.tool.outputSchema as JsonObject;
    assert.deepEqual(output.required, ["id", "title"]);
    assert.equal(JSON.stringify(output).includes("secret"), false);
    // Lists are wrapped as by every server of this package.
    const wrapped = operations[0]?.tool.outputSchema as JsonObject;
    assert.deepEqual([wrapped.type, wrapped.required], ["object", ["result"]]);
    assert.equal(operations[0]?.wraps, true);
    assert.equal(operations[4]?.tool.outputSchema, undefined);
  });

  test("[OAPI-15] of parameters that are readOnly are arguments all the same", async () => {
    const schemas = {
      Number: { type: "integer", readOnly: true },
      Alert: {
        type: "object",
        required: ["number", "state"],
        properties: {
          number: { $ref: "#/components/schemas/Number" },
          state: { type: "string" },
        },
      },
    };
    const parameters = [
      { name: "number", in: "path", schema: { $ref: "#/components/schemas/Number" } },
      { name: "own", in: "query", required: true, schema: { type: "string", readOnly: true } },
    ];
    const body = { $ref: "#/components/schemas/Alert" };
    const input = inputOf(convert({ "/a/{number}": post(body, { parameters }) }, { schemas }));
    assert.deepEqual(input.required, ["number", "own", "body"]);
    assert.ok(await fits(input, { number: 1, own: "a", body: { state: "open" } }));
    assert.ok(!await fits(input, { number: "x", own: "a", body: { state: "open" } }));
    // Of the body's object, it stays the other side's.
    assert.ok(!JSON.stringify(input.$defs).includes('"number":'));
  });

  test("with nullable beside anything allow null", async () => {
    const components = {
      schemas: { A: { type: "object", properties: { a: { type: "string" } } } },
    };
    for (
      const schema of [
        { $ref: "#/components/schemas/A", nullable: true },
        { oneOf: [{ $ref: "#/components/schemas/A" }], nullable: true },
        { enum: ["x"], nullable: true },
        { type: "string", enum: ["x"], nullable: true },
        { type: ["string", "null"] },
      ]
    ) {
      const input = inputOf(convert({ "/a": post(schema) }, components));
      assert.ok(await fits(input, { body: null }), JSON.stringify(input));
      assert.ok(!await fits(input, { body: 1 }), JSON.stringify(input));
    }
  });

  test("whose alternatives overlap take what one of them takes", async () => {
    const schema = {
      oneOf: [{ type: "number" }, { type: "integer" }],
      anyOf: [{ type: "integer" }, { type: "string" }],
    };
    const input = inputOf(convert({ "/a": post(schema) }));
    assert.ok(await fits(input, { body: 1 }));
    assert.ok(!await fits(input, { body: 1.5 }));
    assert.ok(!await fits(input, { body: "a" }));
  });

  test("that a validator can't take are loosened, with a complaint, and stop nothing else", async () => {
    const made = convert({
      "/a": post({
        type: "object",
        properties: {
          a: { type: "file" },
          b: { type: "string", pattern: "(" },
          c: { $ref: "#/components/schemas/Nothing" },
          d: { $ref: "https://elsewhere.example/a.json" },
          e: { allOf: {} },
          f: { properties: [], required: "x", enum: [], minLength: -1, items: 7 },
          g: 7,
        },
      }),
      "/b": { get: { responses: {} } },
    });
    assert.deepEqual(made.operations.map(({ path }) => path), ["/a", "/b"]);
    assert.deepEqual(textsOf(made), [
      "loosened POST /a: an unknown type",
      'loosened POST /a: the value of "pattern"',
      "loosened POST /a: the reference #/components/schemas/Nothing: nothing there",
      "loosened POST /a: the reference https://elsewhere.example/a.json: not in the document",
      'loosened POST /a: the value of "allOf"',
      'loosened POST /a: the value of "properties"',
      'loosened POST /a: the value of "required"',
      'loosened POST /a: the value of "enum"',
      'loosened POST /a: the value of "minLength"',
      "loosened POST /a: a schema is no object",
    ]);
    const anything = { a: 1, b: "x", c: [], d: {}, e: null, f: 1, g: "" };
    assert.ok(await fits(inputOf(made), { body: anything }));
  });

  test("[OAPI-15] a GET has no body, whatever its document says", () => {
    const form = (schema: unknown) => ({ "application/x-www-form-urlencoded": { schema } });
    const get = (content: unknown, required = false) => ({
      get: { requestBody: { content, required }, responses: {} },
    });
    const empty = form({ type: "object", properties: {} });
    const made = convert({
      "/empty": get(empty),
      "/filter": get(form({ type: "object", properties: { a: { type: "string" } } })),
      "/needed": get(form({ type: "object" }), true),
      "/delete": { delete: { requestBody: { content: empty }, responses: {} } },
    });
    assert.deepEqual(made.operations.map(({ path, body }) => [path, body?.kind]), [
      ["/empty", undefined],
      ["/filter", undefined],
      ["/delete", "form"],
    ]);
    assert.deepEqual(textsOf(made), [
      "loosened GET /filter: its body is left out: a GET can't have one",
      "left out GET /needed: it needs a body, which a GET can't have",
    ]);
    assert.deepEqual(inputOf(made).properties, {});
  });

  test("[OAPI-16] files of multipart bodies are Base64, also where the body is a reference", () => {
    const file = { type: "string", format: "binary", description: "The picture." };
    const schemas = {
      File: file,
      Upload: {
        type: "object",
        properties: {
          one: { $ref: "#/components/schemas/File" },
          all: { type: "array", items: file },
          own: file,
          title: { type: "string" },
        },
      },
    };
    const schema = { $ref: "#/components/schemas/Upload" };
    const encoding = {
      own: { contentType: "image/png" },
      one: { contentType: "image/png, image/jpeg" },
      all: { contentType: "image/*" },
      title: { style: "form" },
    };
    const made = convert({
      "/a": {
        post: {
          requestBody: { content: { "multipart/form-data": { schema, encoding } } },
          responses: {},
        },
      },
      "/b": post(schema),
    }, { schemas });
    const [upload, json] = made.operations;
    assert.deepEqual([...upload?.body?.files ?? []], ["one", "all", "own"]);
    assert.deepEqual([...upload?.body?.types ?? []], [["own", "image/png"]]);
    const text = JSON.stringify(upload?.tool.inputSchema);
    assert.equal(text.match(/"contentEncoding":"base64"/g)?.length, 3);
    assert.equal(text.match(/The picture\. The bytes of the file, in Base64\./g)?.length, 3);
    assert.doesNotMatch(text, /"binary"/);
    // Of another kind of body, it is a text.
    assert.doesNotMatch(JSON.stringify(json?.tool.inputSchema), /base64/);
  });

  test("[OAPI-2] methods, texts and hints", () => {
    const description = "x".repeat(5000);
    const { operations } = convert({
      "/a": {
        get: { summary: "Reads", description, responses: {} },
        post: { responses: {}, deprecated: true },
        put: { responses: {} },
        patch: { responses: {} },
        delete: { responses: {} },
        trace: { responses: {} },
      },
    });
    const facts = operations.map(({ tool }) => {
      const { readOnlyHint, destructiveHint, idempotentHint } = tool.annotations as JsonObject;
      return [readOnlyHint, destructiveHint, idempotentHint];
    });
    assert.deepEqual(facts, [
      [true, undefined, undefined],
      [false, true, true],
      [false, undefined, false],
      [false, true, true],
      [false, true, false],
    ]);
    const [get, , plain] = operations.map(({ tool }) => tool);
    assert.equal(get?.title, "Reads");
    assert.ok(String(get?.description).length < 1100);
    assert.equal(plain?.description, "Deprecated.\n\nPOST /a");
  });
});

describe("[OAPI-9] a hostile document", () => {
  test("with circles costs no end of work", async () => {
    const components = {
      schemas: {
        A: { $ref: "#/components/schemas/B" },
        B: { $ref: "#/components/schemas/A" },
        C: { allOf: [{ $ref: "#/components/schemas/C" }] },
        D: { anyOf: [{ $ref: "#/components/schemas/E" }, { type: "null" }] },
        E: { not: { $ref: "#/components/schemas/D" } },
      },
    };
    const properties = Object.fromEntries(
      ["A", "B", "C", "D", "E"].map((name) => [name, { $ref: `#/components/schemas/${name}` }]),
    );
    const made = convert({ "/a": post({ type: "object", properties }) }, components);
    assert.ok(await fits(inputOf(made), { body: { A: 1, B: "", C: {}, D: [], E: null } }));
    assert.ok(textsOf(made).some((text) => text.includes("consists of itself")));
    const parameters = [{ $ref: "#/components/parameters/P" }];
    const circle = { parameters: { P: { $ref: "#/components/parameters/P" } } };
    const left = convert({ "/a": { get: { parameters, responses: {} } } }, circle);
    assert.deepEqual(textsOf(left), ["left out GET /a: one of its parameters isn't described"]);
  });

  test("whose definitions double at each level isn't expanded", async () => {
    const schemas: JsonObject = { S0: { type: "string" } };
    for (let at = 1; at < 60; at++) {
      const below = { $ref: `#/components/schemas/S${at - 1}` };
      Object.assign(schemas, { [`S${at}`]: { anyOf: [below, below] } });
    }
    const made = convert({ "/a": post({ $ref: "#/components/schemas/S59" }) }, { schemas });
    const [operation] = made.operations;
    // Listed, but not checked here.
    assert.equal(operation?.input, undefined);
    assert.ok(JSON.stringify(operation?.tool).length < 10_000);
    assert.deepEqual(textsOf(made), [
      "loosened POST /a: its arguments are checked by the API alone: too much work",
    ]);
  });

  test("with a chain of a hundred thousand, or ten thousand alternatives, is bounded", () => {
    const schemas: JsonObject = {};
    for (let at = 0; at < 100_000; at++) {
      Object.assign(schemas, {
        [`S${at}`]: { allOf: [{ $ref: `#/components/schemas/S${at + 1}` }] },
      });
    }
    const many = { oneOf: Array.from({ length: 10_000 }, (_, at) => ({ const: `value-${at}` })) };
    const made = convert({
      "/chain": post({ $ref: "#/components/schemas/S0" }),
      "/many": post(many),
      "/good": { get: { responses: {} } },
    }, { schemas });
    assert.ok(made.operations.some(({ path }) => path === "/good"));
    assert.ok(made.operations.every(({ tool }) => JSON.stringify(tool).length < 100_000));
    const loosened = textsOf(made).filter((text) => text.startsWith("loosened POST /many"));
    assert.match(loosened[0] ?? "", /body's schema is left out: it is over 65536 bytes/);
    assert.equal(
      bodyOf({ ...made, operations: made.operations.filter(({ path }) => path === "/many") }).type,
      undefined,
    );
  });

  test("[OAPI-20] with one huge part that each operation refers to is looked at a few times", () => {
    const names = Array.from({ length: 30_000 }, (_, at) => [`name${at}`, { type: "string" }]);
    let looks = 0;
    const first = {
      get type() {
        looks++;
        return "string";
      },
    };
    const wide = { first, ...Object.fromEntries(names) };
    const schema = { type: "object", properties: wide };
    const texts = { type: "string", enum: names.map(([name]) => name) };
    const json = { content: { "application/json": { schema } } };
    const components = {
      parameters: {
        Wide: { name: "wide", in: "query", schema },
        Many: { name: "many", in: "query", schema: texts },
      },
      requestBodies: {
        Form: { content: { "multipart/form-data": { schema, encoding: wide } } },
      },
      responses: { Wide: { description: "", ...json }, Other: { description: "", ...json } },
    };
    const refer = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });
    const kinds: readonly JsonObject[] = [
      { get: { parameters: [refer("parameters", "Wide")], responses: {} } },
      { get: { parameters: [refer("parameters", "Many")], responses: {} } },
      { post: { requestBody: refer("requestBodies", "Form"), responses: {} } },
      { get: { responses: { 200: refer("responses", "Wide"), 201: refer("responses", "Other") } } },
    ];
    for (const [at, item] of kinds.entries()) {
      looks = 0;
      const paths = Object.fromEntries(
        Array.from({ length: 300 }, (_, path) => [`/p${path}`, item]),
      );
      const { operations, complaints } = convert(paths, components);
      assert.ok(looks < 60, `${at}: looked at ${looks} times`);
      assert.ok(JSON.stringify(operations.map(({ tool }) => tool)).length < 3_500_000);
      const about = complaints.map(({ text }) => text).join("\n");
      assert.match(about, /schemas that are too large|schema is left out|too much work/);
    }
  });

  test("[OAPI-20] with an enumeration of a hundred thousand is bounded", () => {
    const values = Array.from({ length: 100_000 }, (_, at) => `value-${at}`);
    const schema = { type: "string", enum: values };
    const parameters = [{ name: "a", in: "query", schema }];
    const made = convert({
      "/body": post(schema),
      "/parameter": { get: { parameters, responses: {} } },
      "/output": {
        get: { responses: { 200: { content: { "application/json": { schema } } } } },
      },
    });
    assert.deepEqual(made.operations.map(({ path }) => path), ["/body", "/output"]);
    assert.ok(JSON.stringify(made.operations).length < 10_000);
    assert.deepEqual(textsOf(made), [
      "loosened POST /body: its body's schema is left out: it is over 65536 bytes",
      "left out GET /parameter: its parameters have schemas that are too large",
    ]);
  });

  test("[OAPI-20] with names that would be more than a header is refused", () => {
    const type = "application/json\r\nx-evil: 1";
    const parameters = ["x-a\r\nx-evil", "host", "Authorization", "cookie", ""].map((name) => (
      { name, in: "header", schema: { type: "string" } }
    ));
    const made = convert({
      "/type": {
        post: { requestBody: { content: { [type]: {} }, required: true }, responses: {} },
      },
      "/answer": { get: { responses: { 200: { content: { [type]: {} } } } } },
      "/header": { get: { parameters: parameters.slice(0, 4), responses: {} } },
      "/cookie": {
        get: { parameters: [{ name: "a; b=c", in: "cookie", schema: {} }], responses: {} },
      },
      "/unnamed": { get: { parameters: parameters.slice(4), responses: {} } },
    });
    assert.deepEqual(
      made.operations.map(({ path, parameters, accept }) => [path, parameters.length, accept]),
      ["/answer", "/header", "/cookie"].map((path) => [path, 0, "application/json, */*;q=0.5"]),
    );
  });

  test("with names of the prototype changes nothing", async () => {
    const schema = JSON.parse(
      '{"type":"object","properties":{"__proto__":{"type":"object","properties":{"x":{"type":"string"}}}}}',
    );
    const schemas = JSON.parse('{"__proto__":{"type":"string"},"constructor":{"type":"string"}}');
    const paths = JSON.parse('{"/a":{"__proto__":{},"post":{}},"__proto__":{"get":{}}}');
    paths["/a"].post = post(schema).post;
    paths["/b"] = post({ $ref: "#/components/schemas/toString" });
    paths["/c"] = post({ $ref: "#/components/schemas/__proto__" });
    const made = convert(paths, { schemas });
    assert.equal(made.operations.length, 3);
    assert.equal(({} as JsonObject).x, undefined);
    assert.equal(({} as JsonObject).type, undefined);
    const [, b, c] = made.operations;
    assert.ok(await fits(b?.tool.inputSchema as JsonObject, { body: 7 }));
    assert.ok(!await fits(c?.tool.inputSchema as JsonObject, { body: 7 }));
  });

  test("with more operations than the limit is cut, and what can't be called is left out", () => {
    const paths: JsonObject = {};
    for (let at = 0; at < 20; at++) {
      Object.assign(paths, { [`/p${at}`]: { get: { responses: {} } } });
    }
    Object.assign(paths, {
      "/a?b": { get: { responses: {} } },
      "/{open}": { get: { responses: {} } },
      "/xml": {
        post: {
          requestBody: { required: true, content: { "multipart/mixed": {} } },
          responses: {},
        },
      },
    });
    const document = { openapi: "3.1.0", paths };
    const { operations, complaints } = operationsOf(document, { ...OPTIONS, most: 5 });
    assert.equal(operations.length, 5);
    assert.equal(complaints[0]?.text, "18 of 23 operations, over the limit");
    assert.deepEqual(textsOf(operationsOf(document, OPTIONS)), [
      "left out GET /a?b: its path has more than a path",
      'left out GET /{open}: the parameter "open" of its path isn\'t described',
      'left out POST /xml: its body has a type that can\'t be written: "multipart/mixed"',
    ]);
  });
});

describe("[OAPI-5] the URL to call", () => {
  const base = (servers: unknown, documentUrl?: string, more: JsonObject = {}) => {
    const paths = { "/a": { get: { responses: {}, ...more } } };
    const options = { baseUrl: undefined, documentUrl, most: 1 };
    return operationsOf({ openapi: "3.1.0", servers, paths }, options).operations[0]?.base;
  };

  test("is that of the first server, with the defaults of its variables", () => {
    assert.equal(
      base([{ url: "https://a.example/v1/" }, { url: "https://b.example" }]),
      "https://a.example/v1",
    );
    const variables = { region: { default: "eu" } };
    assert.equal(base([{ url: "https://{region}.a.example", variables }]), "https://eu.a.example");
    assert.equal(
      base([{ url: "/v2" }], "https://a.example/docs/openapi.json"),
      "https://a.example/v2",
    );
    assert.equal(base(undefined, "https://a.example/docs/openapi.json"), "https://a.example");
    const own = { servers: [{ url: "https://uploads.example" }] };
    assert.equal(base([{ url: "https://a.example" }], undefined, own), "https://uploads.example");
  });

  test("is asked for where the document has none that may be called", () => {
    for (
      const [servers, message, documentUrl] of [
        [undefined, /Give "baseUrl": the document's server has no host: "\/"/],
        [[{ url: "https://{host}.example" }], /variable "host" .* has no default/],
        [[{ url: "file:///etc" }], /isn't one of HTTP: file:/],
        [[{ url: "https://user:hush@a.example" }], /has more than a path/],
        [
          [{ url: "http://169.254.169.254/" }],
          /from another origin than its server http:\/\/169/,
          "https://a.example/x",
        ],
      ] as const
    ) {
      assert.throws(() => base(servers, documentUrl), message);
    }
  });
});
