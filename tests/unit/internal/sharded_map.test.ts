import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { ShardedMap } from "../../../src/internal/sharded_map.ts";

describe("ShardedMap", () => {
  test("holds what a map holds, under any names", () => {
    const key = fc.oneof(
      fc.string({ maxLength: 3 }),
      fc.constantFrom("", "__proto__", "a", "\ud800"),
    );
    const step = fc.record({ key, value: fc.option(fc.nat(), { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
        const sharded = new ShardedMap<number>();
        const plain = new Map<string, number>();
        for (const { key, value } of steps) {
          if (value === undefined) assert.equal(sharded.delete(key), plain.delete(key));
          else {
            sharded.set(key, value);
            plain.set(key, value);
          }
          assert.equal(sharded.get(key), plain.get(key));
          assert.equal(sharded.has(key), plain.has(key));
          assert.equal(sharded.size, plain.size);
        }
        assert.deepEqual([...sharded.keys()].sort(), [...plain.keys()].sort());
        assert.deepEqual([...sharded.values()].sort(), [...plain.values()].sort());
      }),
    );
  });

  test("[SES-5] spreads random ids and numbered names over its parts", () => {
    const random = () => crypto.randomUUID().replaceAll("-", "");
    const numbered = (n: number) => `id${n}`;
    for (const name of [random, numbered]) {
      const map = new ShardedMap<true>();
      for (let n = 0; n < 20_000; n++) map.set(name(n), true);
      const most = Math.max(...map.shards.map(({ size }) => size));
      assert.ok(most < map.size / 10, `${name}: ${most}`);
    }
  });

  test("keeps the order within a part, oldest first", () => {
    const map = new ShardedMap<number>();
    for (let n = 0; n < 1_000; n++) map.set(`id${n}`, n);
    for (const shard of map.shards) {
      const values = [...shard.values()];
      assert.deepEqual(values, values.toSorted((a, b) => a - b));
    }
  });
});
