/**
 * A store of records for tests of what is kept in one, by a clock that a test moves.
 *
 * @module
 */
import type { RecordStore, StoredRecord } from "../../src/cluster/mod.ts";
import type { FakeClock } from "../support/clock.ts";

/** Makes an empty store. It rejects a `put` of a new key beyond `most`. */
export function testRecords(clock: FakeClock, most = 1_000): RecordStore {
  const all = new Map<string, StoredRecord & { readonly until: number }>();
  let versions = 0;
  const get = (key: string) => {
    const record = all.get(key);
    return record !== undefined && clock.now() < record.until ? record : undefined;
  };
  return {
    get,
    put(key, value, { ttlMs, expected }) {
      const record = get(key);
      if (expected !== undefined && (record?.version ?? null) !== expected) return undefined;
      if (record === undefined && all.size >= most) throw new Error("Full");
      const version = String(++versions);
      all.set(key, { value, version, until: clock.now() + ttlMs });
      return version;
    },
    delete: (key) => all.delete(key),
    list: (prefix) => ({ keys: [...all.keys()].filter((key) => key.startsWith(prefix)) }),
  };
}
