/**
 * Serves an MCP endpoint on Node: {@linkcode serve} runs a server, {@linkcode toNodeHandler} adds a handler
 * to an existing one.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { toNodeHandler } from "@mooring/mcp/node";
 *
 * const handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }));
 * const server = createServer(toNodeHandler(handler));
 * server.listen(0, "127.0.0.1", () => server.close());
 * ```
 *
 * @module
 */
import type { McpHandlerOptions } from "../handler/types.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import { type FetchHandler, run, type RunningServer } from "./running_server.ts";
import { listen, type NodeHandler, nodeHandler } from "./node_server.ts";
import type { ServeOptions } from "./serve_options.ts";

export type { FetchHandler, RunningServer } from "./running_server.ts";
export type { NodeHandler } from "./node_server.ts";
export type { ServeOptions } from "./serve_options.ts";

/**
 * Serves a dispatcher over HTTP until it is closed or, unless `signals` is off, SIGINT or SIGTERM.
 *
 * @param source The dispatcher: an `McpServer`, a gateway, or an implementation of your own
 * @param options Options for the server, and those of `createMcpHandler`; `path` is `"/mcp"` by default,
 * and `allowedHosts` the loopback names if bound to loopback
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 * @throws {Error} Node's error if it can't listen at the address
 */
export function serve(
  source: Dispatcher,
  options: ServeOptions & McpHandlerOptions = {},
): Promise<RunningServer> {
  return run(listen, source, options);
}

/**
 * Converts a handler to a request listener for `node:http`, Express and similar frameworks. Mount it
 * before any body parser: nothing may read the body before it. The handler's `context` is
 * `{ incoming, outgoing }`.
 *
 * The handler gets a `Request` that reads the body from Node's stream. It supports everything except
 * `bytes()`, and can't be passed to `new Request()` or `fetch`: clone it for these.
 */
export function toNodeHandler(handler: FetchHandler): NodeHandler {
  return nodeHandler(handler, () => {});
}
