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
  test("keeps the order of an array, whatever joins, leaves or moves between lists", () => {
    const step = fc.record({
      item: fc.nat(7),
      before: fc.nat(7),
      list: fc.nat(1),
      move: fc.constantFrom("append", "insert", "remove"),
    });
    fc.assert(fc.property(fc.array(step, { maxLength: 100, size: "max" }), (steps) => {
      const items = Array.from({ length: 8 }, (_, i) => new Item(i));
      const lists = [new LinkedList<Item>(), new LinkedList<Item>()];
      const models: number[][] = [[], []];
      for (const { item, before, list, move } of steps) {
        const real = lists[list];
        const node = items[item];
        const next = items[before];
        if (real === undefined || node === undefined || next === undefined) continue;
        if (move === "append") {
          real.append(node);
          models.forEach((model, i) => models[i] = model.filter((name) => name !== item));
          models[list]?.push(item);
        } else if (move === "insert") {
          const place = models[list]?.indexOf(before) ?? -1;
          // It is for what is in no list, and before what is in this one.
          if (place === -1 || models.some((model) => model.includes(item))) continue;
          real.insert(node, next);
          models[list]?.splice(place, 0, item);
        } else {
          real.remove(node);
          models[list] = models[list]?.filter((name) => name !== item) ?? [];
        }
        lists.forEach((each, i) => {
          const { forwards, backwards } = names(each);
          assert.deepEqual(forwards, models[i]);
          assert.deepEqual(backwards, models[i]);
        });
        for (const [name, { list, previous, next }] of items.entries()) {
          const place = models.findIndex((model) => model.includes(name));
          assert.equal(list, place === -1 ? undefined : lists[place]);
          if (place === -1) assert.deepEqual([previous, next], [undefined, undefined]);
        }
      }
    }));
  });

  test("insert() puts things at the front and in the middle, and leaves the end alone", () => {
    const list = new LinkedList<Item>();
    const [a, b, c, d] = [new Item(1), new Item(2), new Item(3), new Item(4)];
    list.append(d);
    list.insert(a, d);
    assert.deepEqual(names(list), { forwards: [1, 4], backwards: [1, 4] });
    assert.equal(list.first, a);
    list.insert(c, d);
    list.insert(b, c);
    assert.deepEqual(names(list), { forwards: [1, 2, 3, 4], backwards: [1, 2, 3, 4] });
    assert.equal(list.last, d);
    for (const item of [a, b, c, d]) assert.equal(item.list, list);
    list.remove(a);
    list.remove(c);
    assert.deepEqual(names(list), { forwards: [2, 4], backwards: [2, 4] });
    list.insert(c, b);
    list.append(a);
    assert.deepEqual(names(list), { forwards: [3, 2, 4, 1], backwards: [3, 2, 4, 1] });
  });
});
