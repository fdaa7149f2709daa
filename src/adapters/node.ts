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
import { getRequestListener, RequestError } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { McpHandlerOptions } from "../handler/types.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import { type Fetch, type Listener, type ListenInit, run, type RunningServer } from "./drain.ts";
import { badRequest, internalError } from "./failure.ts";
import { sendResponse } from "./node_response.ts";
import { bareHostname, type ServeOptions } from "./serve_options.ts";

export type { Fetch, RunningServer } from "./drain.ts";
export type { ServeOptions } from "./serve_options.ts";

/** A listener for the requests of `node:http`, also what Express and its like call a handler. */
export type NodeHandler = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/**
 * How long a request's headers may take to arrive, in milliseconds. Neither this limit nor the next
 * one counts the time that an answer takes: a stream may be open for ever.
 */
const HEADERS_TIMEOUT_MS = 30_000;

/** How long a whole request may take to arrive, in milliseconds. */
const REQUEST_TIMEOUT_MS = 60_000;

/**
 * How long a connection is kept for the next request, in milliseconds. Proxies commonly keep theirs
 * for a minute: a server that closes first makes them send requests into closed connections.
 */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;

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
export function toNodeHandler(handler: Fetch): NodeHandler {
  return nodeHandler(handler, () => {});
}

function nodeHandler(handler: Fetch, failed: (error: unknown) => void): NodeHandler {
  const listener = getRequestListener(async (request, bindings) => {
    // HTTP/2 never comes here: the listener is typed for node:http.
    const { incoming, outgoing } = bindings as NodeBindings;
    const response = await handler(request, bindings);
    try {
      await sendResponse(response, incoming, outgoing);
    } catch (error) {
      failed(error);
      outgoing.destroy();
    }
    return RESPONSE_ALREADY_SENT;
  }, {
    overrideGlobalObjects: false,
    errorHandler(error) {
      if (error instanceof RequestError) return badRequest();
      failed(error);
      return internalError();
    },
  });
  return (incoming, outgoing) => {
    listener(incoming, outgoing).catch((error) => {
      failed(error);
      outgoing.destroy();
    });
  };
}

interface NodeBindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

async function listen({ hostname, port, fetch, failed }: ListenInit): Promise<Listener> {
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  }, nodeHandler(fetch, failed));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, bareHostname(hostname), resolve);
  await promise;
  server.off("error", reject);
  // A connection that can't be accepted, for want of file descriptors say, must not end the process.
  server.on("error", failed);
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    stop: () => new Promise((stopped) => server.close(() => stopped())),
    kill: () => server.closeAllConnections(),
  };
}
