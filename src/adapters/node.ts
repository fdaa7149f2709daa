/**
 * Serves an MCP endpoint on Node: {@linkcode serve} runs a server, {@linkcode toNodeHandler} adds a handler
 * to an existing one, {@linkcode fromNode} gives it the principal that the app has authenticated.
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
import type { IncomingMessage } from "node:http";
import { readsHead } from "../auth/authenticate.ts";
import type { McpHandlerOptions } from "../handler/types.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Dispatcher, Principal } from "../protocol/exchange.ts";
import { checkPick, required } from "./app_principal.ts";
import { type FetchHandler, run, type RunningServer } from "./running_server.ts";
import { listen, type NodeHandler, nodeHandler } from "./node_server.ts";
import type { ServeOptions } from "./serve_options.ts";

export type { LogOptions } from "./error_log.ts";
export type { FetchHandler, Listener, ListenInit, RunningServer } from "./running_server.ts";
export { listen, type NodeHandler } from "./node_server.ts";
export type { ServeOptions } from "./serve_options.ts";

/**
 * Serves a dispatcher over HTTP until it is closed or, unless `signals` is off, SIGINT or SIGTERM.
 *
 * @param source The dispatcher: an `McpServer`, a gateway, or an implementation of your own
 * @param options Options for the server, and those of `createMcpHandler`; `path` is `"/mcp"` by default,
 * and `allowedHosts` the loopback names if bound to loopback
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 * @throws {Error} If it can't listen at the address: says what to do, and has the `code` of Node's error,
 * such as `EADDRINUSE`
 */
export function serve(
  source: Dispatcher,
  options: ServeOptions & McpHandlerOptions = {},
): Promise<RunningServer> {
  return run(listen, source, options);
}

/**
 * Converts a handler to a request listener for `node:http`, Express, Fastify and similar frameworks. The
 * handler's `context` is `{ incoming, outgoing }`, the request and response of Node or of the framework.
 *
 * Below a router of Express (`app.use("/api", …)`) the handler gets the whole path. A body that a parser
 * such as `express.json()` has read already is taken from `incoming.rawBody` or `incoming.body`; mounted
 * before the parser, the handler can limit the body while it arrives. Compression leaves streams as they are.
 * HTTP/2 isn't supported: let a proxy end it.
 *
 * A handler of `createMcpHandler` reads Node's request itself. A `Request` is only made for functions of
 * yours that take one, such as `authenticate`: without the body, which has been read, and with the headers
 * that the framework has left in `incoming.headers`.
 *
 * Any other handler gets a `Request` of `@hono/node-server`, which reads the body from Node's stream. It
 * supports everything except `bytes()`, and can't be passed to `new Request()` or `fetch`: clone it for
 * these.
 */
export function toNodeHandler(handler: FetchHandler): NodeHandler {
  return nodeHandler(handler, () => {});
}

/**
 * Creates an `authenticate` for a handler that is mounted with {@linkcode toNodeHandler}: the principal is
 * the one that the app's middleware has authenticated. Without one the response is a 401.
 *
 * @example
 * ```ts
 * import type { IncomingMessage } from "node:http";
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { fromNode } from "@mooring/mcp/node";
 *
 * interface AppRequest extends IncomingMessage {
 *   user?: { email: string };
 * }
 *
 * createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   authenticate: fromNode(({ user }: AppRequest) => user && { id: user.email }),
 * });
 * ```
 *
 * @param pick Returns the principal from the request of Node or of the framework
 * @throws {TypeError} If `pick` is not a function
 */
export function fromNode<I extends IncomingMessage = IncomingMessage>(
  pick: (incoming: I) => MaybePromise<Principal | undefined>,
): NonNullable<McpHandlerOptions["authenticate"]> {
  checkPick(pick, "Node's request");
  return readsHead((_request, context) => {
    if (!isNodeContext(context)) {
      throw new TypeError("Mount the handler with toNodeHandler(): fromNode() needs its context");
    }
    // The caller declares the type of the framework's request; only `pick` relies on it.
    return required(pick(context.incoming as I));
  });
}

function isNodeContext(context: unknown): context is { readonly incoming: IncomingMessage } {
  return typeof context === "object" && context !== null && "incoming" in context &&
    typeof context.incoming === "object";
}
