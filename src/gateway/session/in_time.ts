/**
 * Waits for what upstreams say about themselves, but not for long: what comes too late is left out
 * now, and there for the next request.
 *
 * @module
 */
import { type Clock, ErrorCode, McpError, type McpEvent } from "../../../mod.ts";
import { abortable, deadline } from "../shared/deadline.ts";
import type { RecentFailures } from "./recent_failures.ts";

/** Reports that an upstream didn't answer in time. */
export class TimeoutError extends McpError {
  /** Creates the error. */
  constructor(upstream: string) {
    super(
      ErrorCode.InternalError,
      `Ask again later: the upstream "${upstream}" didn't answer in time`,
    );
  }
}

/** Reports that an upstream didn't answer in time, but may still answer. */
export class LateError extends TimeoutError {}

/** An answer that is on its way, and that several requests may wait for. */
export class PendingAnswer<T> {
  /** Settles with the answer. */
  readonly answer: Promise<T>;
  /** Whether a request was answered without it. */
  isLate = false;
  readonly #retain: () => () => void;
  readonly #closing: AbortSignal;

  /**
   * Asks for the answer.
   *
   * @param closing Aborts when what the answer needs closes
   * @param retain Keeps open what the answer needs, until the function that it returns is called
   */
  constructor(
    start: (pending: PendingAnswer<T>) => Promise<T>,
    closing: AbortSignal,
    retain: () => () => void,
  ) {
    this.#retain = retain;
    this.#closing = closing;
    this.answer = start(this);
    this.answer.catch(() => {});
  }

  /** Whether it will fail because nobody waited for it. */
  get isAbandoned(): boolean {
    return this.#closing.aborted;
  }

  /**
   * Waits for the answer.
   *
   * @throws {AbortSignal["reason"]} If the signal aborts first
   */
  async wait(signal: AbortSignal): Promise<T> {
    const release = this.#retain();
    try {
      return await abortable(this.answer, signal);
    } finally {
      release();
    }
  }

  /** Lets the answer come although no request waits for it. */
  leaveOut(): void {
    if (this.isLate) return;
    this.isLate = true;
    const release = this.#retain();
    this.answer.then(release, release);
  }
}

/** What to wait for. */
export interface WaitInit<T> {
  readonly upstream: string;
  /** What the upstream is asked for, in events. */
  readonly during: string;
  /** The keys under which failures may be remembered. The first is the answer's own. */
  readonly keys: readonly [string, ...string[]];
  readonly failures: RecentFailures;
  readonly clock: Clock;
  /** Limits the wait, in milliseconds. */
  readonly waitMs: number;
  /** Whether there is nothing to answer with but this. */
  readonly isAlone: boolean;
  /** Whether later requests of the client find the answer, once it is there. */
  readonly isShared: boolean;
  readonly signal: AbortSignal;
  readonly report: (event: McpEvent) => void;
  /** Asks for the answer, unless it is on its way already. */
  readonly start: () => PendingAnswer<T>;
}

/**
 * Waits for an answer for a limited time, and not at all if it failed or was late a short time ago:
 * then it is asked for again while nobody waits. If there is nothing else to answer with, it is waited
 * for again, unless the wait was in vain a short time ago.
 *
 * @throws {LateError} If the answer isn't there in time
 * @throws {AbortSignal["reason"]} If the signal aborts
 * @throws The error that the answer failed with, now or a short time ago
 */
export async function inTime<T>(init: WaitInit<T>): Promise<T> {
  const { upstream, during, keys, failures, clock, waitMs, isAlone, isShared, signal, report } =
    init;
  const key = keys.find((key) => failures.get(upstream, key) !== undefined) ?? keys[0];
  const failure = failures.get(upstream, key);
  const isRecent = failure !== undefined && clock.now() < failure.retryAt;
  if (isRecent && (!isAlone || failure.isSlow)) throw failure.error;
  if (failure !== undefined && !isAlone) {
    // Requests that don't share the answer must not all ask again at the same time.
    if (!isShared) failures.add(upstream, key, failure);
    init.start().leaveOut();
    throw failure.error;
  }
  const pending = init.start();
  const limit = deadline(clock, waitMs, signal);
  try {
    return await pending.wait(limit.signal);
  } catch (error) {
    if (error !== limit.signal.reason || signal.aborted) throw error;
  } finally {
    limit.clear();
  }
  const error = new LateError(upstream);
  if (!pending.isLate) report({ type: "upstream-slow", upstream, during });
  pending.leaveOut();
  // While it may still answer, asking again costs nothing, but alone nobody would wait for it.
  failures.add(upstream, keys[0], { error, isSlow: true }, isAlone ? undefined : 0);
  throw error;
}
