/**
 * Counts what happens at endpoints and gateways, in the text format of Prometheus.
 *
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { metrics } from "@mooring/mcp/metrics";
 *
 * const counted = metrics();
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   onEvent: counted.onEvent,
 * });
 * counted.watch({ handler });
 *
 * const response = await counted.fetch(new Request("http://localhost/metrics"));
 * console.assert((await response.text()).includes("mooring_sessions"));
 * ```
 *
 * It needs the package `prom-client`.
 *
 * @module
 */
export {
  type Metrics,
  metrics,
  type MetricsOptions,
  type MetricsRegistry,
  type StatsSource,
  type WatchedParts,
} from "./collector.ts";
export type { NetworkTransport } from "./operation.ts";
