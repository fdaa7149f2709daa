/**
 * Implements the event log in memory.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { DelayLine } from "../internal/delay_line.ts";
import { RecentKeys } from "../internal/recent_keys.ts";
import { SessionLog } from "./session_log.ts";
import type { Watcher } from "./stream_log.ts";
import type { EventLog, EventLogLimits, Slice } from "./types.ts";

/** The time for which a dropped session is remembered, in milliseconds. */
const REMEMBER_MS = 60_000;
/** The number of later dropped sessions after which one is forgotten before that time. */
const REMEMBER_MOST = 5_000;

/**
 * An {@linkcode EventLog} in memory. All its methods are synchronous.
 *
 * It keeps nothing for a session before one of its streams is used, and nothing for a forgotten stream.
 * A dropped session is remembered for a minute, unless 5,000 others are dropped meanwhile: a later append
 * would create a log that is never dropped.
 */
export class MemoryEventLog implements EventLog {
  readonly #limits: Required<EventLogLimits>;
  readonly #retention: DelayLine;
  readonly #sessions = new Map<string, SessionLog>();
  readonly #dropped: RecentKeys;

  /**
   * Creates an empty log.
   *
   * @param limits The limits of each session
   * @param clock The source of time
   */
  constructor(limits: Required<EventLogLimits>, clock: Clock) {
    this.#limits = limits;
    this.#retention = new DelayLine(clock, limits.retainMs);
    this.#dropped = new RecentKeys(clock, REMEMBER_MS, REMEMBER_MOST);
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
    const event = log.append(target, data);
    target.wake(event);
    return event.n;
  }

  end(session: string, stream: string): void {
    const log = this.#session(session);
    const target = log?.open(stream);
    if (log === undefined || target === undefined || target.ended) return;
    log.end(target);
    target.wake();
  }

  appendStream(session: string, stream: string, frames: string, count: number): void {
    this.#session(session)?.appendStream(stream, frames, count);
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
    if (target !== undefined) log?.deliver(target, n);
  }

  delivered(session: string, stream: string): number {
    return this.#sessions.get(session)?.get(stream)?.delivered ?? 0;
  }

  watch(session: string, stream: string, wake: Watcher["wake"]): () => void {
    const log = this.#session(session);
    const target = log?.open(stream);
    if (log === undefined || target === undefined) return () => {};
    const watcher: Watcher = { wake };
    target.watch(watcher);
    return () => {
      target.unwatch(watcher);
      log.tidy(target);
    };
  }

  drop(session: string): void {
    this.#dropped.add(session);
    const log = this.#sessions.get(session);
    if (log === undefined) return;
    this.#sessions.delete(session);
    log.close();
  }

  /** Returns a session's log, and creates it if there is none; `undefined` if the session was dropped. */
  #session(session: string): SessionLog | undefined {
    const known = this.#sessions.get(session);
    if (known !== undefined) return known;
    if (this.#dropped.has(session)) return undefined;
    const log = new SessionLog(this.#limits, this.#retention, () => {
      if (this.#sessions.get(session) === log) this.#sessions.delete(session);
    });
    this.#sessions.set(session, log);
    return log;
  }
}
