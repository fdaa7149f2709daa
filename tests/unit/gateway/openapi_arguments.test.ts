import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type ApiParameter, ArgumentError } from "../../../src/gateway/openapi/arguments.ts";
import type { ApiBody, ApiOperation } from "../../../src/gateway/openapi/operations.ts";
import { requestOf } from "../../../src/gateway/openapi/request.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";

function operation(
  path: string,
  parameters: Partial<ApiParameter>[],
  body?: Partial<ApiBody>,
): ApiOperation {
  return {
    tool: {},
    input: {},
    output: undefined,
    wraps: false,
    name: "go",
    method: "POST",
    path,
    base: "https://api.example/v1",
    accept: "application/json",
    security: undefined,
    parameters: parameters.map((each) => ({
      name: "color",
      argument: each.name ?? "color",
      in: "query",
      required: true,
      style: "form",
      explode: false,
      json: false,
      ...each,
    })),
    body: body && {
      argument: "body",
      kind: "json",
      mediaType: "application/json",
      encoding: new Map(),
      types: new Map(),
      files: new Set(),
      ...body,
    },
  };
}

function request(made: ApiOperation, args: JsonObject) {
  return requestOf(made, args, 100_000);
}

const ARRAY = ["blue", "black", "brown"];
const OBJECT = { R: 100, G: 200, B: 150 };

