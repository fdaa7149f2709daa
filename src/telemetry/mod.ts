/**
 * Reports to OpenTelemetry: a span for each request of a client and each request to an upstream, and
 * histograms of their durations, by the semantic conventions for MCP.
 *
 * It needs the package `@opentelemetry/api`, and to export anything an SDK that the application registers,
 * or Deno with `OTEL_DENO=true`.
 *
 * @module
 */
export { type Telemetry, telemetry, type TelemetryOptions } from "./telemetry.ts";
export type { NetworkTransport } from "./operation.ts";
export type { RemoteContext } from "./trace_context.ts";
