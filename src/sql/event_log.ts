/**
 * Implements the event log in SQLite: in a file, and in the storage of a Durable Object.
 *
 * @module
 */
import { BoundedMap } from "../internal/bounded_map.ts";
import type { Clock } from "../internal/clock.ts";
import { afterTurn } from "../internal/end_of_turn.ts";
import { RecentKeys } from "../internal/recent_keys.ts";
import type { MaybePromise } from "../internal/types.ts";
import { ErrorCode, errorObject, errorText } from "../protocol/errors.ts";
import { type RequestId, responseId } from "../protocol/jsonrpc.ts";
import { NODE_LOST } from "../protocol/node_loss.ts";
import type { EventLog, EventLogLimits, LoggedEvent, Slice, StreamRun } from "../streams/types.ts";
import {
  changesIn,
  changesText,
  saveChanges,
  SessionEvents,
  type SqlStream,
} from "./session_events.ts";
import type { Sealing, SqlTables, SqlValue } from "./sql.ts";

/** The time for which a dropped session is remembered, in milliseconds. */
const REMEMBER_MS = 60_000;
/** The number of later dropped sessions after which one is forgotten before that time. */
const REMEMBER_MOST = 1_000;
/** The maximum number of sessions whose counters are in memory. */
const MOST_SESSIONS = 2_000;
/** The characters that may wait for the end of the turn. */
const MOST_WAITING = 1024 * 1024;
/** The time until it is stored that something was delivered, unless that is stored with something else. */
const DELIVERED_MS = 100;
/** The characters in the journal after which it is written into the tables. */
const MOST_JOURNAL = 4 * 1024 * 1024;
/** The transactions in the journal after which it is written into the tables. */
const MOST_TRANSACTIONS = 5_000;

/** The answer to a request that ran in an object that is gone. */
const INTERRUPTED = errorObject(
  ErrorCode.NotAvailable,
  "The server restarted while the request ran: nothing is known of its result",
  NODE_LOST.data,
);

type Wake = (oldest?: number, appended?: LoggedEvent) => void;

/** Watchers by session and stream. Each is an object: one function may watch twice. */
type Watchers = Map<string, Map<string, Set<{ readonly wake: Wake }>>>;

/** What watchers hear of once it is stored. */
interface News {
  readonly events: SessionEvents;
  readonly stream: SqlStream;
  readonly appended?: LoggedEvent;
}

/**
 * An {@linkcode EventLog} in SQLite. What one turn of the event loop appends and ends is one transaction, after
 * which its watchers hear of it: nobody sends what is not stored. The transaction is one row of a journal, which is
 * written into the tables when it is long: what was dropped by then never is. In a Durable Object, which stores
 * what runs in a turn as a whole by itself, each call writes into the tables at once.
 */
export class SqlEventLog implements EventLog {
  /** What is appended and ended in one turn is stored as a whole or not at all. */
  readonly orderly = true;
  readonly #tables: SqlTables;
  readonly #limits: Required<EventLogLimits>;
  readonly #clock: Clock;
  readonly #watchers: Watchers = new Map();
  readonly #dropped: RecentKeys;
  readonly #sessions = new BoundedMap<string, SessionEvents>(MOST_SESSIONS);
  /** The sessions with something that is neither in the tables nor in the journal. */
  readonly #unkept = new Set<SessionEvents>();
  /** The sessions with something that is in the journal alone. */
  readonly #unsaved = new Set<SessionEvents>();
  /** The transactions in the journal, and their characters. */
  #journal = { transactions: 0, chars: 0 };
  #news: News[] = [];
  #waiting = 0;
  /** Settles when what waits is stored or has failed. */
  #batch: PromiseWithResolvers<void> | undefined;
  #soon = false;
  #stopTimer: (() => void) | undefined;
  #seq: number | undefined;
  /** When the next stream is to be forgotten: never earlier than this. */
  #nextDone = 0;

  /**
   * Opens the log.
   *
   * @param tables The database
   * @param limits The limits of each session
   * @param clock The source of time
   */
  constructor(tables: SqlTables, limits: Required<EventLogLimits>, clock: Clock) {
    this.#tables = tables;
    this.#limits = limits;
    this.#clock = clock;
    this.#dropped = new RecentKeys(clock, REMEMBER_MS, REMEMBER_MOST);
    this.#recover();
  }

  open(id: string, stream: string, run?: StreamRun): MaybePromise<void> {
    const events = this.#events(id);
    if (events === undefined) return;
    const known = events.get(stream);
    if (known === undefined) {
      events.open(stream, run === undefined ? null : JSON.stringify(run.requests));
      this.#unkept.add(events);
    } else if (known.kept !== undefined) return;
    // Its client is told of it then: soon.
    return this.#stored(queueMicrotask);
  }

