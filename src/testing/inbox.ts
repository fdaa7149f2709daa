/**
 * Received notifications.
 *
 * @module
 */
import type { Notification } from "../protocol/exchange.ts";
import { within } from "./wait.ts";

/** Notifications to keep. The oldest are dropped first. */
const MAX_NOTIFICATIONS = 1_000;

interface InboxWaiter {
  readonly method: string;
  readonly resolve: (notification: Notification) => void;
}

/** Records notifications, and resolves waits for the next of a method. */
export class Inbox {
  /** Received notifications, oldest first. */
  readonly received: Notification[] = [];
  /** Notifications that `next` has not returned yet, oldest first. */
  readonly #unclaimed: Notification[] = [];
  readonly #waiters = new Set<InboxWaiter>();

  /** Records a notification. */
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
   * Waits for a notification of a method: the oldest not returned before, or the next to arrive.
   *
   * @throws {DOMException} A `TimeoutError` if none arrives in time
   */
  async next(method: string, timeoutMs: number): Promise<Notification> {
    const index = this.#unclaimed.findIndex((notification) => notification.method === method);
    const [found] = index === -1 ? [] : this.#unclaimed.splice(index, 1);
    if (found !== undefined) return found;
    const { promise, resolve } = Promise.withResolvers<Notification>();
    const waiter: InboxWaiter = { method, resolve };
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
  if (list.length > MAX_NOTIFICATIONS) list.shift();
}
