import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { randomText, shortHash, withRandomSource } from "../../../src/internal/random.ts";

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

describe("withRandomSource()", () => {
  const zeros = (bytes: Uint8Array<ArrayBuffer>) => void bytes.fill(0);

  test("[SIM-7] replaces the source while the work runs, and not afterwards", async () => {
    randomText(3);
    assert.equal(await withRandomSource(zeros, () => Promise.resolve(randomText(4))), "AAAA");
    assert.notEqual(randomText(32), "A".repeat(32));
  });

  test("[SIM-7] has the system's source again when the work fails", async () => {
    await assert.rejects(
      withRandomSource(zeros, () => Promise.reject(new Error("failed"))),
      /failed/,
    );
    await assert.rejects(
      withRandomSource(zeros, () => {
        throw new Error("thrown");
      }),
      /thrown/,
    );
    assert.notEqual(randomText(32), "A".repeat(32));
  });

  test("[SIM-7] refuses a second source meanwhile, and keeps the first", async () => {
    await withRandomSource(zeros, async () => {
      await assert.rejects(withRandomSource(zeros, () => Promise.resolve()), /once at a time/);
      assert.equal(randomText(4), "AAAA");
    });
    assert.notEqual(randomText(32), "A".repeat(32));
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
