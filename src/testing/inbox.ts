/**
 * The notifications that a client has received.
 *
 * @module
 */
import type { Notification } from "../protocol/exchange.ts";
import { within } from "./wait.ts";

/** How many notifications are kept; the oldest go first. */
const MOST = 1_000;

interface Waiter {
  readonly method: string;
  readonly resolve: (notification: Notification) => void;
}

/** Keeps notifications, and hands each to one who waits for it. */
export class Inbox {
  /** What was received, oldest first. */
  readonly received: Notification[] = [];
  /** What nobody has waited for yet, oldest first. */
  readonly #unclaimed: Notification[] = [];
  readonly #waiters = new Set<Waiter>();

  /** Takes a notification. */
  push(notification: Notification): void {
    keep(this.received, notification);
    for (const waiter of this.#waiters) {
      if (waiter.method !== notification.method) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(notification);
      return;
    }
    keep(this.#unclaimed, notification);
  }

  /**
   * The next notification of a method: the oldest that was not handed out before, or the first to come.
   *
   * @throws {DOMException} A `TimeoutError` when none comes in time
   */
  async next(method: string, timeoutMs: number): Promise<Notification> {
    const index = this.#unclaimed.findIndex((notification) => notification.method === method);
    const [found] = index === -1 ? [] : this.#unclaimed.splice(index, 1);
    if (found !== undefined) return found;
    const { promise, resolve } = Promise.withResolvers<Notification>();
    const waiter: Waiter = { method, resolve };
    this.#waiters.add(waiter);
    try {
      return await within(promise, timeoutMs, `notification ${method}`);
    } finally {
      this.#waiters.delete(waiter);
    }
  }
}

function keep(list: Notification[], notification: Notification): void {
  list.push(notification);
  if (list.length > MOST) list.shift();
}
