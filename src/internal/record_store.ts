/**
 * The contract of a store of small records that expire, each changed by one writer at a time.
 *
 * @module
 */
import type { MaybePromise } from "./types.ts";

/** A record as it is stored. */
export interface StoredRecord {
  /** The text, encrypted if processes share the store. */
  readonly value: string;
  /** The version: another text after each write of the record. */
  readonly version: string;
}

/** How a record is written. */
export interface RecordWrite {
  /** The time until the record expires, from this write on, in milliseconds. */
  readonly ttlMs: number;
  /**
   * The version to replace, or `null` if there must be no record yet. Left out, any record is replaced.
   */
  readonly expected?: string | null;
}

/** There are as many records as a {@linkcode RecordStore} keeps at most. */
export class TooManyRecordsError extends Error {
  /** @param most The maximum number of records */
  constructor(most: number) {
    super(`Too many records: ${most} at most`);
    this.name = "TooManyRecordsError";
  }
}

/** A page of the keys of a {@linkcode RecordStore}. */
export interface RecordKeys {
  /** The keys, in no order. */
  readonly keys: readonly string[];
  /** What the next page is asked with; `undefined` after the last page. */
  readonly cursor?: string;
}

/**
 * Stores records that expire: codes, grants and registered clients, or the state of users.
 *
 * An implementation MUST
 *
 * - make `put` and `delete` atomic over all processes that use the store: of several that expect the same
 *   version, exactly one wins;
 * - never return, list or compare a record after its time to live, by the store's own clock;
 * - accept every string as a key and as a value;
 * - keep at most a bounded number of records, and reject a `put` beyond it with an error whose name is
 *   `"TooManyRecordsError"`.
 */
export interface RecordStore {
  /** Returns a record, or `undefined`. */
  get(key: string): MaybePromise<StoredRecord | undefined>;
  /**
   * Writes a record.
   *
   * @returns The new version, or `undefined` if the current version is not the expected one
   */
  put(key: string, value: string, write: RecordWrite): MaybePromise<string | undefined>;
  /**
   * Deletes a record.
   *
   * @param expected The version to delete; any when left out
   * @returns Whether a record was deleted
   */
  delete(key: string, expected?: string): MaybePromise<boolean>;
  /**
   * Lists the keys with a prefix, a page at a time. Keys written or deleted meanwhile may be missing or
   * listed; every other key is listed at least once.
   *
   * @param prefix The beginning of the keys
   * @param cursor The cursor of the page before; the first page when left out
   */
  list(prefix: string, cursor?: string): MaybePromise<RecordKeys>;
}
