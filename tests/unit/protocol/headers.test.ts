import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  checkParamHeaders,
  checkStandardHeaders,
  decodeHeader,
} from "../../../src/protocol/headers.ts";

describe("decodeHeader", () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["us-west1", "us-west1"],
    ["=?base64?SGVsbG8=?=", "Hello"],
    ["=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"],
    ["=?base64?IHBhZGRlZCA=?=", " padded "],
    ["=?base64??=", ""],
    ["=?base64?SGVsbG8?=", undefined],
    ["=?base64?SGVs!!!bG8=?=", undefined],
    ["=?base64?/w==?=", undefined],
    ["=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?="],
    ["=?base64?SGVsbG8=", "=?base64?SGVsbG8="],
    ["SGVsbG8=?=", "SGVsbG8=?="],
    ["caf\u00e9", undefined],
  ];
  for (const [header, value] of cases) {
    test(`[ERA-3] ${JSON.stringify(header)} stands for ${JSON.stringify(value)}`, () => {
      assert.equal(decodeHeader(header), value);
    });
  }
});

describe("checkStandardHeaders", () => {
  const call = { name: "add" };
  const cases: readonly (readonly [string, Record<string, string>, boolean])[] = [
    ["both", { "Mcp-Method": "tools/call", "Mcp-Name": "add" }, true],
    ["an encoded name", { "mcp-method": "tools/call", "mcp-name": "=?base64?YWRk?=" }, true],
    ["a padded name", { "mcp-method": "tools/call", "mcp-name": "  add  " }, true],
    ["no method", { "Mcp-Name": "add" }, false],
    ["another method", { "Mcp-Method": "tools/list", "Mcp-Name": "add" }, false],
    ["another case", { "Mcp-Method": "Tools/Call", "Mcp-Name": "add" }, false],
    ["no name", { "Mcp-Method": "tools/call" }, false],
    ["another name", { "Mcp-Method": "tools/call", "Mcp-Name": "sub" }, false],
  ];
  for (const [what, headers, ok] of cases) {
    test(`[ERA-3] a call with ${what} ${ok ? "passes" : "is refused"}`, () => {
      const problem = checkStandardHeaders(new Headers(headers), "tools/call", call);
      assert.equal(problem === undefined, ok, problem);
    });
  }

  test("[ERA-3] only three methods have a name, and resources/read has a URI for it", () => {
    const list = new Headers({ "mcp-method": "tools/list" });
    assert.equal(checkStandardHeaders(list, "tools/list", { name: "x" }), undefined);
    const read = new Headers({ "mcp-method": "resources/read", "mcp-name": "test://a" });
    assert.equal(checkStandardHeaders(read, "resources/read", { uri: "test://a" }), undefined);
    assert.ok(checkStandardHeaders(read, "resources/read", { uri: "test://b" }));
  });

  test("[ERA-3] a name that looks encoded must be encoded", () => {
    const name = "=?base64?YWRk?=";
    const params = { name };
    const literal = new Headers({ "mcp-method": "tools/call", "mcp-name": name });
    assert.ok(checkStandardHeaders(literal, "tools/call", params));
    const encoded = new Headers({
      "mcp-method": "tools/call",
      "mcp-name": `=?base64?${btoa(name)}?=`,
    });
    assert.equal(checkStandardHeaders(encoded, "tools/call", params), undefined);
  });
});

describe("checkParamHeaders", () => {
  const region = [{ header: "Region", path: ["region"], type: "string" }] as const;
  const size = [{ header: "Size", path: ["box", "size"], type: "integer" }] as const;
  const dry = [{ header: "Dry", path: ["dry"], type: "boolean" }] as const;
  const header = (name: string, value: string) => new Headers({ [`Mcp-Param-${name}`]: value });

  test("[ERA-3] a text is compared as it is", () => {
    assert.equal(checkParamHeaders(header("Region", "us"), { region: "us" }, region), undefined);
    assert.ok(checkParamHeaders(header("Region", "eu"), { region: "us" }, region));
    assert.ok(checkParamHeaders(new Headers(), { region: "us" }, region));
  });

  test("[ERA-3] without a value there must be no header", () => {
    for (const args of [{}, { region: null }, undefined, []]) {
      assert.equal(checkParamHeaders(new Headers(), args, region), undefined);
      assert.ok(checkParamHeaders(header("Region", "us"), args, region));
    }
  });

  test("[ERA-3] integers are compared as numbers, at their path", () => {
    const args = { box: { size: 42 } };
    for (const same of ["42", "42.0", "4.2e1"]) {
      assert.equal(checkParamHeaders(header("Size", same), args, size), undefined, same);
    }
    for (const other of ["43", "", "forty-two", "NaN"]) {
      assert.ok(checkParamHeaders(header("Size", other), args, size), other);
    }
  });

  test("[ERA-3] booleans are lower-case words", () => {
    assert.equal(checkParamHeaders(header("Dry", "true"), { dry: true }, dry), undefined);
    assert.ok(checkParamHeaders(header("Dry", "TRUE"), { dry: true }, dry));
    assert.ok(checkParamHeaders(header("Dry", "true"), { dry: false }, dry));
  });

  test("[ERA-3] names that every object has are no arguments", () => {
    for (const path of [["constructor"], ["constructor", "name"], ["__proto__", "toString"]]) {
      const inherited = [{ header: "X", path, type: "string" }] as const;
      assert.equal(checkParamHeaders(new Headers(), {}, inherited), undefined, path.join("."));
    }
  });
});
