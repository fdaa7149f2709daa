import assert from "node:assert/strict";
import { test } from "node:test";
import { freezeDeep } from "../../../src/internal/freeze.ts";

test("everything in a value is frozen, however deep it is", () => {
  const value = { a: [{ b: ["c"] }], d: null, e: "f" };
  assert.equal(freezeDeep(value), value);
  assert.throws(() => value.a[0]?.b.push("x"), TypeError);
  assert.throws(() => value.a.push({ b: [] }), TypeError);
  const deep = JSON.parse("[".repeat(100_000) + "]".repeat(100_000));
  assert.ok(Object.isFrozen(freezeDeep(deep)[0][0]));
});
