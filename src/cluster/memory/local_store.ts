/**
 * Implements the storage of a handler that shares it with no other, in the memory of this process.
 *
 * @module
 */
import { MemorySessionStore } from "../../sessions/memory_store.ts";
import { EventBudget } from "../../streams/event_budget.ts";
import { MemoryEventLog } from "../../streams/memory_log.ts";
import { MemoryDocuments } from "./documents.ts";
import { MemoryLeases } from "./leases.ts";
import { MemoryClaims } from "./nodes.ts";
import type { Backplane, StoreSettings } from "../types.ts";

/** The storage of one handler: a {@linkcode Backplane} without what connects handlers. */
export type LocalBackplane = Omit<Backplane, "bus" | "nodes" | "connect" | "durable">;

/** Creates the storage of one handler. */
export function openLocal(
  { caps, lifetimes, log, eventBudget, clock }: StoreSettings,
): LocalBackplane {
  const sessions = new MemorySessionStore(caps, lifetimes, clock);
  const budget = new EventBudget(eventBudget);
  return {
    sessions,
    log: new MemoryEventLog(log, clock, budget, (id) => sessions.shareOf(id)),
    leases: new MemoryLeases(),
    claims: new MemoryClaims(clock),
    documents: new MemoryDocuments(),
  };
}
