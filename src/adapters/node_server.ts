/**
 * Runs a server of `node:http`, which Deno and Bun have too.
 *
 * @module
 */
import { getRequestListener, RequestError } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Server } from "node:net";
import type { FetchHandler, Listener, ListenInit } from "./running_server.ts";
import { BAD_REQUEST, badRequest, internalError } from "./error_responses.ts";
import { keepBodyReadBefore, wholeUrl } from "./framework_request.ts";
import { NodeRequest } from "./node_request.ts";
import { sendReply, sendResponse } from "./node_send.ts";
import { bareHostname } from "./serve_options.ts";

/** A request listener of `node:http`, which is also a handler of Express and similar frameworks. */
export type NodeHandler = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/**
 * The time within which a request's headers must arrive, in milliseconds. Neither this nor the next limit
 * includes the response: a stream may stay open without limit.
 */
const HEADERS_TIMEOUT_MS = 30_000;

/** The time within which a whole request must arrive, in milliseconds. */
const REQUEST_TIMEOUT_MS = 60_000;

/**
 * The time for which an idle connection is kept open, in milliseconds. Proxies commonly keep theirs for a
 * minute: if the server closes first, they send requests on closed connections.
 */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;

/** Converts a handler to a request listener; calls `failed` with errors outside of the handler. */
export function nodeHandler(handler: FetchHandler, failed: (error: unknown) => void): NodeHandler {
  // A function or proxy around a handler may have its members, but may refuse what they would answer.
  if (handler.fetch === handler && handler.reply !== undefined) {
    return replyListener(handler.reply, failed);
  }
  return fetchListener(handler, failed);
}

/** Returns a listener for a handler that answers with data: neither a `Request` nor a `Response` is made. */
function replyListener(
  reply: NonNullable<FetchHandler["reply"]>,
  failed: (error: unknown) => void,
): NodeHandler {
  return (incoming, outgoing) => {
    let source: NodeRequest;
    keepBodyReadBefore(incoming);
    try {
      source = new NodeRequest(incoming, outgoing);
    } catch {
      void sendReply(BAD_REQUEST, incoming, outgoing);
      return;
    }
    reply(source, { incoming, outgoing })
      .then((reply) => sendReply(reply, incoming, outgoing))
      .catch((error) => {
        failed(error);
        outgoing.destroy();
      });
  };
}

/** Returns a listener for any other function from `Request` to `Response`. */
function fetchListener(handler: FetchHandler, failed: (error: unknown) => void): NodeHandler {
  const listener = getRequestListener((request, bindings) => {
    // The listener is only typed for node:http, so these are never of HTTP/2.
    const { outgoing } = bindings as NodeBindings;
    sendAnswerOf(handler, request, bindings as NodeBindings, failed).catch((error) => {
      failed(error);
      outgoing.destroy();
    });
    // Not a promise: the response is written as soon as it is known, without the listener.
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
    const { url } = incoming;
    keepBodyReadBefore(incoming);
    incoming.url = wholeUrl(incoming);
    // The listener takes the URL before it returns.
    const handled = listener(incoming, outgoing);
    incoming.url = url;
    handled.catch((error) => {
      failed(error);
      outgoing.destroy();
    });
  };
}

/** Writes the response of a handler; 500 if it fails. */
async function sendAnswerOf(
  handler: FetchHandler,
  request: Request,
  bindings: NodeBindings,
  failed: (error: unknown) => void,
): Promise<void> {
  let response: Response;
  try {
    response = await handler(request, bindings);
  } catch (error) {
    failed(error);
    response = internalError();
  }
  await sendResponse(response, bindings.incoming, bindings.outgoing);
}

interface NodeBindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

/**
 * Starts a server of `node:http` for any function from request to response, with the limits of
 * `serve`. It neither stops by itself nor closes a handler.
 *
 * @throws {Error} Node's error if it can't listen at the address
 *
 * @example
 * ```ts
 * import { listen } from "@mooring/mcp/node";
 *
 * const listener = await listen({
 *   hostname: "127.0.0.1",
 *   port: 0,
 *   fetch: () => Promise.resolve(new Response("Hello")),
 *   failed: (error) => console.error(error),
 * });
 * const response = await fetch(`http://127.0.0.1:${listener.port}/`);
 * console.assert(await response.text() === "Hello");
 * await listener.stop();
 * ```
 */
export async function listen(
  { hostname, port, fd, reusePort = false, fetch, failed }: ListenInit,
): Promise<Listener> {
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  }, nodeHandler(fetch, failed));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  const at = fd === undefined ? { port, host: bareHostname(hostname), reusePort } : { fd };
  server.listen(at, resolve);
  await promise;
  server.off("error", reject);
  // A connection that can't be accepted, for example without free file descriptors, must not end the process.
  server.on("error", failed);
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address : undefined;
  return {
    port: bound?.port ?? port,
    address: bound?.address,
    handOver() {
      server.prependListener("request", (_incoming, outgoing) => outgoing.shouldKeepAlive = false);
      // Its own close() closes idle connections too, on which a request may be on its way.
      Server.prototype.close.call(server);
    },
    stop: () => new Promise((stopped) => server.close(() => stopped())),
    kill: () => server.closeAllConnections(),
  };
}
