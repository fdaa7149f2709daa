/**
 * Coalesces repeated change notifications.
 *
 * @module
 */
import type { Clock, Notification } from "../../../mod.ts";

/** Delays notifications, in milliseconds. */
const DELAY_MS = 250;
/** Limits the different notifications that are delayed at a time; more are dropped. */
const MAX_PENDING = 1000;

/** Delays notifications, and sends those that repeat within the delay once. */
export class NotificationCoalescer {
  readonly #clock: Clock;
  readonly #send: (notification: Notification) => void;
  readonly #drop: (notification: Notification) => void;
  readonly #pending = new Map<string, () => void>();

  /**
   * Creates a coalescer.
   *
   * @param send Takes each notification after its delay
   * @param drop Takes each notification that is dropped because too many are delayed already
   */
  constructor(
    clock: Clock,
    send: (notification: Notification) => void,
    drop: (notification: Notification) => void,
  ) {
    this.#clock = clock;
    this.#send = send;
    this.#drop = drop;
  }

  /** Sends a notification after the delay, unless the same one is pending already. */
  add(notification: Notification): void {
    const key = JSON.stringify([notification.method, notification.params]);
    if (this.#pending.has(key)) return;
    if (this.#pending.size >= MAX_PENDING) return this.#drop(notification);
    const stop = this.#clock.timer(DELAY_MS, () => {
      this.#pending.delete(key);
      this.#send(notification);
    });
    this.#pending.set(key, stop);
  }

  /** Drops every pending notification. */
  clear(): void {
    for (const stop of this.#pending.values()) stop();
    this.#pending.clear();
  }
}
