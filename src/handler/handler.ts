/**
 * Creates handlers.
 *
 * @module
 */
import { authenticate } from "../auth/authenticate.ts";
import { authorize } from "../auth/authorize.ts";
import { resourceReply } from "../auth/protected_resource.ts";
import { Inbound } from "../http/inbound.ts";
import { internalError } from "../http/refusals.ts";
import type { Reply } from "../http/reply.ts";
import { complete, respond } from "../http/respond.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import { ownerKey } from "../sessions/owner.ts";
import { ERAS, Eras } from "./eras.ts";
import { suspendIdleTimeout } from "./idle_timeout.ts";
import { HandlerHost } from "./dispatcher_host.ts";
import { onNodeMessage } from "./node_messages.ts";
import { type HandlerComponents, makeComponents } from "./components.ts";
import { notifySession, sessionsOf } from "./sessions_api.ts";
import { settingsOf } from "./settings.ts";
import { shutDown } from "./shutdown.ts";
import type { HandlerStats, McpHandler, McpHandlerOptions } from "./types.ts";

/** The default grace period of `close()`, in milliseconds. */
const GRACE_MS = 5_000;

/**
 * Creates a handler: a function from `Request` to `Response` that serves a dispatcher, such as an
 * `McpServer`, over Streamable HTTP (2025-11-25 and 2026-07-28, Streamable HTTP).
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("hello", { description: "Greets." }, () => "Hello!");
 * await using handler = createMcpHandler(server);
 *
 * const response = await handler(
 *   new Request("http://localhost/mcp", {
 *     method: "POST",
 *     headers: { "content-type": "application/json" },
 *     body: JSON.stringify({
 *       jsonrpc: "2.0",
 *       id: 1,
 *       method: "initialize",
 *       params: {
 *         protocolVersion: "2025-11-25",
 *         capabilities: {},
 *         clientInfo: { name: "example", version: "1.0.0" },
 *       },
 *     }),
 *   }),
 * );
 * console.assert(response.headers.has("mcp-session-id"));
 * ```
 *
 * @param dispatcher The server, gateway or other dispatcher to serve
 * @param options Options for the endpoint; each has a default
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function createMcpHandler(
  dispatcher: Dispatcher,
  options: McpHandlerOptions = {},
): McpHandler {
  return makeHandler(dispatcher, options, ERAS);
}

/** Creates a handler that serves the eras of a table. */
export function makeHandler(
  dispatcher: Dispatcher,
  options: McpHandlerOptions,
  rows: typeof ERAS,
): McpHandler {
  const components: HandlerComponents = makeComponents(dispatcher, settingsOf(options, rows), {
    onNodeMessage: (message, from) => onNodeMessage(components, eras, message, from),
    route: (inbound) => route(components, eras, inbound),
  });
  const eras: Eras = new Eras(rows, components);
  if (components.settings.authenticate === undefined) {
    components.reporter.report({ type: "anonymous" });
  }
  const host = new HandlerHost(components, eras);
  const detach = dispatcher.attach?.(host);
  let closed: Promise<void> | undefined;
  const close = ({ graceMs = GRACE_MS }: { readonly graceMs?: number } = {}): Promise<void> =>
    closed ??= shutDown(components, eras, host, graceMs).finally(() => detach?.());
  const fetch = (request: Request, context?: unknown): Promise<Response> =>
    answer(components, eras, new Inbound(request, context), respond);

  return Object.assign(fetch, {
    fetch,
    reply: (request: Request, context?: unknown): Promise<Reply> =>
      answer(components, eras, new Inbound(request, context), asData),
    sessions: sessionsOf(components),
    notify: notifySession(components),
    stats: () => stats(components, eras),
    drain: (draining = true) => components.cluster.drain(draining),
    close,
    [Symbol.asyncDispose]: () => close(),
  });
}

function asData(reply: Reply): Reply {
  return reply;
}

/**
 * Answers a request. For a POST, only reading the body is always asynchronous.
 *
 * @param exit Converts the reply to the host's form
 */
async function answer<T>(
  components: HandlerComponents,
  eras: Eras,
  inbound: Inbound,
  exit: (reply: Reply) => T,
): Promise<T> {
  const { settings, gates, reporter } = components;
  let reply: Reply | undefined;
  try {
    reply = settings.resource && resourceReply(settings.resource, inbound.request);
    if (reply === undefined) {
      const stopped = gates.passHead(inbound);
      reply = isPromise(stopped) ? await stopped : stopped;
    }
    if (reply === undefined && inbound.method === "POST") {
      reply = gates.passBody(inbound, await gates.readBody(inbound));
    }
    if (reply === undefined) {
      const served = serve(components, eras, inbound);
      reply = isPromise(served) ? await served : served;
    }
  } catch (error) {
    reply = internalError(error);
  }
  return exit(complete(inbound, reply, settings.gates, reporter));
}

/** Authenticates and answers a request that has passed the gates. */
function serve(components: HandlerComponents, eras: Eras, inbound: Inbound): MaybePromise<Reply> {
  const refused = authenticate(inbound, components.auth);
  if (isPromise(refused)) {
    return refused.then((refused) => refused ?? serveKnown(components, eras, inbound));
  }
  return refused ?? serveKnown(components, eras, inbound);
}

function serveKnown(
  components: HandlerComponents,
  eras: Eras,
  inbound: Inbound,
): MaybePromise<Reply> {
  const reply = route(components, eras, inbound);
  const { request, context } = inbound;
  if (context === undefined) return reply;
  return suspendIdleTimeout(request, context, reply, components.settings.streams.keepAliveMs);
}

/** Answers a request whose principal has been authenticated. */
function route(components: HandlerComponents, eras: Eras, inbound: Inbound): MaybePromise<Reply> {
  const refused = inbound.method === "POST" ? authorize(inbound, components.auth) : undefined;
  if (isPromise(refused)) return refused.then((refused) => refused ?? answerInEra(eras, inbound));
  return refused ?? answerInEra(eras, inbound);
}

/** Answers an authorized request. */
function answerInEra(eras: Eras, inbound: Inbound): MaybePromise<Reply> {
  inbound.owner = ownerKey(inbound.principal);
  if (inbound.method === "GET") return eras.get(inbound);
  if (inbound.method === "DELETE") return eras.delete(inbound);
  return eras.post(inbound);
}

function stats({ sessions, streams, calls, cluster }: HandlerComponents, eras: Eras): HandlerStats {
  const { unapplied } = cluster.documents;
  return {
    sessions: sessions.store.size,
    streams: streams.slots.taken,
    requests: calls.slots.taken,
    questions: sessions.openQuestions,
    listens: eras.listens,
    ...cluster.draining && { draining: 1 },
    ...unapplied > 0 && { unapplied },
  };
}