  append(id: string, stream: string, data: string, answer = false): MaybePromise<number> {
    const n = this.appendUnsaved(id, stream, data, answer);
    if (n === 0) return 0;
    return this.#stored()?.then(() => n) ?? n;
  }

  end(id: string, stream: string): MaybePromise<void> {
    if (this.endUnsaved(id, stream)) return this.#stored();
  }

  appendStream(id: string, name: string, frames: string, count: number): MaybePromise<void> {
    const events = this.#events(id);
    if (events === undefined) return;
    const stream = events.open(name);
    events.appendAll(stream, frames, count);
    stream.delivered = stream.last;
    events.end(stream, this.#now());
    this.#unkept.add(events);
    // The reply waits for it: with those that are created in the same step, not until the end of a turn.
    return this.#stored(queueMicrotask);
  }

  read(id: string, name: string, after: number): Slice | undefined {
    const events = this.#events(id);
    if (events?.hasUnkept) this.#flush();
    const stream = events?.get(name);
    if (events === undefined || stream === undefined) return undefined;
    const { ended, first, last } = stream;
    return { events: events.read(stream, after), ended, gap: after < first - 1, last };
  }

  deliver(id: string, name: string, n: number): void {
    const events = this.#events(id);
    const stream = events?.get(name);
    if (events === undefined || stream === undefined || n <= stream.delivered) return;
    events.deliver(stream, n, this.#now());
    this.#unkept.add(events);
    if (!this.#tables.groups) return this.write();
    this.#stopTimer ??= this.#clock.timer(DELIVERED_MS, () => this.#flush());
  }

  delivered(id: string, stream: string): number {
    return this.#events(id)?.get(stream)?.delivered ?? 0;
  }

  watch(id: string, stream: string, wake: Wake): () => void {
    const session = this.#sealing.name(id);
    const watcher = { wake };
    const streams = this.#watchers.get(session) ?? new Map();
    const set = streams.get(stream) ?? new Set();
    this.#watchers.set(session, streams.set(stream, set.add(watcher)));
    return () => {
      if (!set.delete(watcher) || set.size > 0) return;
      if (streams.get(stream) === set) streams.delete(stream);
      if (streams.size === 0 && this.#watchers.get(session) === streams) {
        this.#watchers.delete(session);
      }
      const events = this.#sessions.get(session);
      const left = events?.get(stream);
      if (events === undefined || left === undefined) return;
      events.tidy(left);
      if (events.get(stream) !== undefined) return;
      this.#unkept.add(events);
      if (!this.#tables.groups) this.write();
    };
  }

  drop(id: string): void {
    const session = this.#sealing.name(id);
    // What was appended before reaches its watchers.
    if (this.#sessions.get(session)?.hasUnkept) this.#flush();
    const events = this.#sessions.get(session);
    const isUnsaved = events !== undefined && this.#unsaved.has(events);
    if (events !== undefined) {
      this.#unkept.delete(events);
      this.#unsaved.delete(events);
      this.#sessions.delete(session);
    }
    const remove = (): void => {
      this.#tables.change("DELETE FROM mooring_event WHERE session = ?", session);
      this.#tables.change("DELETE FROM mooring_stream WHERE session = ?", session);
    };
    try {
      this.write(remove);
    } catch {
      // A full file has no room for others, but gets some by this. What the journal has of the session is deleted
      // when it is recovered, as the session isn't there.
      try {
        this.#tables.atomic(remove);
      } catch (error) {
        // The session has not ended: it goes on once the file is back.
        if (events !== undefined) this.#sessions.set(session, events);
        if (events !== undefined && isUnsaved) this.#unsaved.add(events);
        throw error;
      }
    }
    this.#dropped.add(session);
    for (const stream of [...this.#watchers.get(session)?.keys() ?? []]) {
      this.#wake(session, stream);
    }
  }

  /** Writes everything into the tables, as far as that is possible. */
  close(): void {
    try {
      this.write(() => {});
    } catch {
      // The journal has it, or those who wait have heard of the failure.
    }
  }

  /** Writes what waits. Never rejects. */
  written(): Promise<void> {
    this.#flush();
    return Promise.resolve();
  }

  /**
   * Ends the streams whose requests ran in an object that is gone, each with an error for every request
   * that has no response. Called once, before anything runs.
   *
   * @param runsOn Tells which streams are not to be ended
   */
  endInterrupted(runsOn: (session: string, stream: string) => boolean = () => false): void {
    const rows = this.#tables.rows(
      `SELECT session, name, requests FROM mooring_stream
        WHERE ended = 0 AND requests IS NOT NULL`,
    );
    for (const { session, name, requests } of rows) {
      const [id, stream] = [this.#sealing.named(String(session)), String(name)];
      if (runsOn(id, stream)) continue;
      const answered = new Set(
        this.read(id, stream, 0)?.events.flatMap(({ data }) => responseId(data) ?? []),
      );
      // open() has written it
      const text = this.#sealing.open(String(requests), "mooring_stream", session, name);
      const ids = JSON.parse(text) as RequestId[];
      for (const request of ids) {
        if (!answered.has(request)) {
          this.appendUnsaved(id, stream, errorText(request, INTERRUPTED), true);
        }
      }
      this.endUnsaved(id, stream);
      this.write();
    }
  }

  /**
   * Appends a message, which the next {@linkcode SqlEventLog.write} stores.
   *
   * @returns The event's number, or 0 if the stream has ended or the session was dropped
   */
  protected appendUnsaved(id: string, name: string, data: string, answer: boolean): number {
    const events = this.#events(id);
    if (events === undefined) return 0;
    const stream = events.open(name);
    if (stream.ended) return 0;
    const n = events.append(stream, data, answer ? "response" : "message");
    this.#unkept.add(events);
    this.#news.push({ events, stream, appended: { n, data } });
    this.#waiting += data.length;
    return n;
  }

  /** Ends a stream, which the next {@linkcode SqlEventLog.write} stores. Returns `false` if it has ended. */
  protected endUnsaved(id: string, name: string): boolean {
    const events = this.#events(id);
    if (events === undefined) return false;
    const stream = events.open(name);
    if (stream.ended) return false;
    events.end(stream, this.#now());
    this.#unkept.add(events);
    this.#news.push({ events, stream });
    return true;
  }

  /**
   * Stores what waits in one transaction, and then wakes the watchers.
   *
   * @param more What else belongs to the transaction, which then writes everything into the tables
   * @throws {Error} If nothing could be stored: then nothing has changed
   */
  protected write(more?: () => void): void {
    const [unkept, news, batch] = [[...this.#unkept], this.#news, this.#batch];
    this.#unkept.clear();
    this.#news = [];
    this.#waiting = 0;
    this.#batch = undefined;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    for (const events of unkept) this.#unsaved.add(events);
    try {
      if (more !== undefined || !this.#tables.groups) this.#save(more);
      else if (unkept.length > 0) this.#addToJournal(unkept);
    } catch (error) {
      for (const events of unkept) events.revert();
      batch?.reject(error);
      throw error;
    }
    batch?.resolve();
    // A client that waits for the stream's beginning is first.
    if (batch !== undefined && news.length > 0) void batch.promise.then(() => this.#tell(news));
    else this.#tell(news);
  }

  #tell(news: readonly News[]): void {
    for (const { events, stream, appended } of news) {
      const oldest = appended === undefined ? undefined : stream.first;
      this.#wake(events.session, stream.name, oldest, appended);
    }
  }

  /** Adds changes to the journal, which is written into the tables first if it is long. */
  #addToJournal(unkept: readonly SessionEvents[]): void {
    const { transactions, chars } = this.#journal;
    if (transactions >= MOST_TRANSACTIONS || chars >= MOST_JOURNAL) return this.#save();
    const changes = unkept.flatMap((events) => events.changes() ?? []);
    if (changes.length === 0) return;
    const seq = transactions + 1;
    const text = changesText(changes);
    try {
      this.#tables.add(
        "INSERT INTO mooring_journal VALUES (?, ?)",
        seq,
        this.#sealing.seal(text, "mooring_journal", seq),
      );
    } catch {
      // What the journal takes is room for others.
      return this.#save();
    }
    this.#journal = { transactions: seq, chars: chars + text.length };
    for (const events of unkept) events.keep();
  }

  /** Writes everything into the tables, which empties the journal. */
  #save(more?: () => void): void {
    this.#tables.atomic(() => {
      if (this.#journal.transactions > 0) this.#tables.change("DELETE FROM mooring_journal");
      for (const events of this.#unsaved) events.save();
      more?.();
    });
    for (const events of this.#unsaved) events.saved();
    this.#unsaved.clear();
    this.#journal = { transactions: 0, chars: 0 };
  }

  /** Writes the journal of an earlier process into the tables. */
  #recover(): void {
    if (!this.#tables.groups) return;
    const rows = this.#tables.rows("SELECT seq, changes FROM mooring_journal ORDER BY seq");
    if (rows.length === 0) return;
    this.#tables.atomic(() => {
      this.#tables.change("DELETE FROM mooring_journal");
      const sessions = new Set<string>();
      for (const { seq, changes } of rows) {
        const text = this.#sealing.open(String(changes), "mooring_journal", seq);
        for (const session of changesIn(text)) {
          saveChanges(this.#tables, session);
          sessions.add(this.#sealing.name(session.id));
        }
      }
      for (const session of sessions) {
        // One that has ended since.
        for (const table of ["mooring_event", "mooring_stream"]) {
          this.#tables.change(
            `DELETE FROM ${table} WHERE session = ?1
              AND NOT EXISTS (SELECT 1 FROM mooring_session WHERE id = ?1)`,
            session,
          );
        }
      }
    });
  }

  /**
   * Stores what waits: at once in a Durable Object, else at the end of the turn, or now if too much waits.
   *
   * @param schedule Calls a function later
   */
  #stored(schedule: (callback: () => void) => void = afterTurn): Promise<void> | undefined {
    if (!this.#tables.groups) return void this.write();
    const { promise } = this.#batch ??= Promise.withResolvers<void>();
    if (this.#waiting > MOST_WAITING) this.#flush();
    else if (schedule !== afterTurn) schedule(() => this.#flush());
    else if (!this.#soon) {
      this.#soon = true;
      schedule(() => {
        this.#soon = false;
        this.#flush();
      });
    }
    return promise;
  }

  /** Writes what waits. Those who wait for it hear of a failure. */
  #flush(): void {
    try {
      this.write();
    } catch {
      // They have heard of it.
    }
  }

  get #sealing(): Sealing {
    return this.#tables.sealing;
  }

  /** Returns the time, when a stream may have ended and been delivered: then its time begins. */
  #now(): number {
    const now = this.#clock.now();
    this.#nextDone = Math.min(this.#nextDone, now + this.#limits.retainMs);
    return now;
  }

  /** Returns what is known of a session's streams; `undefined` if it was dropped. */
  #events(id: string): SessionEvents | undefined {
    const session = this.#sealing.name(id);
    if (this.#dropped.has(session)) return undefined;
    this.#forgetDone();
    let events = this.#sessions.get(session);
    if (events === undefined) {
      if (this.#sessions.size >= MOST_SESSIONS) this.#saveOldest();
      events = new SessionEvents({
        tables: this.#tables,
        limits: this.#limits,
        id,
        nextSeq: () => this.#nextSeq(),
        watched: (stream) => (this.#watchers.get(session)?.get(stream)?.size ?? 0) > 0,
      });
    }
    // The last one is forgotten last.
    this.#sessions.set(session, events);
    return events;
  }

  /** Writes what is known of the session that is about to be forgotten. */
  #saveOldest(): void {
    for (const oldest of this.#sessions.values()) {
      if (this.#unkept.has(oldest) || this.#unsaved.has(oldest)) this.write(() => {});
      return;
    }
  }

  #nextSeq(): number {
    this.#seq ??= Number(
      this.#tables.rows("SELECT max(seq) AS seq FROM mooring_event")[0]?.seq ?? 0,
    );
    return ++this.#seq;
  }

  /** Forgets the streams whose time is over. */
  #forgetDone(): void {
    const now = this.#clock.now();
    if (now < this.#nextDone) return;
    const { retainMs } = this.#limits;
    this.#nextDone = now + Math.max(1, retainMs);
    // What is in the tables only.
    this.close();
    const done = this.#tables.rows(
      "SELECT session, name FROM mooring_stream WHERE done_at <= ?",
      now - retainMs,
    );
    if (done.length > 0) {
      this.#tables.atomic(() => done.forEach(({ session, name }) => this.#delete(session, name)));
      for (const { session, name } of done) {
        this.#sessions.get(String(session))?.forget(String(name));
      }
    }
    const [next] = this.#tables.rows("SELECT min(done_at) AS at FROM mooring_stream");
    if (typeof next?.at === "number") this.#nextDone = next.at + Math.max(1, retainMs);
  }

  #delete(...stream: readonly (SqlValue | undefined)[]): void {
    const names = stream.map(String);
    this.#tables.change("DELETE FROM mooring_event WHERE session = ? AND stream = ?", ...names);
    this.#tables.change("DELETE FROM mooring_stream WHERE session = ? AND name = ?", ...names);
  }

  #wake(session: string, stream: string, oldest?: number, appended?: LoggedEvent): void {
    const watchers = this.#watchers.get(session)?.get(stream);
    if (watchers === undefined) return;
    for (const watcher of [...watchers]) {
      if (watchers.has(watcher)) watcher.wake(oldest, appended);
    }
  }
}
