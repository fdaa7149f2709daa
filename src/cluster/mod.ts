/**
 * Defines the storage contracts, for a {@linkcode Store} of your own: sessions, event logs, and what the
 * nodes of a cluster share. {@linkcode memoryStore} keeps all of it in the memory of one process,
 * `@mooring/mcp/redis` in Redis.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { memoryStore } from "@mooring/mcp/store";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * // Two handlers with the same store are one endpoint
 * const store = memoryStore();
 * await using one = createMcpHandler(server, { store });
 * await using other = createMcpHandler(server, { store });
 * const id = await one.sessions.open();
 * console.assert(await other.sessions.end(id));
 * ```
 *
 * @module
 */
export { connectNodes } from "./connect.ts";
export { memoryStore } from "./memory/store.ts";
export type {
  Backplane,
  Bus,
  BusMember,
  Claims,
  ConnectNodes,
  Documents,
  NodeFacts,
  Nodes,
  SharedDocument,
  Store,
  StoreSettings,
} from "./types.ts";
export type {
  QuotaRequest,
  QuotaStore,
  TokenGrant,
  TokenRequest,
} from "../internal/quota_store.ts";
export type {
  RecordKeys,
  RecordStore,
  RecordWrite,
  StoredRecord,
} from "../internal/record_store.ts";
export type { Clock } from "../internal/clock.ts";
export type { MaybePromise } from "../internal/types.ts";
export type { SessionEndReason } from "../protocol/events.ts";
export type { ClientFacts } from "../protocol/exchange.ts";
export type { JsonObject, JsonRpcError, RequestId } from "../protocol/jsonrpc.ts";
export type {
  LostTask,
  TaskBeat,
  TaskCaps,
  TaskProgress,
  TaskQuestion,
  TaskRecord,
  TaskRerun,
  TaskState,
  TaskStore,
} from "../protocol/task_store.ts";
export type { ClientCapabilities, Implementation, LogLevel } from "../protocol/shapes.ts";
export type { ProtocolVersion } from "../protocol/versions.ts";
export type {
  EndedSession,
  Found,
  Reservation,
  SessionCaps,
  SessionLifetimes,
  SessionPatch,
  SessionRecord,
  SessionStore,
} from "../sessions/types.ts";
export { shareKey } from "../sessions/owner.ts";
export type { Lease, Leases } from "../streams/leases.ts";
export type { EventBudgetLimits } from "../streams/event_budget.ts";
export type {
  EventLog,
  EventLogLimits,
  LoggedEvent,
  Slice,
  StoredRun,
  StreamRun,
} from "../streams/types.ts";
