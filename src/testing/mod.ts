/**
 * A client for tests, in the same process as the server that it tests.
 *
 * {@linkcode connect} shakes hands with a handler by calling it: nothing listens on a port, and nothing
 * is sent over a network. The client then does what a full MCP client does: it reads streams and comes
 * back to those that break, answers what the server asks, cancels, and collects notifications.
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
  Completion,
  CompletionReference,
  ConnectOptions,
  ElicitParams,
  ListedArgument,
  ListedPrompt,
  ListedResource,
  ListedResourceTemplate,
  ListedTool,
  ProgressUpdate,
  RequestHandler,
  RequestOptions,
} from "./types.ts";
