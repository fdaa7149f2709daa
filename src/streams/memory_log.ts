/**
 * Implements the event log in memory.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { DelayLine } from "../internal/delay_line.ts";
import { RecentKeys } from "../internal/recent_keys.ts";
import { EventBudget } from "./event_budget.ts";
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
  readonly #budget: EventBudget;
  readonly #shareOf: (session: string) => string | undefined;
  readonly #sessions = new Map<string, SessionLog>();
  readonly #dropped: RecentKeys;

  /**
   * Creates an empty log.
   *
   * @param limits The limits of each session
   * @param clock The source of time
   * @param budget The memory of all sessions; not limited when left out
   * @param shareOf Returns the share key of a session's owner; `undefined` while it has none
   */
  constructor(
    limits: Required<EventLogLimits>,
    clock: Clock,
    budget: EventBudget = new EventBudget(),
    shareOf: (session: string) => string | undefined = () => undefined,
  ) {
    this.#limits = limits;
    this.#budget = budget;
    this.#shareOf = shareOf;
    this.#retention = new DelayLine(clock, limits.retainMs);
    this.#dropped = new RecentKeys(clock, REMEMBER_MS, REMEMBER_MOST);
  }

  /** The bytes of memory that its events take. */
  get bytes(): number {
    return this.#budget.bytes;
  }

  open(session: string, stream: string): void {
    const log = this.#session(session);
    if (log !== undefined) log.open(stream).known = true;
  }

  append(session: string, stream: string, data: string, answer = false): number {
    const log = this.#session(session);
    if (log === undefined) return 0;
    const target = log.open(stream);
    if (target.ended) return 0;
    const event = log.append(target, data, answer);
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
    let log = this.#sessions.get(session);
    if (log === undefined) {
      if (this.#dropped.has(session)) return undefined;
      const made = log = new SessionLog(this.#limits, this.#retention, this.#budget, () => {
        if (this.#sessions.get(session) === made) this.#sessions.delete(session);
      });
      this.#sessions.set(session, log);
    }
    if (log.share === undefined) this.#findShare(session, log);
    return log;
  }

  /** Charges a log to its session's owner, once there is one. */
  #findShare(session: string, log: SessionLog): void {
    const share = this.#shareOf(session);
    if (share === undefined) return;
    log.share = share;
    // If the share had no room, the log was forgotten as empty.
    this.#sessions.set(session, log);
  }
}
