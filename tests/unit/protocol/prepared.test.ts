import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { prepare, preparedText } from "../../../src/protocol/prepared.ts";

describe("prepare()", () => {
  test("gives back the very result, with its text", () => {
    const result = { tools: [{ name: "é\u2028" }], nothing: undefined };
    assert.equal(prepare(result), result);
    assert.equal(preparedText(result), '{"tools":[{"name":"é\u2028"}]}');
  });

  test("makes the text once", () => {
    let made = 0;
    const toJSON = () => ++made;
    const result = prepare({ toJSON });
    assert.equal(preparedText(result), "1");
    assert.equal(preparedText(result), "1");
    assert.equal(made, 1);
  });
});

describe("preparedText()", () => {
  test("knows no other result, however alike", () => {
    const result = prepare({ a: 1 });
    for (const other of [{ a: 1 }, { ...result }, structuredClone(result), {}]) {
      assert.equal(preparedText(other), undefined);
    }
    assert.equal(preparedText({ result }), undefined);
  });

  test("keeps each result's text apart", () => {
    const results = [1, 2, 3].map((a) => prepare({ a }));
    assert.deepEqual(results.map(preparedText), ['{"a":1}', '{"a":2}', '{"a":3}']);
  });
});
