/**
 * A server of `node:http`, which Deno and Bun have, too.
 *
 * @module
 */
import { getRequestListener, RequestError } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { FetchHandler, Listener, ListenInit } from "./running_server.ts";
import { badRequest, internalError } from "./error_responses.ts";
import { sendReply, sendResponse } from "./node_send.ts";
import { bareHostname } from "./serve_options.ts";

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

/** Turns a handler into a listener; `failed` is told of what fails outside of any answer. */
export function nodeHandler(handler: FetchHandler, failed: (error: unknown) => void): NodeHandler {
  const listener = getRequestListener(async (request, bindings) => {
    // HTTP/2 never comes here: the listener is typed for node:http.
    const { incoming, outgoing } = bindings as NodeBindings;
    const sent = handler.reply === undefined
      ? sendResponse(await handler(request, bindings), incoming, outgoing)
      : sendReply(await handler.reply(request, bindings), incoming, outgoing);
    await sent.catch((error) => {
      failed(error);
      outgoing.destroy();
    });
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

/**
 * Listens.
 *
 * @throws {Error} Node's own error if it can't
 */
export async function listen({ hostname, port, fetch, failed }: ListenInit): Promise<Listener> {
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
