/**
 * Lists the sessions of a store, whichever nodes use them.
 *
 * @module
 */
import type { SessionRecord } from "../../cluster/mod.ts";
import { type OperatorView, shortHash } from "../../kit.ts";

/** The maximum number of sessions that are listed. */
const MOST = 10_000;
/** The number of records that are read at a time. */
const BATCH = 100;

/** A session of the store. */
export interface ListedSession {
  readonly hash: string;
  readonly record: SessionRecord;
  /** When it was last used, in milliseconds since the epoch; 0 while it is in use. */
  readonly usedAt: number;
}

/** The sessions of a store. The record of each is read once, and again until it has an owner. */
export class SessionDirectory {
  readonly #store: OperatorView["sessions"];
  #records = new Map<string, SessionRecord>();

  /** Creates a directory; nothing is read yet. */
  constructor(store: OperatorView["sessions"]) {
    this.#store = store;
  }

  /**
   * Lists the sessions.
   *
   * @returns At most 10,000, and the number of those left out
   */
  async list(): Promise<{ readonly sessions: readonly ListedSession[]; readonly omitted: number }> {
    const uses = await this.#uses();
    const ids = [...uses.keys()].slice(0, MOST);
    const records = new Map<string, SessionRecord>();
    const missing: string[] = [];
    for (const id of ids) {
      const known = this.#records.get(id);
      if (known?.owner !== undefined) records.set(id, known);
      else missing.push(id);
    }
    while (missing.length > 0) {
      await Promise.all(
        missing.splice(0, BATCH).map(async (id) => {
          const record = await this.#store.peek(id);
          if (record !== undefined) records.set(id, record);
        }),
      );
    }
    this.#records = records;
    const sessions = Array.from(records, ([id, record]) => ({
      hash: shortHash(id),
      record,
      usedAt: uses.get(id) ?? 0,
    }));
    return { sessions, omitted: uses.size - ids.length };
  }

  async #uses(): Promise<ReadonlyMap<string, number | undefined>> {
    const store = this.#store;
    if (store.uses !== undefined) return new Map(await store.uses());
    const ids = await store.ids();
    return new Map(Array.from(ids, (id) => [id, undefined]));
  }
}
