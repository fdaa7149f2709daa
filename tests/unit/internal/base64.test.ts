import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { fromBase64, fromBase64Url, toBase64, toBase64Url } from "../../../src/internal/base64.ts";

describe("Base64", () => {
  test("bytes of every length come back, in both alphabets", () => {
    for (const length of [0, 1, 2, 3, 255, 0x8000, 0x8001, 100_000]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 131 + length) & 255);
      assert.equal(toBase64(bytes), Buffer.from(bytes).toString("base64"));
      assert.equal(toBase64Url(bytes), Buffer.from(bytes).toString("base64url"));
      assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
      assert.deepEqual(fromBase64Url(toBase64Url(bytes)), bytes);
    }
  });

  test("what is no Base64 is undefined", () => {
    for (const text of ["a", "?", "aaa=a", "ä"]) assert.equal(fromBase64(text), undefined, text);
    for (const text of ["a", "a+a/", "aa==", "a a", "ä"]) {
      assert.equal(fromBase64Url(text), undefined, text);
    }
  });
});
