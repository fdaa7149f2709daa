/**
 * The event log of a single process.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { type Delay, DelayLine, Wait } from "../internal/delay_line.ts";
import { WholePlace } from "./log_places.ts";
import { SessionLog } from "./session_log.ts";
import type { StreamLog, Watcher } from "./session_log.ts";
import type { EventLog, EventLogLimits, Slice } from "./types.ts";

/** For how long at least a dropped session is remembered, in milliseconds. */
const REMEMBER_MS = 60_000;
/** How many more dropped sessions make it forgotten sooner. */
const REMEMBER = 5_000;

type Forget = (session: string, log: SessionLog, stream: string) => void;

/** The wait until a stream is forgotten. There is one for each, so it is made of nothing but itself. */
class Retention extends Wait {
  readonly #forget: Forget;
  readonly #session: string;
  readonly #log: SessionLog;
  readonly #stream: string;

  constructor(line: DelayLine, forget: Forget, session: string, log: SessionLog, stream: string) {
    super(line);
    this.#forget = forget;
    this.#session = session;
    this.#log = log;
    this.#stream = stream;
  }

  over(): void {
    this.#forget(this.#session, this.#log, this.#stream);
  }
}

/**
 * An {@linkcode EventLog} in memory. It answers at once, never with a promise.
 *
 * Nothing is kept for a session until one of its streams is used, and nothing for a stream that was
 * forgotten. That a session was dropped is remembered until a minute has passed or 5,000 others have
 * been dropped: an append later than that would begin a session that nobody drops.
 */
export class MemoryEventLog implements EventLog {
  readonly #limits: Required<EventLogLimits>;
  readonly #clock: Clock;
  readonly #retention: DelayLine;
  readonly #sessions = new Map<string, SessionLog>();
  #dropped = new Set<string>();
  #droppedBefore = new Set<string>();
  #droppedSince = 0;

  /**
   * Makes an empty log.
   *
   * @param limits How much to keep
   * @param clock Where the time comes from
   */
  constructor(limits: Required<EventLogLimits>, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#retention = new DelayLine(clock, limits.retainMs);
  }

  open(session: string, stream: string): void {
    const log = this.#session(session);
    if (log !== undefined) log.open(stream).known = true;
  }

  append(session: string, stream: string, data: string): number {
    const log = this.#session(session);
    if (log === undefined) return 0;
    const target = log.open(stream);
    if (target.ended) return 0;
    const n = log.append(target, data);
    target.wake();
    return n;
  }

  end(session: string, stream: string): void {
    const log = this.#session(session);
    const target = log?.open(stream);
    if (log === undefined || target === undefined || target.ended) return;
    log.end(target);
    this.#retain(session, log, target);
    target.wake();
  }

  addWhole(session: string, stream: string, frames: string, count: number): void {
    const log = this.#session(session);
    if (log === undefined) return;
    const retention = this.#keep(session, log, stream);
    log.addWhole(new WholePlace({ id: stream, frames, count, retention }));
  }

  read(session: string, stream: string, after: number): Slice | undefined {
    const log = this.#sessions.get(session);
    const target = log?.get(stream);
    if (log === undefined || target === undefined || !target.known) return undefined;
    return log.read(target, after);
  }

  deliver(session: string, stream: string, n: number): void {
    const log = this.#sessions.get(session);
    const target = log?.get(stream);
    if (log === undefined || target === undefined || n <= target.delivered) return;
    target.delivered = Math.min(n, target.last);
    this.#retain(session, log, target);
  }

  delivered(session: string, stream: string): number {
    return this.#sessions.get(session)?.get(stream)?.delivered ?? 0;
  }

  watch(session: string, stream: string, wake: (oldest: number) => void): () => void {
    const log = this.#session(session);
    const target = log?.open(stream);
    if (log === undefined || target === undefined) return () => {};
    const watcher: Watcher = { wake };
    target.watch(watcher);
    return () => {
      target.unwatch(watcher);
      log.tidy(target);
      this.#tidy(session, log);
    };
  }

  drop(session: string): void {
    this.#remember(session);
    const log = this.#sessions.get(session);
    if (log === undefined) return;
    this.#sessions.delete(session);
    log.close();
  }

  /** A session's log, made if need be, or `undefined` when the session was dropped. */
  #session(session: string): SessionLog | undefined {
    const known = this.#sessions.get(session);
    if (known !== undefined) return known;
    if (this.#dropped.has(session) || this.#droppedBefore.has(session)) return undefined;
    const log = new SessionLog(this.#limits);
    this.#sessions.set(session, log);
    return log;
  }

  /** Begins to forget a stream that has ended and was delivered. */
  #retain(session: string, log: SessionLog, stream: StreamLog): void {
    if (!stream.ended || stream.delivered < stream.last || stream.retention !== undefined) return;
    stream.retention = this.#keep(session, log, stream.id);
  }

  /** Keeps a stream for its time. */
  #keep(session: string, log: SessionLog, stream: string): Delay {
    const retention = new Retention(this.#retention, this.#forget, session, log, stream);
    retention.restart();
    return retention;
  }

  readonly #forget: Forget = (session, log, id) => {
    const stream = log.forget(id);
    this.#tidy(session, log);
    stream?.wake();
  };

  /** Forgets a session of which nothing is kept. */
  #tidy(session: string, log: SessionLog): void {
    if (log.empty && this.#sessions.get(session) === log) this.#sessions.delete(session);
  }

  #remember(session: string): void {
    const now = this.#clock.now();
    if (now - this.#droppedSince >= REMEMBER_MS || this.#dropped.size >= REMEMBER) {
      this.#droppedBefore = this.#dropped;
      this.#dropped = new Set();
      this.#droppedSince = now;
    }
    this.#dropped.add(session);
  }
}
