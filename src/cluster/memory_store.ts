/**
 * The store of a single process.
 *
 * @module
 */
import { MemorySessionStore } from "../sessions/memory_store.ts";
import { MemoryEventLog } from "../streams/memory_log.ts";
import { MemoryBus } from "./memory_bus.ts";
import { MemoryDocuments } from "./memory_documents.ts";
import { MemoryLeases } from "./memory_leases.ts";
import { MemoryClaims, MemoryNodes } from "./memory_nodes.ts";
import type { Backplane, Store, StoreSettings } from "./types.ts";

/**
 * Keeps sessions and streams in this process's memory. Handlers that are given the same store are one
 * endpoint; the settings of the one that was made first hold for all of them.
 *
 * @example
 * ```ts
 * import { memoryStore } from "./memory_store.ts";
 *
 * const store = memoryStore();
 * ```
 */
export function memoryStore(): Store {
  let backplane: Backplane | undefined;
  return {
    open({ caps, lifetimes, log, clock }: StoreSettings): Backplane {
      return backplane ??= {
        sessions: new MemorySessionStore(caps, lifetimes, clock),
        log: new MemoryEventLog(log, clock),
        bus: new MemoryBus(),
        leases: new MemoryLeases(),
        nodes: new MemoryNodes(clock),
        claims: new MemoryClaims(clock),
        documents: new MemoryDocuments(),
        secret: crypto.getRandomValues(new Uint8Array(32)),
      };
    },
  };
}
