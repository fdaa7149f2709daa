/**
 * Implements the store of a single process.
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
 * Creates a store in the memory of this process: the default. Handlers with the same store are one
 * endpoint; the settings of the first handler apply to all of them.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { memoryStore } from "@mooring/mcp/store";
 *
 * const store = memoryStore();
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), { store });
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
