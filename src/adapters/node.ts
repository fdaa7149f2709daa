/**
 * Serves an MCP endpoint on Node: {@linkcode serve} runs a server of its own, {@linkcode toNodeHandler}
 * fits a handler into an existing one.
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
 * Serves a dispatcher over HTTP, until it is closed or the process is asked to end.
 *
 * @param source What is served: an `McpServer`, a gateway, or anything else that dispatches
 * @param options Where to listen, how to end, and the options of `createMcpHandler`; `path` is
 * `"/mcp"` by default, and `allowedHosts` the loopback names when bound to loopback
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 * @throws {Error} Node's own error if it can't listen there
 */
export function serve(
  source: Dispatcher,
  options: ServeOptions & McpHandlerOptions = {},
): Promise<RunningServer> {
  return run(listen, source, options);
}

/**
 * Turns a handler into a request listener for `node:http`, Express and the like. In front of it
 * nothing may read the body: mount it before any body parser. The handler's `context` is
 * `{ incoming, outgoing }`.
 *
 * The handler's `Request` is a light one that reads the body from Node's stream. It does all that a
 * request does except `bytes()` and being given to `new Request()` or `fetch`: clone it for these.
 */
export function toNodeHandler(handler: FetchHandler): NodeHandler {
  return nodeHandler(handler, () => {});
}
