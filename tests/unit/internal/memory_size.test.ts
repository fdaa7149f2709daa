import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stringMemory } from "../../../src/internal/memory_size.ts";

describe("stringMemory()", () => {
  test("[STR-14] is a byte for each unit, or two if one of them is beyond Latin-1", () => {
    const texts = ["", "abc", "\u0000\n", "éÿ", "abĀ", "ab€", "\uffff", "😀", "\ud83d"];
    assert.deepEqual(texts.map(stringMemory), [0, 3, 2, 2, 6, 6, 2, 4, 2]);
  });
});
