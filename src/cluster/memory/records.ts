/**
 * Implements the records that several handlers in a process share.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import {
  type RecordKeys,
  type RecordStore,
  type RecordWrite,
  type StoredRecord,
  TooManyRecordsError,
} from "../../internal/record_store.ts";

/** The maximum number of records. */
const MOST_RECORDS = 100_000;
/** The maximum number of keys of a page. */
const PAGE = 100;
/** The number of writes after which expired records are deleted, if there are no more records. */
const SWEEP = 1_000;

/** A record in memory. */
export interface MemoryRecord extends StoredRecord {
  /** The number of the record: higher than that of every record that was there before. */
  readonly number: number;
  /** When it expires, in milliseconds since the epoch. */
  readonly until: number;
}

/** What {@linkcode MemoryRecords} stores. */
export class MemoryRecordTable {
  /** The records. */
  readonly records: Map<string, MemoryRecord>;
  /** The number of writes; also the last version. */
  writes = 0;
  /** The writes after which expired records are deleted again. */
  sweepAt: number;

  /** @param records The records; none at first when left out */
  constructor(records = new Map<string, MemoryRecord>()) {
    this.records = records;
    for (const { version } of records.values()) {
      this.writes = Math.max(this.writes, Number(version));
    }
    this.sweepAt = this.writes + SWEEP;
  }
}

/** {@linkcode RecordStore} in memory. */
export class MemoryRecords implements RecordStore {
  readonly #clock: Clock;
  readonly #table: MemoryRecordTable;
  readonly #most: number;

  /**
   * Creates a store.
   *
   * @param clock The source of time
   * @param table What it stores; nothing at first when left out
   * @param most The maximum number of records
   */
  constructor(clock: Clock, table = new MemoryRecordTable(), most = MOST_RECORDS) {
    this.#clock = clock;
    this.#table = table;
    this.#most = most;
  }

  get(key: string): StoredRecord | undefined {
    const found = this.#find(key);
    return found && { value: found.value, version: found.version };
  }

  put(key: string, value: string, { ttlMs, expected }: RecordWrite): string | undefined {
    const table = this.#table;
    const found = this.#find(key);
    if (expected !== undefined && (found?.version ?? null) !== expected) return undefined;
    if (table.writes >= table.sweepAt || table.records.size >= this.#most) this.#sweep();
    if (found === undefined && table.records.size >= this.#most) {
      throw new TooManyRecordsError(this.#most);
    }
    const version = String(++table.writes);
    const until = this.#clock.now() + ttlMs;
    table.records.set(key, { value, version, number: found?.number ?? table.writes, until });
    return version;
  }

  delete(key: string, expected?: string): boolean {
    const found = this.#find(key);
    if (found === undefined || (expected !== undefined && found.version !== expected)) return false;
    return this.#table.records.delete(key);
  }

  list(prefix: string, cursor?: string): RecordKeys {
    const now = this.#clock.now();
    const after = Number(cursor ?? 0);
    const keys: string[] = [];
    let last = 0;
    for (const [key, { number, until }] of this.#table.records) {
      if (number <= after || until <= now || !key.startsWith(prefix)) continue;
      if (keys.length === PAGE) return { keys, cursor: String(last) };
      keys.push(key);
      last = number;
    }
    return { keys };
  }

  #find(key: string): MemoryRecord | undefined {
    const { records } = this.#table;
    const found = records.get(key);
    if (found === undefined || found.until > this.#clock.now()) return found;
    records.delete(key);
    return undefined;
  }

  #sweep(): void {
    const table = this.#table;
    const now = this.#clock.now();
    for (const [key, { until }] of table.records) if (until <= now) table.records.delete(key);
    table.sweepAt = table.writes + Math.max(SWEEP, table.records.size);
  }
}
