/**
 * Remembers for a while which upstreams failed or were silent, so that nobody waits for them again.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";

/** A failure. */
export interface SessionFailure {
  /** The error that clients may see. */
  readonly error: unknown;
  /** Whether clients had to wait for it. */
  readonly isSlow: boolean;
}

/** A failure that is remembered. */
export interface RecentFailure extends SessionFailure {
  /** When to try again, in milliseconds since the epoch. */
  readonly retryAt: number;
}

/** Options for {@linkcode RecentFailures}. */
export interface RecentFailuresOptions {
  /** How long an upstream isn't tried again, in milliseconds. */
  readonly retryMs: number;
  /**
   * Limits the failures that are remembered; the oldest are forgotten first.
   *
   * @default {10000}
   */
  readonly most?: number;
}

/** How long a failure is remembered after its time to try again, in milliseconds. */
const KEPT_MS = 60_000;

/** Remembers failures by upstream and by a key of the caller's. */
export class RecentFailures {
  readonly #clock: Clock;
  readonly #retryMs: number;
  readonly #most: number;
  /** The failures, the oldest first. */
  readonly #kept = new Map<string, RecentFailure & { readonly forgetAt: number }>();

  /** Creates it without failures. */
  constructor(clock: Clock, { retryMs, most = 10_000 }: RecentFailuresOptions) {
    this.#clock = clock;
    this.#retryMs = retryMs;
    this.#most = most;
  }

  /** The number of failures that take memory. */
  get size(): number {
    return this.#kept.size;
  }

  /** Returns a failure if it is remembered. */
  get(upstream: string, key: string): RecentFailure | undefined {
    const failure = this.#kept.get(`${upstream} ${key}`);
    return failure === undefined || failure.forgetAt <= this.#clock.now() ? undefined : failure;
  }

  /**
   * Remembers a failure.
   *
   * @param retryMs How long it isn't tried again, in milliseconds
   */
  add(
    upstream: string,
    key: string,
    failure: SessionFailure,
    retryMs: number = this.#retryMs,
  ): void {
    const now = this.#clock.now();
    this.remove(upstream, key);
    for (const [oldest, { forgetAt }] of this.#kept) {
      if (forgetAt > now && this.#kept.size < this.#most) break;
      this.#kept.delete(oldest);
    }
    const forgetAt = now + this.#retryMs + KEPT_MS;
    this.#kept.set(`${upstream} ${key}`, { ...failure, retryAt: now + retryMs, forgetAt });
  }

  /** Forgets a failure. */
  remove(upstream: string, key: string): void {
    this.#kept.delete(`${upstream} ${key}`);
  }

  /** Forgets all failures of an upstream. */
  removeAll(upstream: string): void {
    for (const key of this.#kept.keys()) {
      if (key.startsWith(`${upstream} `)) this.#kept.delete(key);
    }
  }
}
