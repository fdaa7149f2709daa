import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { PART, partsOf } from "../../../src/cluster/forwarding/body_parts.ts";

describe("partsOf()", () => {
  test("[CLU-5] cuts a text into parts that put together are the text", () => {
    for (const length of [0, 1, PART - 1, PART, PART + 1, 3 * PART]) {
      const text = "x".repeat(length);
      const parts = [...partsOf(text)];
      assert.equal(parts.join(""), text);
      assert.equal(parts.length, Math.ceil(length / PART));
      assert.ok(parts.every((part) => part.length <= PART));
    }
  });

  test("[CLU-5] cuts no character in two", () => {
    for (const text of [`x${"😀".repeat(PART)}`, "😀".repeat(PART), "\ud800".repeat(PART + 1)]) {
      const parts = [...partsOf(text)];
      assert.equal(parts.join(""), text);
      const wellFormed = text.isWellFormed();
      assert.ok(parts.every((part) => part.length > 0 && part.isWellFormed() === wellFormed));
    }
  });
});
