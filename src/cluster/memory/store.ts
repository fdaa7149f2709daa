/**
 * Implements the store of several handlers in a single process.
 *
 * @module
 */
import { connectNodes } from "../connect.ts";
import { openLocal } from "./local_store.ts";
import { MemoryBus } from "./bus.ts";
import { MemoryTaskStore } from "./tasks.ts";
import { MemoryNodes } from "./nodes.ts";
import { MemoryCounts, MemoryQuotas } from "./quotas.ts";
import { MemoryRecords, MemoryRecordTable } from "./records.ts";
import type { Backplane, Store, StoreSettings } from "../types.ts";

/**
 * Creates a store in the memory of this process. Handlers with the same store are one endpoint; the
 * settings of the first handler apply to all of them. A handler without a store has memory of its own.
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
  const counts = new MemoryCounts();
  const table = new MemoryRecordTable();
  const users = new MemoryRecordTable();
  const answers = new MemoryRecordTable();
  let backplane: Backplane | undefined;
  return {
    open: (settings) => backplane ??= open(settings),
    quotas: (clock) => new MemoryQuotas(clock, counts),
    records: (clock) => new MemoryRecords(clock, table),
    userStates: (clock, most) => new MemoryRecords(clock, users, most),
    answers: (clock, most) => new MemoryRecords(clock, answers, most),
  };
}

function open(settings: StoreSettings): Backplane {
  return {
    ...openLocal(settings),
    bus: new MemoryBus(),
    nodes: new MemoryNodes(settings.clock),
    tasks: new MemoryTaskStore(settings.clock),
    connect: connectNodes,
    secret: crypto.getRandomValues(new Uint8Array(32)),
  };
}
