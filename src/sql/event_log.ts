/**
 * Implements the event log in the SQLite storage of a Durable Object.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { RecentKeys } from "../internal/recent_keys.ts";
import { utf8Length } from "../internal/utf8.ts";
import { ErrorCode, errorObject, errorText } from "../protocol/errors.ts";
import { type RequestId, responseId } from "../protocol/jsonrpc.ts";
import { NODE_LOST } from "../protocol/node_loss.ts";
import type { EventLog, EventLogLimits, LoggedEvent, Slice, StreamRun } from "../streams/types.ts";
import type { Sealing, SqlTables } from "./sql.ts";

/** The time for which a dropped session is remembered, in milliseconds. */
const REMEMBER_MS = 60_000;
/** The number of later dropped sessions after which one is forgotten before that time. */
const REMEMBER_MOST = 1_000;

/** The maximum number of bytes in a message that is stored: a row has at most 2 MB. */
const MOST_BYTES = 1_900_000;

/** The answer to a request that ran in an object that is gone. */
const INTERRUPTED = errorObject(
  ErrorCode.NotAvailable,
  "The server restarted while the request ran: nothing is known of its result",
  NODE_LOST.data,
);

/** A stream as it is stored. */
interface StoredStreamRow {
  readonly last: number;
  readonly first: number;
  readonly delivered: number;
  readonly ended: boolean;
  readonly doneAt: number | undefined;
}

/** What the limits of a session count. */
interface Size {
  count: number;
  bytes: number;
}

type Wake = (oldest?: number, appended?: LoggedEvent) => void;

/** Watchers by session and stream. Each is an object: one function may watch twice. */
type Watchers = Map<string, Map<string, Set<{ readonly wake: Wake }>>>;

/**
 * An {@linkcode EventLog} in SQLite. All its methods are synchronous; only its watchers are in memory. Responses
 * that were not delivered yet are kept above the limits of their session, as much again as those allow, and
 * count once they are.
 */
