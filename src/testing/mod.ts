/**
 * A client for tests, in the same process as the tested server.
 *
 * {@linkcode connect} calls a handler the way `fetch` calls a server: nothing listens on a port, and
 * nothing is sent over a network. Behind it is the official client, `@modelcontextprotocol/client`, so
 * that a test sees the server as real clients do, in every protocol version: streams are read and
 * resumed, questions answered, requests cancelled, notifications collected.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { connect } from "@mooring/mcp/testing";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("count", { description: "Counts." }, (_args, ctx) => {
 *   for (let n = 1; n <= 3; n++) ctx.progress(n, 3);
 *   return "done";
 * });
 *
 * await using handler = createMcpHandler(server);
 * await using client = await connect(handler);
 * const seen: number[] = [];
 * await client.callTool("count", {}, { onProgress: ({ progress }) => seen.push(progress) });
 * console.assert(seen.join() === "1,2,3");
 * ```
 *
 * @module
 */
export { connect } from "./connect.ts";
export { TestClient } from "./client.ts";
export { RefusedError } from "./errors.ts";
export { McpError } from "../protocol/errors.ts";
export type { Notification } from "../protocol/exchange.ts";
export type {
  CallParameters,
  ResultOf,
  ToolName,
  ToolsOf,
  TypedToolResult,
  UncheckedName,
} from "./typed_tools.ts";
export type {
  Completion,
  CompletionReference,
  ConnectOptions,
  ElicitParams,
  ListedPrompt,
  ListedResource,
  ListedResourceTemplate,
  ListedTool,
  OfficialClient,
  ProgressUpdate,
  RequestHandler,
  TestRequestOptions,
} from "./types.ts";
