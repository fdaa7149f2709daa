import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type HeapItem, MaxHeap } from "../../../src/internal/max_heap.ts";

class Item implements HeapItem {
  index = -1;
  weight: number;

  constructor(weight: number) {
    this.weight = weight;
  }
}

const step = fc.oneof(
  fc.record({ do: fc.constant("add" as const), weight: fc.nat(20) }),
  fc.record({ do: fc.constant("change" as const), at: fc.nat(50), weight: fc.nat(20) }),
  fc.record({ do: fc.constant("remove" as const), at: fc.nat(50) }),
);

describe("MaxHeap", () => {
  test("[STR-14] its first item is the heaviest, whatever is added, changed and removed", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
        const heap = new MaxHeap<Item>();
        const items: Item[] = [];
        for (const step of steps) {
          if (step.do === "add") {
            const item = new Item(step.weight);
            items.push(item);
            heap.add(item);
          } else {
            const at = step.at % Math.max(1, items.length);
            const item = items[at];
            if (item === undefined) continue;
            if (step.do === "change") {
              item.weight = step.weight;
              heap.update(item);
            } else {
              items.splice(at, 1);
              heap.remove(item);
            }
          }
          const heaviest = Math.max(...items.map(({ weight }) => weight));
          assert.equal(heap.first?.weight, items.length === 0 ? undefined : heaviest);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("[STR-14] a change among thousands compares few of them", () => {
    const heap = new MaxHeap<HeapItem>();
    let reads = 0;
    const make = (weight: number) => ({
      index: -1,
      current: weight,
      get weight() {
        reads += 1;
        return this.current;
      },
    });
    const items = Array.from({ length: 4_096 }, (_, i) => make(i));
    for (const item of items) heap.add(item);
    for (const [i, item] of items.entries()) {
      reads = 0;
      item.current = i % 2 === 0 ? 5_000 + i : -i;
      heap.update(item);
      assert.ok(reads <= 6 * Math.log2(items.length), `${reads} weights are read`);
    }
  });
});
