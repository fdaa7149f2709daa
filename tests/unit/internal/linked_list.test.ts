import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Linked, LinkedList } from "../../../src/internal/linked_list.ts";

class Item extends Linked<Item> {
  readonly name: number;

  constructor(name: number) {
    super();
    this.name = name;
  }
}

function names(list: LinkedList<Item>): { forwards: number[]; backwards: number[] } {
  const forwards: number[] = [];
  const backwards: number[] = [];
  for (let item = list.first; item !== undefined; item = item.next) forwards.push(item.name);
  for (let item = list.last; item !== undefined; item = item.previous) backwards.push(item.name);
  return { forwards, backwards: backwards.reverse() };
}

describe("LinkedList", () => {
  test("keeps the order in which things were appended, whatever leaves or moves between lists", () => {
    const step = fc.record({
      item: fc.nat(7),
      list: fc.nat(1),
      move: fc.constantFrom("append", "remove"),
    });
    fc.assert(fc.property(fc.array(step, { maxLength: 100, size: "max" }), (steps) => {
      const items = Array.from({ length: 8 }, (_, i) => new Item(i));
      const lists = [new LinkedList<Item>(), new LinkedList<Item>()];
      const models: number[][] = [[], []];
      for (const { item, list, move } of steps) {
        const real = lists[list];
        const node = items[item];
        if (real === undefined || node === undefined) continue;
        if (move === "append") {
          real.append(node);
          models.forEach((model, i) => models[i] = model.filter((name) => name !== item));
          models[list]?.push(item);
        } else {
          real.remove(node);
          models[list] = models[list]?.filter((name) => name !== item) ?? [];
        }
        lists.forEach((each, i) => {
          const { forwards, backwards } = names(each);
          assert.deepEqual(forwards, models[i]);
          assert.deepEqual(backwards, models[i]);
        });
      }
    }));
  });
});
