import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BoundedMap, BoundedSet } from "../../../src/internal/bounded_map.ts";

describe("bounded maps and sets", () => {
  test("a new entry pushes out the one that was set first, and says so", () => {
    const forgotten: string[] = [];
    const map = new BoundedMap<string, number>(2, (value, key) => forgotten.push(`${key}${value}`));
    map.set("a", 1).set("b", 2).set("a", 3).set("c", 4);
    assert.deepEqual([...map], [["a", 3], ["c", 4]]);
    assert.deepEqual(forgotten, ["b2"]);
    map.delete("a");
    assert.deepEqual([map.size, forgotten.length], [1, 1]);
  });

  test("a new value pushes out the one that was added first", () => {
    const forgotten: string[] = [];
    const set = new BoundedSet<string>(2, (value) => forgotten.push(value));
    set.add("a").add("b").add("a").add("c");
    assert.deepEqual([[...set], forgotten], [["a", "c"], ["b"]]);
  });

  test("without room nothing is kept", () => {
    assert.equal(new BoundedMap<string, number>(0).set("a", 1).size, 0);
  });
});
