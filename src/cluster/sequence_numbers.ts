/**
 * Which of each sender's numbered envelopes have come, so that none counts twice.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";

/** How far behind a sender's newest number one may still come in: by another way it may take longer. */
const BEHIND = 1_024;
/** How many senders are remembered; others are turned away until one has been silent for long. */
const MOST_SENDERS = 4_096;

interface Sender {
  /** When it was heard of last, in milliseconds since the epoch. */
  heardAt: number;
  newest: number;
  /** Those of the last numbers that have come. */
  readonly came: Set<number>;
}

/** Takes each number of each sender once, in bounded memory. */
export class SequenceNumbers {
  readonly #clock: Clock;
  readonly #keepMs: number;
  /** Those who were heard of longest ago first. */
  readonly #senders = new Map<string, Sender>();

  /**
   * @param clock Where the time comes from
   * @param keepMs For how long a sender is remembered that isn't heard of, in milliseconds
   */
  constructor(clock: Clock, keepMs: number) {
    this.#clock = clock;
    this.#keepMs = keepMs;
  }

  /** How many senders are remembered. */
  get size(): number {
    return this.#senders.size;
  }

  /** Takes a number. `false` when it has been taken, or is so old that nobody knows. */
  take(from: string, number: number): boolean {
    const sender = this.#sender(from);
    if (sender === undefined) return false;
    const { came, newest } = sender;
    if (number <= newest - BEHIND || came.has(number)) return false;
    came.add(number);
    sender.newest = Math.max(newest, number);
    if (came.size > 2 * BEHIND) this.#forget(sender);
    return true;
  }

  #sender(from: string): Sender | undefined {
    const now = this.#clock.now();
    const known = this.#senders.get(from);
    this.#senders.delete(from);
    for (const [old, { heardAt }] of this.#senders) {
      if (now - heardAt < this.#keepMs) break;
      this.#senders.delete(old);
    }
    if (this.#senders.size >= MOST_SENDERS) return undefined;
    const sender = known ?? { heardAt: now, newest: 0, came: new Set<number>() };
    sender.heardAt = now;
    this.#senders.set(from, sender);
    return sender;
  }

  #forget({ came, newest }: Sender): void {
    for (const number of came) if (number <= newest - BEHIND) came.delete(number);
  }
}
