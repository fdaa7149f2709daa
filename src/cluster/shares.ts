/**
 * Counts each principal's running requests, streams and subscriptions on all nodes.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { QuotaStore } from "../internal/quota_store.ts";
import type { Slots } from "../internal/slots.ts";
import { LeasedSlots } from "./leased_slots.ts";

/** What a node needs to count with the others. */
export interface SharesInit {
  readonly store: QuotaStore;
  /** This node's id. */
  readonly node: string;
  /** The slots to count, by the name of what takes them. */
  readonly slots: Readonly<Record<string, Slots>>;
  readonly clock: Clock;
}

/**
 * Has slots counted on all nodes, as far as an owner's are limited.
 *
 * @returns A function that returns what this node has leased, when it closes
 */
export function shareSlots({ store, node, slots, clock }: SharesInit): () => void {
  const leased = Object.entries(slots).flatMap(([kind, slots]) => {
    const limit = slots.mostEach;
    if (limit === Infinity) return [];
    const leased = new LeasedSlots({ store, node, kind, limit, clock });
    slots.shareWith(leased);
    return leased;
  });
  return () => {
    for (const slots of leased) slots.dispose();
  };
}
