/**
 * Lets an operator see and steer an endpoint: {@linkcode createDashboard} makes a page of it,
 * {@linkcode createOperator} the same for programs.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { createDashboard, oneTimeLinks } from "@mooring/mcp/dashboard";
 *
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }));
 * const links = oneTimeLinks();
 * await using dashboard = createDashboard(handler, { authenticate: links });
 * const { nodes } = await dashboard.snapshot();
 * console.assert(nodes.length === 1);
 * ```
 *
 * @module
 */
export { BOUNDS_MS, percentile } from "./operator/histogram.ts";
export { createOperator, type Operator, type OperatorOptions } from "./operator/operator.ts";
export type {
  AccountRow,
  AccountSource,
  ActRow,
  CallRow,
  GrantRow,
  GrantSource,
  HistoryRow,
  LastMinuteCounts,
  LimitRow,
  ListedAccount,
  ListedGrant,
  MinuteRow,
  NodeRow,
  OperatorRequest,
  OperatorResult,
  OperatorSnapshot,
  RecentCall,
  RecentQuery,
  RecentRefusal,
  RecentRows,
  RefusalRow,
  RowPlace,
  SessionRow,
  StreamRow,
  Tables,
  ToolRow,
  UpstreamRow,
} from "./operator/types.ts";
export {
  type AuthenticateOperator,
  createDashboard,
  type Dashboard,
  type DashboardOptions,
} from "./page/dashboard.ts";
export {
  type OneTimeLinks,
  oneTimeLinks,
  type OneTimeLinksOptions,
} from "./page/one_time_links.ts";
export {
  type OperatorTokens,
  operatorTokens,
  type OperatorTokensOptions,
} from "./page/operator_tokens.ts";
export type { OperatorPrincipal, OperatorSignIn } from "./page/sign_ins.ts";
export type { Clock, MaybePromise, McpHandler, OperatorActKind } from "../../mod.ts";
