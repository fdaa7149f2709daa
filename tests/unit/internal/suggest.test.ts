/**
 * Suggestions for unknown names.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { suggest } from "../../../src/internal/suggest.ts";

const CASES: readonly (readonly [string, readonly string[], string | undefined])[] = [
  ["prot", ["path", "port", "host"], "port"],
  ["PORT", ["path", "port"], "port"],
  // Two changes are allowed in short names, a third of the letters in long ones
  ["ab", ["cd"], "cd"],
  ["ab", ["cde"], undefined],
  ["allowedXXXins", ["allowedOrigins"], "allowedOrigins"],
  ["allowXXXXXins", ["allowedOrigins"], undefined],
  // The first of the nearest
  ["pat", ["part", "path"], "part"],
  ["", ["ab", "abc"], "ab"],
  ["port", [], undefined],
  ["a".repeat(64), ["a".repeat(60)], "a".repeat(60)],
  ["a".repeat(65), ["a".repeat(65)], undefined],
];

for (const [name, known, expected] of CASES) {
  test(`suggest() finds ${expected} for ${name} among ${known.join(", ")}`, () => {
    assert.equal(suggest(name, known), expected);
  });
}
