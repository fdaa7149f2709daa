import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { randomText, shortHash } from "../../../src/internal/random.ts";

describe("randomText()", () => {
  test("has the length asked for, from 64 characters that URLs and headers carry", () => {
    assert.equal(randomText(0), "");
    const text = randomText(10_000);
    assert.match(text, /^[A-Za-z0-9_-]{10000}$/);
    assert.equal(new Set(text).size, 64);
  });

  test("never repeats itself", () => {
    const texts = Array.from({ length: 1_000 }, () => randomText(32));
    assert.equal(new Set(texts).size, texts.length);
  });
});

describe("shortHash()", () => {
  test("is FNV-1a in eight digits", () => {
    assert.equal(shortHash(""), "811c9dc5");
    assert.equal(shortHash("a"), "e40c292c");
    assert.equal(shortHash("foobar"), "bf9cf968");
    assert.match(shortHash("anything else"), /^[0-9a-f]{8}$/);
  });
});