export class SqlEventLog implements EventLog {
  readonly #tables: SqlTables;
  readonly #limits: Required<EventLogLimits>;
  readonly #clock: Clock;
  readonly #watchers: Watchers = new Map();
  readonly #sizes = new Map<string, Size>();
  readonly #dropped: RecentKeys;
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
  }

  open(session: string, stream: string, run?: StreamRun): void {
    this.#open(this.#sealing.name(session), stream, run);
  }

  // Below, `session` is its name in the tables.

  #open(session: string, stream: string, run?: StreamRun): void {
    if (this.#dropped.has(session) || this.#find(session, stream) !== undefined) return;
    this.#tables.add(
      `INSERT INTO mooring_stream VALUES (?, ?, 0, 1, 0, 0, NULL, ?)`,
      session,
      stream,
      run === undefined
        ? null
        : this.#sealing.seal(JSON.stringify(run.requests), "mooring_stream", session, stream),
    );
  }

  append(session: string, stream: string, data: string, answer = false): number {
    return this.#appendIn(this.#sealing.name(session), stream, data, answer);
  }

  #appendIn(session: string, stream: string, data: string, answer: boolean): number {
    if (this.#dropped.has(session)) return 0;
    const { n, first } = this.#atomic(session, () => this.#append(session, stream, data, answer));
    if (n > 0) this.#wake(session, stream, first, { n, data });
    return n;
  }

  #append(
    session: string,
    stream: string,
    data: string,
    answer: boolean,
  ): { readonly n: number; readonly first: number } {
    this.#open(session, stream);
    const row = this.#find(session, stream);
    if (row === undefined || row.ended) return { n: 0, first: 0 };
    const n = row.last + 1;
    const bytes = utf8Length(data);
    const fits = bytes <= MOST_BYTES && (answer || bytes <= this.#limits.eventBytes);
    this.#tables.change(
      "UPDATE mooring_stream SET last = ?, first = ? WHERE session = ? AND name = ?",
      n,
      fits ? row.first : n + 1,
      session,
      stream,
    );
    if (fits) {
      const held = answer && this.#holds(session, bytes);
      this.#insert(session, stream, n, this.#sealedEvent(session, stream, n, data), bytes, held);
    }
    return { n, first: fits ? this.#find(session, stream)?.first ?? n + 1 : n + 1 };
  }

  end(session: string, stream: string): void {
    this.#endIn(this.#sealing.name(session), stream);
  }

  #endIn(session: string, stream: string): void {
    if (this.#dropped.has(session)) return;
    if (this.#atomic(session, () => this.#end(session, stream))) this.#wake(session, stream);
  }

  #end(session: string, stream: string): boolean {
    this.#open(session, stream);
    const row = this.#find(session, stream);
    if (row === undefined || row.ended) return false;
    this.#tables.change(
      "UPDATE mooring_stream SET ended = 1 WHERE session = ? AND name = ?",
      session,
      stream,
    );
    // An ended stream without events counts as one, so that the limit of events limits streams too.
    if (!this.#hasEvents(session, stream)) this.#insert(session, stream, 0, null, 0, false);
    this.#retain(session, stream, { ...row, ended: true });
    return true;
  }

  read(session: string, stream: string, after: number): Slice | undefined {
    return this.#read(this.#sealing.name(session), stream, after);
  }

  #read(session: string, stream: string, after: number): Slice | undefined {
    const row = this.#find(session, stream);
    if (row === undefined) return undefined;
    const { ended, first, last } = row;
    const events = after >= last ? [] : this.#tables.rows(
      `SELECT n, data FROM mooring_event
        WHERE session = ? AND stream = ? AND n > ? AND data IS NOT NULL ORDER BY n`,
      session,
      stream,
      after,
    ).map(({ n, data }) => ({
      n: Number(n),
      data: this.#sealing.open(String(data), "mooring_event", session, stream, n),
    }));
    return { events, ended, gap: after < first - 1, last };
  }

  deliver(id: string, stream: string, n: number): void {
    const session = this.#sealing.name(id);
    const row = this.#find(session, stream);
    if (row === undefined || n <= row.delivered) return;
    const delivered = Math.min(n, row.last);
    this.#atomic(session, () => {
      this.#tables.change(
        "UPDATE mooring_stream SET delivered = ? WHERE session = ? AND name = ?",
        delivered,
        session,
        stream,
      );
      this.#countAnswers(session, stream, delivered);
      this.#retain(session, stream, { ...row, delivered });
    });
  }

  delivered(session: string, stream: string): number {
    return this.#find(this.#sealing.name(session), stream)?.delivered ?? 0;
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
      this.#forgetHollow(session, stream);
    };
  }

  drop(id: string): void {
    const session = this.#sealing.name(id);
    this.#dropped.add(session);
    this.#sizes.delete(session);
    this.#atomic(session, () => {
      this.#tables.change("DELETE FROM mooring_event WHERE session = ?", session);
      this.#tables.change("DELETE FROM mooring_stream WHERE session = ?", session);
    });
    for (const stream of [...this.#watchers.get(session)?.keys() ?? []]) {
      this.#wake(session, stream);
    }
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
      const [id, stream] = [String(session), String(name)];
      if (runsOn(this.#sealing.named(id), stream)) continue;
      const answered = new Set(
        this.#read(id, stream, 0)?.events.flatMap(({ data }) => responseId(data) ?? []),
      );
      // open() has written it
      const text = this.#sealing.open(String(requests), "mooring_stream", session, name);
      const ids = JSON.parse(text) as RequestId[];
      for (const request of ids) {
        if (!answered.has(request)) {
          this.#appendIn(id, stream, errorText(request, INTERRUPTED), true);
        }
      }
      this.#endIn(id, stream);
    }
  }

  #sealedEvent(session: string, stream: string, n: number, data: string): string {
    return this.#sealing.seal(data, "mooring_event", session, stream, n);
  }

  get #sealing(): Sealing {
    return this.#tables.sealing;
  }

  /** Stores a change of a session's streams as a whole. */
  #atomic<T>(session: string, work: () => T): T {
    try {
      return this.#tables.atomic(work);
    } catch (error) {
      // Counted anew, without what was not stored.
      this.#sizes.delete(session);
      throw error;
    }
  }

  /** Returns a stream, unless it is unknown or its time is over. */
  #find(session: string, stream: string): StoredStreamRow | undefined {
    this.#forgetDone();
    const [row] = this.#tables.rows(
      "SELECT last, first, delivered, ended, done_at FROM mooring_stream WHERE session = ? AND name = ?",
      session,
      stream,
    );
    if (row === undefined) return undefined;
    const { last, first, delivered, ended, done_at } = row;
    return {
      last: Number(last),
      first: Number(first),
      delivered: Number(delivered),
      ended: ended === 1,
      doneAt: done_at === null ? undefined : Number(done_at),
    };
  }

  /** Tells whether one more response may be kept above the limits: as much again as they allow. */
  #holds(session: string, more: number): boolean {
    const [row] = this.#tables.rows(
      `SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM mooring_event
        WHERE session = ? AND held = 1`,
      session,
    );
    const { events, eventBytes } = this.#limits;
    const held = Number(row?.bytes ?? 0);
    // One of any size may always wait.
    return held === 0 || (Number(row?.count) < events && held + more <= eventBytes);
  }

  #insert(
    session: string,
    stream: string,
    n: number,
    data: string | null,
    bytes: number,
    held: boolean,
  ): void {
    // Measured before: what is being added must not count twice.
    const size = this.#size(session);
    this.#tables.add(
      `INSERT INTO mooring_event (session, stream, n, data, bytes, held) VALUES (?, ?, ?, ?, ?, ?)`,
      session,
      stream,
      n,
      data,
      bytes,
      held ? 1 : 0,
    );
    if (held) return;
    size.count += 1;
    size.bytes += bytes;
    this.#trim(session, size);
  }

  /** Counts responses for the limits, as the newest events, once they were delivered. */
  #countAnswers(session: string, stream: string, delivered: number): void {
    const rows = this.#tables.rows(
      `SELECT seq, n, data, bytes FROM mooring_event
        WHERE session = ? AND stream = ? AND held = 1 AND n <= ? ORDER BY n`,
      session,
      stream,
      delivered,
    );
    for (const { seq, n, data, bytes } of rows) {
      this.#tables.change("DELETE FROM mooring_event WHERE seq = ?", seq ?? null);
      this.#insert(session, stream, Number(n), String(data), Number(bytes), false);
    }
  }

  #size(session: string): Size {
    let size = this.#sizes.get(session);
    if (size === undefined) {
      const [row] = this.#tables.rows(
        `SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM mooring_event
          WHERE session = ? AND held = 0`,
        session,
      );
      size = { count: Number(row?.count ?? 0), bytes: Number(row?.bytes ?? 0) };
      this.#sizes.set(session, size);
    }
    return size;
  }

  /** Drops the oldest events above the limits; never the newest. */
  #trim(session: string, size: Size): void {
    const { events, eventBytes } = this.#limits;
    while (size.count > 1 && (size.count > events || size.bytes > eventBytes)) {
      const [oldest] = this.#tables.rows(
        `SELECT seq, stream, n, bytes FROM mooring_event
          WHERE session = ? AND held = 0 ORDER BY seq LIMIT 1`,
        session,
      );
      if (oldest === undefined) return;
      const [stream, n] = [String(oldest.stream), Number(oldest.n)];
      this.#tables.change("DELETE FROM mooring_event WHERE seq = ?", oldest.seq ?? null);
      size.count -= 1;
      size.bytes -= Number(oldest.bytes);
      this.#tables.change(
        "UPDATE mooring_stream SET first = max(first, ?) WHERE session = ? AND name = ?",
        n + 1,
        session,
        stream,
      );
      this.#forgetHollow(session, stream);
    }
  }

  #hasEvents(session: string, stream: string): boolean {
    return this.#tables.rows(
      "SELECT 1 FROM mooring_event WHERE session = ? AND stream = ? LIMIT 1",
      session,
      stream,
    ).length > 0;
  }

  /** Notes when a stream has ended and was delivered: its time begins. */
  #retain(
    session: string,
    stream: string,
    { ended, delivered, last, doneAt }: StoredStreamRow,
  ): void {
    if (!ended || delivered < last || doneAt !== undefined) return;
    const now = this.#clock.now();
    this.#tables.change(
      "UPDATE mooring_stream SET done_at = ? WHERE session = ? AND name = ?",
      now,
      session,
      stream,
    );
    this.#nextDone = Math.min(this.#nextDone, now + this.#limits.retainMs);
  }

  /** Forgets the streams whose time is over. */
  #forgetDone(): void {
    const now = this.#clock.now();
    if (now < this.#nextDone) return;
    const { retainMs } = this.#limits;
    const done = this.#tables.rows(
      "SELECT session, name FROM mooring_stream WHERE done_at <= ?",
      now - retainMs,
    );
    for (const { session, name } of done) this.#forget(String(session), String(name));
    const [next] = this.#tables.rows("SELECT min(done_at) AS at FROM mooring_stream");
    this.#nextDone = (typeof next?.at === "number" ? next.at : now) + Math.max(1, retainMs);
  }

  /** Forgets a stream that has ended, of which nothing is kept, and that nobody watches. */
  #forgetHollow(session: string, stream: string): void {
    if ((this.#watchers.get(session)?.get(stream)?.size ?? 0) > 0) return;
    if (this.#hasEvents(session, stream)) return;
    this.#tables.change(
      "DELETE FROM mooring_stream WHERE session = ? AND name = ? AND ended = 1",
      session,
      stream,
    );
  }

  #forget(session: string, stream: string): void {
    this.#sizes.delete(session);
    this.#tables.change(
      "DELETE FROM mooring_event WHERE session = ? AND stream = ?",
      session,
      stream,
    );
    this.#tables.change(
      "DELETE FROM mooring_stream WHERE session = ? AND name = ?",
      session,
      stream,
    );
  }

  #wake(session: string, stream: string, oldest?: number, appended?: LoggedEvent): void {
    const watchers = this.#watchers.get(session)?.get(stream);
    for (const watcher of [...watchers ?? []]) {
      if (watchers?.has(watcher)) watcher.wake(oldest, appended);
    }
  }
}