describe("[OAPI-4] arguments in the styles of OpenAPI", () => {
  // The table of examples of OpenAPI 3.1.1 §4.8.12.
  const cases: readonly (readonly [Partial<ApiParameter>, unknown, string])[] = [
    [{ in: "path", style: "matrix" }, "blue", ";color=blue"],
    [{ in: "path", style: "matrix" }, ARRAY, ";color=blue,black,brown"],
    [{ in: "path", style: "matrix" }, OBJECT, ";color=R,100,G,200,B,150"],
    [{ in: "path", style: "matrix", explode: true }, ARRAY, ";color=blue;color=black;color=brown"],
    [{ in: "path", style: "matrix", explode: true }, OBJECT, ";R=100;G=200;B=150"],
    [{ in: "path", style: "label" }, "blue", ".blue"],
    [{ in: "path", style: "label" }, ARRAY, ".blue,black,brown"],
    [{ in: "path", style: "label", explode: true }, ARRAY, ".blue.black.brown"],
    [{ in: "path", style: "label", explode: true }, OBJECT, ".R=100.G=200.B=150"],
    [{ in: "path", style: "simple" }, ARRAY, "blue,black,brown"],
    [{ in: "path", style: "simple" }, OBJECT, "R,100,G,200,B,150"],
    [{ in: "path", style: "simple", explode: true }, OBJECT, "R=100,G=200,B=150"],
    [{ style: "form" }, "blue", "?color=blue"],
    [{ style: "form" }, "", "?color="],
    [{ style: "form" }, ARRAY, "?color=blue,black,brown"],
    [{ style: "form" }, OBJECT, "?color=R,100,G,200,B,150"],
    [{ style: "form", explode: true }, ARRAY, "?color=blue&color=black&color=brown"],
    [{ style: "form", explode: true }, OBJECT, "?R=100&G=200&B=150"],
    [{ style: "spaceDelimited" }, ARRAY, "?color=blue%20black%20brown"],
    [{ style: "pipeDelimited" }, ARRAY, "?color=blue%7Cblack%7Cbrown"],
    [
      { style: "deepObject", explode: true },
      OBJECT,
      "?color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
    ],
    [
      { style: "deepObject", explode: true },
      { a: [1, 2], b: [{ c: true }] },
      "?color%5Ba%5D%5B%5D=1&color%5Ba%5D%5B%5D=2&color%5Bb%5D%5B0%5D%5Bc%5D=true",
    ],
    [{ json: true }, OBJECT, "?color=%7B%22R%22%3A100%2C%22G%22%3A200%2C%22B%22%3A150%7D"],
    [{ style: "form", explode: true }, [], ""],
  ];
  for (const [parameter, value, expected] of cases) {
    const isPath = parameter.in === "path";
    test(`${parameter.in ?? "query"} ${parameter.style ?? "json"} ${JSON.stringify(value)} ${expected}`, () => {
      const { url } = request(operation(isPath ? "/a/{color}" : "/a", [parameter]), {
        color: value,
      });
      assert.equal(url, `https://api.example/v1/a${isPath ? "/" : ""}${expected}`);
    });
  }

  test("headers and cookies", () => {
    const made = operation("/a", [
      { name: "X-One", in: "header" },
      { name: "x-two", in: "header", explode: true },
      { name: "sid", in: "cookie" },
    ]);
    const { headers, cookies } = request(made, { "X-One": ARRAY, "x-two": OBJECT, sid: "a; b=c" });
    assert.deepEqual([headers["x-one"], headers["x-two"]], [
      "blue,black,brown",
      "R=100,G=200,B=150",
    ]);
    assert.deepEqual(cookies, ["sid=a%3B%20b%3Dc"]);
    for (const value of ["a\r\nx-evil: 1", "\0", "€"]) {
      assert.throws(() => request(made, { "X-One": value }), ArgumentError);
    }
  });

  test("[OAPI-16] bodies: JSON, forms, files, texts and bytes", async () => {
    const written = (body: Partial<ApiBody>, value: unknown) =>
      request(operation("/a", [], body), { body: value });
    const json = written({}, { a: [1] });
    assert.deepEqual([json.body, json.headers["content-type"]], ['{"a":[1]}', "application/json"]);
    const encoding = new Map([["list", { style: "form", explode: false }]]);
    const form = written(
      { kind: "form", mediaType: "application/x-www-form-urlencoded", encoding },
      {
        a: "1 &",
        list: [1, 2],
        deep: { b: { c: null, d: 2 } },
        none: null,
        all: ["x", "y"],
      },
    );
    assert.equal(
      form.body,
      "a=1%20%26&list=1,2&deep%5Bb%5D%5Bc%5D=&deep%5Bb%5D%5Bd%5D=2&all=x&all=y",
    );
    const parts = written({ kind: "multipart", files: new Set(["file"]) }, {
      file: btoa("bytes"),
      about: { a: 1 },
      n: 2,
    });
    assert.ok(parts.body instanceof FormData);
    assert.equal(parts.headers["content-type"], undefined);
    const [file, about] = [parts.body.get("file"), parts.body.get("about")];
    assert.ok(file instanceof Blob && about instanceof Blob);
    assert.deepEqual([await file.text(), await about.text(), parts.body.get("n")], [
      "bytes",
      '{"a":1}',
      "2",
    ]);
    const styled = written({
      kind: "multipart",
      files: new Set(["file"]),
      types: new Map([["file", "image/png"], ["about", "application/ld+json"]]),
      encoding: new Map([
        ["deep", { style: "deepObject", explode: true }],
        ["list", { style: "form", explode: false }],
      ]),
    }, {
      file: btoa("bytes"),
      about: { a: 1 },
      deep: { a: { b: "1 &" }, all: ["x", "y"] },
      list: ["p", "q"],
      each: ["p", "q"],
    });
    assert.ok(styled.body instanceof FormData);
    const [image, data] = [styled.body.get("file"), styled.body.get("about")];
    assert.ok(image instanceof Blob && data instanceof Blob);
    assert.deepEqual([image.type, data.type], ["image/png", "application/ld+json"]);
    assert.deepEqual([...styled.body].filter(([, value]) => typeof value === "string"), [
      ["deep[a][b]", "1 &"],
      ["deep[all][]", "x"],
      ["deep[all][]", "y"],
      ["list", "p,q"],
      ["each", "p"],
      ["each", "q"],
    ]);
    assert.equal(written({ kind: "text", mediaType: "text/plain" }, "Hello").body, "Hello");
    assert.deepEqual(written({ kind: "bytes" }, btoa("abc")).body, new TextEncoder().encode("abc"));
    assert.throws(() => written({ kind: "bytes" }, "no!"), /in Base64/);
    assert.throws(() => written({}, "x".repeat(100_001)), /at most 100000 bytes are sent/);
    assert.throws(() => written({ kind: "bytes" }, btoa("x".repeat(100_001))), /at most 100000/);
  });
});

