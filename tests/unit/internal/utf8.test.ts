import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8Length } from "../../../src/internal/utf8.ts";

const encoder = new TextEncoder();

describe("utf8Length()", () => {
  test("is the length of the encoded text, lone surrogates included", () => {
    const unit = fc.oneof(
      fc.constantFrom(
        "a",
        "\x7f",
        "\x80",
        "߿",
        "ࠀ",
        "\ud800",
        "\udbff",
        "\udc00",
        "\udfff",
        "\uffff",
      ),
      fc.string({ unit: "binary" }),
    );
    fc.assert(fc.property(fc.array(unit).map((units) => units.join("")), (text) => {
      assert.equal(utf8Length(text), encoder.encode(text).byteLength);
    }));
  });
});
