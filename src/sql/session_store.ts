/**
 * Implements the session store in SQLite: in a file, and in the storage of a Durable Object.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { MemorySessionStore } from "../sessions/memory_store.ts";
import { stateText } from "../sessions/state_values.ts";
import type {
  EndedSession,
  Found,
  Reservation,
  SessionCaps,
  SessionLifetimes,
  SessionPatch,
  SessionRecord,
  SessionStore,
} from "../sessions/types.ts";
import type { Sealing, SqlTables } from "./sql.ts";

/** A use is stored when the last stored one is this old, in milliseconds. */
const NOTE_MS = 1_000;

/** What is known of a stored session. */
interface Stored {
  record: SessionRecord;
  /** The last use, in milliseconds since the epoch. */
  usedAt: number;
  /** The last use that was stored. */
  notedAt: number;
}

/**
 * A {@linkcode SessionStore} in SQLite, for few sessions: the store in memory decides, and everything that
 * it decides is stored, so that it can be there again when the object was not in memory. Of the uses of a
 * session within a second only the first is stored.
 */
export class SqlSessionStore implements SessionStore {
  readonly #tables: SqlTables;
  readonly #clock: Clock;
  readonly #lifetimes: SessionLifetimes;
  readonly #memory: MemorySessionStore;
  readonly #stored = new Map<string, Stored>();
  /** Sessions that have ended, whose deletion failed. The limit of sessions bounds them: they were stored. */
  readonly #undeleted = new Set<string>();
  /** The time that the store in memory sees while it is filled. */
  #then: number | undefined;

  /** The id of the next session; random when left out. */
  nextId: string | undefined;

