/**
 * What every {@linkcode RecordStore} must do.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { RecordStore } from "../../src/internal/record_store.ts";
import type { MaybePromise } from "../../src/internal/types.ts";
import { uniqueId } from "./unique.ts";

/** Records under test. */
export interface RecordsUnderTest {
  /** The records as each of the nodes sees them; `most` bounds their number. */
  records(most?: number): RecordStore;
  /** Lets `ms` milliseconds pass, and everything happen that is then due. */
  advance(ms: number): MaybePromise<void>;
  close(): MaybePromise<void>;
}

/** Makes a place without records. */
export type MakeRecords = () => MaybePromise<RecordsUnderTest>;

const TTL_MS = 60_000;

/** Returns the keys of all pages. */
export async function allKeys(store: RecordStore, prefix: string): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 50; pages++) {
    const page = await store.list(prefix, cursor);
    found.push(...page.keys);
    cursor = page.cursor;
    if (cursor === undefined) return found;
  }
  throw new Error("More than 50 pages");
}

/** Runs the suite against the records that `make` makes. */
export function recordStoreContract(name: string, make: MakeRecords): void {
  async function using(
    run: (a: RecordStore, b: RecordStore, made: RecordsUnderTest) => Promise<void>,
  ): Promise<void> {
    const made = await make();
    try {
      await run(made.records(), made.records(), made);
    } finally {
      await made.close();
    }
  }

  describe(name, () => {
    test("[FRONT-20] what one node writes all read, and each write has a new version", async () => {
      await using(async (a, b) => {
        const key = uniqueId();
        assert.equal(await b.get(key), undefined);
        const first = await a.put(key, "one", { ttlMs: TTL_MS });
        assert.ok(first);
        assert.deepEqual(await b.get(key), { value: "one", version: first });
        const second = await b.put(key, "one", { ttlMs: TTL_MS });
        assert.ok(second !== undefined && second !== first);
        assert.equal(await a.delete(key), true);
        assert.equal(await b.get(key), undefined);
        assert.equal(await b.delete(key), false);
      });
    });

    test("[FRONT-20] a write or deletion that expects another version changes nothing", async () => {
      await using(async (a, b) => {
        const key = uniqueId();
        assert.equal(await a.put(key, "x", { ttlMs: TTL_MS, expected: "1" }), undefined);
        const first = await a.put(key, "one", { ttlMs: TTL_MS, expected: null });
        assert.ok(first);
        assert.equal(await b.put(key, "x", { ttlMs: TTL_MS, expected: null }), undefined);
        const second = await b.put(key, "two", { ttlMs: TTL_MS, expected: first });
        assert.equal(await a.put(key, "x", { ttlMs: TTL_MS, expected: first }), undefined);
        assert.equal(await a.delete(key, first), false);
        assert.deepEqual(await a.get(key), { value: "two", version: second });
        assert.equal(await a.delete(key, second), true);
        assert.ok(await a.put(key, "three", { ttlMs: TTL_MS, expected: null }));
      });
    });

    test("[FRONT-20] of many that expect the same version one wins", async () => {
      await using(async (a, b) => {
        const key = uniqueId();
        let expected: string | null = null;
        for (let round = 0; round < 3; round++) {
          const versions: (string | undefined)[] = await Promise.all(
            Array.from(
              { length: 10 },
              (_, i) =>
                (i % 2 === 0 ? a : b).put(key, `${round} ${i}`, { ttlMs: TTL_MS, expected }),
            ),
          );
          const won = versions.filter((version) => version !== undefined);
          assert.equal(won.length, 1);
          expected = won[0] ?? null;
          assert.deepEqual(await b.get(key), {
            value: `${round} ${versions.indexOf(won[0])}`,
            version: expected,
          });
        }
        const deleted = await Promise.all([a, b, a, b].map((store) => store.delete(key)));
        assert.deepEqual(deleted.filter(Boolean), [true]);
      });
    });

    test("[FRONT-20] a record expires, and each write begins its time anew", async () => {
      await using(async (a, b, { advance }) => {
        const key = uniqueId();
        const version = await a.put(key, "one", { ttlMs: TTL_MS });
        await advance(TTL_MS - 1);
        assert.equal((await b.get(key))?.value, "one");
        await advance(1);
        assert.equal(await b.get(key), undefined);
        assert.deepEqual(await allKeys(b, key), []);
        assert.equal(await b.delete(key), false);
        assert.equal(await a.put(key, "x", { ttlMs: TTL_MS, expected: version ?? "" }), undefined);
        assert.ok(await a.put(key, "two", { ttlMs: TTL_MS, expected: null }));
        await advance(TTL_MS / 2);
        assert.ok(await b.put(key, "three", { ttlMs: TTL_MS }));
        await advance(TTL_MS / 2);
        assert.equal((await a.get(key))?.value, "three");
      });
    });

    test("[FRONT-20] a list has every key with the prefix, over several pages, and no other", async () => {
      await using(async (a, b) => {
        const prefix = `${uniqueId()}:`;
        const wanted = Array.from({ length: 250 }, (_, i) => `${prefix}${i}`);
        for (const key of wanted) await a.put(key, "", { ttlMs: TTL_MS });
        await a.put(`x${prefix}`, "", { ttlMs: TTL_MS });
        await a.delete(`${prefix}7`);
        const kept = wanted.filter((key) => key !== `${prefix}7`);
        assert.deepEqual((await allKeys(b, prefix)).sort(), kept.sort());
        assert.deepEqual(await allKeys(b, `${prefix}249`), [`${prefix}249`]);
        assert.deepEqual(await allKeys(b, `${prefix}none`), []);
      });
    });

    test("[FRONT-20] keys and values come back as they were, odd ones too", async () => {
      await using(async (a, b) => {
        const prefix = uniqueId();
        const texts = ["", "__proto__", 'ü😀\u2028\0"\\', "\ud800", "*?[a]{b}", "x".repeat(20_000)];
        for (const text of texts) await a.put(prefix + text, text, { ttlMs: TTL_MS });
        for (const text of texts) assert.equal((await b.get(prefix + text))?.value, text);
        const keys = texts.map((text) => prefix + text);
        assert.deepEqual((await allKeys(b, prefix)).sort(), keys.sort());
        assert.equal(await b.get("__proto__"), undefined);
      });
    });

    test("[FRONT-20] a write beyond the maximum is an error, until others have expired", async () => {
      await using(async (_, __, { records, advance }) => {
        const store = records(3);
        await store.put("a", "", { ttlMs: TTL_MS });
        await store.put("b", "", { ttlMs: TTL_MS });
        await store.put("c", "", { ttlMs: 2 * TTL_MS });
        await assert.rejects(
          async () => await store.put("d", "", { ttlMs: TTL_MS }),
          /Too many records: 3 at most/,
        );
        assert.ok(await store.put("c", "again", { ttlMs: 2 * TTL_MS }));
        await advance(TTL_MS);
        assert.ok(await store.put("d", "", { ttlMs: TTL_MS }));
        assert.deepEqual((await allKeys(store, "")).sort(), ["c", "d"]);
      });
    });
  });
}