describe("[OAPI-5] no argument leads out of an operation's own path", () => {
  const path = operation("/users/{color}/notes", [{ in: "path", style: "simple" }]);

  test("what would address something else is refused", () => {
    for (const value of ["", [], {}, ".", "..", null, [""]]) {
      assert.throws(() => request(path, { color: value }), ArgumentError, JSON.stringify(value));
    }
    assert.throws(() => request(path, {}), /Give the argument "color"/);
    assert.throws(() => request(path, { color: "\ud800" }), /well-formed/);
    assert.throws(() => request(path, { color: "x".repeat(20_000) }), /too long/);
    const pair = operation("/a/{one}{two}", [
      { name: "one", in: "path", style: "simple" },
      { name: "two", in: "path", style: "simple" },
    ]);
    assert.equal(request(pair, { one: "a", two: "b" }).url, "https://api.example/v1/a/ab");
    const dotted = operation("/a/.{color}/b", [{ in: "path", style: "simple" }]);
    assert.equal(request(dotted, { color: "x" }).url, "https://api.example/v1/a/.x/b");
    const label = operation("/a/{color}/b", [{ in: "path", style: "label" }]);
    assert.throws(() => request(label, { color: "." }), ArgumentError);
  });

  test("[OAPI-20] no argument names another host, or adds a header, a cookie or a parameter", () => {
    const made = operation("/{color}", [
      { in: "path", style: "simple" },
      { name: "q", style: "form", explode: true },
      { name: "deep", style: "deepObject", explode: true },
      { name: "sid", in: "cookie" },
    ]);
    for (
      const text of [
        "//evil.example/",
        "https://evil.example",
        "@evil.example",
        ":80@evil.example",
        "\\\\evil.example",
        "..%2f..%2fadmin",
        "%2e%2e",
        "a?admin=1#x",
        "a&admin=1",
        "a;admin=1",
        "a\r\nhost: evil.example",
      ]
    ) {
      const args = { color: text, q: text, deep: { [text]: text }, sid: text };
      const { url, headers, cookies } = request(made, args);
      const { origin, pathname, searchParams, hash } = new URL(url);
      assert.deepEqual([origin, hash], ["https://api.example", ""]);
      assert.equal(pathname.split("/").length, 3, pathname);
      assert.deepEqual([...searchParams], [["q", text], [`deep[${text}]`, text]]);
      assert.deepEqual(Object.keys(headers), ["accept"]);
      assert.match(cookies.join(), /^sid=[^;\s,]*$/);
    }
    // The document may have odd paths too.
    for (const path of ["//evil.example/a", "/%2e%2e/a", "/../a", "/a/./b"]) {
      let url: string | undefined;
      try {
        url = request(operation(path, []), {}).url;
      } catch (error) {
        assert.ok(error instanceof ArgumentError);
      }
      if (url !== undefined) assert.ok(url.startsWith("https://api.example/v1/"), url);
    }
  });

  test("any text comes back as it was given, in its own place", () => {
    const texts = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "../x",
        "a/b",
        "%2e%2e",
        "%2f",
        "//evil.example",
        "?q=1",
        "#f",
        "\\..\\",
        "@evil",
        ":80",
        ";a=b",
      ),
    );
    fc.assert(fc.property(texts, texts, (id, text) => {
      const made = operation("/users/{id}/notes", [
        { name: "id", in: "path", style: "simple" },
        { name: "q", style: "form", explode: true },
      ]);
      let url: URL;
      try {
        url = new URL(request(made, { id, q: text }).url);
      } catch (error) {
        assert.ok(error instanceof ArgumentError, String(error));
        assert.ok([id, text].some((each) => !each.isWellFormed()) || ["", ".", ".."].includes(id));
        return;
      }
      assert.equal(url.origin, "https://api.example");
      const parts = url.pathname.split("/");
      assert.deepEqual([parts.length, parts[1], parts[2], parts[4]], [5, "v1", "users", "notes"]);
      assert.equal(decodeURIComponent(parts[3] ?? ""), id);
      assert.deepEqual([...url.searchParams], [["q", text]]);
    }));
  });
});