  /**
   * Opens the store, with the sessions that are in the database.
   *
   * @param tables The database
   * @param caps The maximum numbers of sessions
   * @param lifetimes The lifetimes of sessions
   * @param clock The source of time
   */
  constructor(tables: SqlTables, caps: SessionCaps, lifetimes: SessionLifetimes, clock: Clock) {
    this.#tables = tables;
    this.#clock = clock;
    this.#lifetimes = lifetimes;
    this.#memory = new MemorySessionStore(caps, lifetimes, {
      now: () => this.#then ?? clock.now(),
      timer: (ms, callback) => clock.timer(ms, callback),
    });
    this.#load();
  }

  get size(): number {
    return this.#memory.size;
  }

  /** When the first session can expire, in milliseconds since the epoch; `undefined` without one. */
  get nextExpiry(): number | undefined {
    const { idleMs, absoluteMs } = this.#lifetimes;
    const times = [...this.#stored.values()].map(({ record, usedAt }) =>
      Math.min(usedAt + idleMs, record.createdAt + absoluteMs)
    );
    return times.length === 0 ? undefined : Math.min(...times);
  }

  mintId(): string | undefined {
    return this.nextId;
  }

  reserve(id: string, owner: string | undefined): Reservation {
    const reservation = this.#memory.reserve(id, owner);
    this.#forget(reservation.ended);
    return reservation;
  }

  release(id: string): void {
    this.#memory.release(id);
  }

  create(record: SessionRecord): boolean {
    const created = this.#memory.create(record);
    if (!created) return false;
    try {
      this.#save(record);
    } catch (error) {
      // What can't be stored would be gone after a restart.
      this.#stored.delete(record.id);
      this.#memory.end(record.id);
      throw error;
    }
    return true;
  }

  use(id: string, owner: string): Found {
    const found = this.#memory.use(id, owner);
    if (found.record !== undefined) {
      if (found.record.owner === this.#stored.get(id)?.record.owner) this.#noteUse(id);
      else this.#save(found.record);
    } else if (found.refusal === "expired") this.#forget([found.ended]);
    return found;
  }

  peek(id: string): SessionRecord | undefined {
    return this.#memory.peek(id);
  }

  update(id: string, patch: SessionPatch): void {
    const stored = this.#stored.get(id);
    if (stored !== undefined) {
      const record = { ...stored.record, ...patch };
      this.#tables.change(
        "UPDATE mooring_session SET record = ? WHERE id = ?",
        this.#sealedRecord(record),
        this.#sealing.name(id),
      );
      stored.record = record;
    }
    this.#memory.update(id, patch);
  }

  hold(id: string): void {
    this.#memory.hold(id);
  }

  free(id: string): void {
    this.#memory.free(id);
    this.#noteUse(id);
  }

  end(id: string): boolean {
    // What can't be deleted would be there again after a restart: until it is, the session has not ended.
    if (this.#stored.has(id)) this.#delete(id);
    return this.#memory.end(id);
  }

  sweep(limit: number): readonly EndedSession[] {
    const ended = this.#memory.sweep(limit);
    this.#forget(ended);
    return ended;
  }

  ids(): Iterable<string> {
    return this.#memory.ids();
  }

  uses(): Iterable<readonly [id: string, usedAt: number | undefined]> {
    return this.#memory.uses();
  }

  getState(id: string, key: string): unknown {
    return this.#memory.getState(id, key);
  }

  setState(id: string, key: string, value: unknown, most?: number): void {
    if (value === undefined) return this.deleteState(id, key);
    const before = this.#memory.getState(id, key);
    // It checks the value and the size, and what is not there is not stored.
    this.#memory.setState(id, key, value, most);
    if (!this.#stored.has(id)) return;
    const names = [this.#sealing.name(id), this.#sealing.name(key)] as const;
    try {
      this.#tables.add(
        "INSERT OR REPLACE INTO mooring_state VALUES (?, ?, ?)",
        ...names,
        this.#sealing.seal(stateText(value), "mooring_state", ...names),
      );
    } catch (error) {
      if (before === undefined) this.#memory.deleteState(id, key);
      else this.#memory.setState(id, key, before);
      throw error;
    }
  }

  deleteState(id: string, key: string): void {
    this.#tables.change(
      "DELETE FROM mooring_state WHERE session = ? AND key = ?",
      this.#sealing.name(id),
      this.#sealing.name(key),
    );
    this.#memory.deleteState(id, key);
  }

  subscribe(id: string, uri: string, cap: number): "subscribed" | "full" | "gone" {
    const result = this.#memory.subscribe(id, uri, cap);
    if (result === "subscribed") {
      this.#tables.add(
        "INSERT OR IGNORE INTO mooring_subscription VALUES (?, ?)",
        this.#sealing.name(id),
        this.#sealing.name(uri),
      );
    }
    return result;
  }

  unsubscribe(id: string, uri: string): void {
    this.#tables.change(
      "DELETE FROM mooring_subscription WHERE session = ? AND uri = ?",
      this.#sealing.name(id),
      this.#sealing.name(uri),
    );
    this.#memory.unsubscribe(id, uri);
  }

  subscribers(uri: string): Iterable<string> {
    return this.#memory.subscribers(uri);
  }

  get #sealing(): Sealing {
    return this.#tables.sealing;
  }

  #sealedRecord(record: SessionRecord): string {
    const name = this.#sealing.name(record.id);
    return this.#sealing.seal(JSON.stringify(record), "mooring_session", name);
  }

  #save(record: SessionRecord): void {
    const usedAt = this.#clock.now();
    this.#stored.set(record.id, { record, usedAt, notedAt: usedAt });
    this.#tables.add(
      "INSERT OR REPLACE INTO mooring_session VALUES (?, ?, ?)",
      this.#sealing.name(record.id),
      this.#sealedRecord(record),
      usedAt,
    );
  }

  #noteUse(id: string): void {
    const stored = this.#stored.get(id);
    const now = this.#clock.now();
    if (stored === undefined) return;
    stored.usedAt = now;
    if (Math.abs(now - stored.notedAt) < NOTE_MS) return;
    stored.notedAt = now;
    const name = this.#sealing.name(id);
    this.#tables.change("UPDATE mooring_session SET used_at = ? WHERE id = ?", now, name);
  }

  /**
   * Stores that the sessions with holds are used now, and deletes what could not be deleted before. Called now
   * and then: a session whose stream stays open would otherwise have expired when the process is started again.
   */
  noteHeld(): void {
    for (const id of [...this.#undeleted]) this.#delete(id);
    this.#tables.atomic(() => {
      for (const [id, usedAt] of this.#memory.uses()) if (usedAt === undefined) this.#noteUse(id);
    });
  }

  #forget(ended: readonly EndedSession[]): void {
    for (const { id } of ended) {
      try {
        this.#delete(id);
      } catch {
        // It has expired, or made room for another: nobody is to wait for that.
        this.#stored.delete(id);
        this.#undeleted.add(id);
      }
    }
  }

  #delete(id: string): void {
    const name = this.#sealing.name(id);
    this.#tables.atomic(() => {
      this.#tables.change("DELETE FROM mooring_session WHERE id = ?", name);
      this.#tables.change("DELETE FROM mooring_state WHERE session = ?", name);
      this.#tables.change("DELETE FROM mooring_subscription WHERE session = ?", name);
    });
    this.#stored.delete(id);
    this.#undeleted.delete(id);
  }

  #load(): void {
    const sessions = this.#tables.rows(
      "SELECT id, record, used_at FROM mooring_session ORDER BY used_at",
    );
    for (const { id, record: sealed, used_at } of sessions) {
      // #save() has written it
      const text = this.#sealing.open(String(sealed), "mooring_session", id);
      const record = JSON.parse(text) as SessionRecord;
      this.#then = Number(used_at);
      this.#stored.set(record.id, { record, usedAt: this.#then, notedAt: this.#then });
      const { admitted, ended } = this.#memory.reserve(record.id, record.owner);
      if (admitted) this.#memory.create(record);
      else this.#delete(record.id);
      this.#forget(ended);
    }
    this.#then = undefined;
    const state = this.#tables.rows("SELECT session, key, value FROM mooring_state");
    for (const { session, key, value } of state) {
      this.#memory.setState(
        this.#sealing.named(String(session)),
        this.#sealing.named(String(key)),
        JSON.parse(this.#sealing.open(String(value), "mooring_state", session, key)),
      );
    }
    const subscriptions = this.#tables.rows("SELECT session, uri FROM mooring_subscription");
    for (const { session, uri } of subscriptions) {
      const [id, at] = [session, uri].map((name) => this.#sealing.named(String(name)));
      if (id !== undefined && at !== undefined) this.#memory.subscribe(id, at, Infinity);
    }
  }
}
