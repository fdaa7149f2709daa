/**
 * Detects replayed envelopes by the sequence numbers of their senders.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";

/** The number of older sequence numbers that are accepted out of order. */
const BEHIND = 1_024;
/** The maximum number of remembered senders; further ones are rejected until one is forgotten. */
const MOST_SENDERS = 4_096;

interface NumberedSender {
  /** When its last envelope arrived, in milliseconds since the epoch. */
  lastAt: number;
  newest: number;
  /** The recently received numbers. */
  readonly received: Set<number>;
}

/** Accepts each sequence number of each sender once, in bounded memory. */
export class SequenceNumbers {
  readonly #clock: Clock;
  readonly #keepMs: number;
  /** The senders, least recently received first. */
  readonly #senders = new Map<string, NumberedSender>();

  /**
   * Creates an empty record.
   *
   * @param clock The source of time
   * @param keepMs The time for which a silent sender is remembered, in milliseconds
   */
  constructor(clock: Clock, keepMs: number) {
    this.#clock = clock;
    this.#keepMs = keepMs;
  }

  /** The number of remembered senders. */
  get size(): number {
    return this.#senders.size;
  }

  /** Accepts a number. Returns `false` if it was accepted before, or is too old to tell. */
  take(from: string, number: number): boolean {
    const sender = this.#sender(from);
    if (sender === undefined) return false;
    const { received, newest } = sender;
    if (number <= newest - BEHIND || received.has(number)) return false;
    received.add(number);
    sender.newest = Math.max(newest, number);
    if (received.size > 2 * BEHIND) this.#forget(sender);
    return true;
  }

  #sender(from: string): NumberedSender | undefined {
    const now = this.#clock.now();
    const known = this.#senders.get(from);
    this.#senders.delete(from);
    for (const [old, { lastAt }] of this.#senders) {
      if (now - lastAt < this.#keepMs) break;
      this.#senders.delete(old);
    }
    if (this.#senders.size >= MOST_SENDERS) return undefined;
    const sender = known ?? { lastAt: now, newest: 0, received: new Set<number>() };
    sender.lastAt = now;
    this.#senders.set(from, sender);
    return sender;
  }

  #forget({ received, newest }: NumberedSender): void {
    for (const number of received) if (number <= newest - BEHIND) received.delete(number);
  }
}
