/**
 * Tells of many changes of one thing as of one.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { Notification } from "../protocol/exchange.ts";

const BURST_MS = 250;
/** More different things in one burst are left out: nobody has asked for so many. */
const MOST = 1000;

/** Notifications that wait for the end of their burst. */
export class Bursts {
  readonly #clock: Clock;
  readonly #tell: (notification: Notification) => void;
  readonly #waiting = new Map<string, () => void>();

  /** @param tell Takes each notification at the end of its burst */
  constructor(clock: Clock, tell: (notification: Notification) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Tells of a change soon. The first of a burst decides when. */
  add(notification: Notification): void {
    const key = JSON.stringify([notification.method, notification.params?.uri]);
    if (this.#waiting.has(key) || this.#waiting.size >= MOST) return;
    const stop = this.#clock.timer(BURST_MS, () => {
      this.#waiting.delete(key);
      this.#tell(notification);
    });
    this.#waiting.set(key, stop);
  }

  /** Lets go of everything that waits. */
  clear(): void {
    for (const stop of this.#waiting.values()) stop();
    this.#waiting.clear();
  }
}
