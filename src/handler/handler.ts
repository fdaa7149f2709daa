/**
 * Creates handlers.
 *
 * The next step of a call is in `http/gates/order.ts`.
 *
 * @module
 */
import { authenticate } from "../auth/authenticate.ts";
import { authorize } from "../auth/authorize.ts";
import { resourceReply } from "../auth/protected_resource.ts";
import type { ServerCard } from "../discovery/server_card.ts";
import { type HostRequest, Inbound } from "../http/inbound.ts";
import { internalError } from "../http/refusals.ts";
import { accepted, isReply, type Reply } from "../http/reply.ts";
import { complete, respond } from "../http/respond.ts";
import { keepAliveDuring } from "../internal/keep_alive.ts";
import { checkNames } from "../internal/known_names.ts";
import { LongCalls } from "../long_calls/long_calls.ts";
import { isPromise, type MaybePromise, then } from "../internal/types.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import type { Report, Reporter } from "../protocol/reporter.ts";
import { ownerKey, shareKey } from "../sessions/owner.ts";
import { ERAS, Eras } from "./eras.ts";
import { suspendIdleTimeout } from "./idle_timeout.ts";
import { HandlerHost } from "./dispatcher_host.ts";
import { ENDPOINT, type OpenEndpoint } from "./endpoint_of.ts";
import { answerRecords, type HandlerComponents, makeComponents, reporterOf } from "./components.ts";
import { notifySession, sessionsOf } from "./sessions_api.ts";
import { type HandlerSettings, settingsOf } from "./settings.ts";
import { shutDown } from "./shutdown.ts";
import { checkDispatcher, wrongRequest } from "./wiring.ts";
import type { HandlerStats, McpHandler, McpHandlerOptions } from "./types.ts";

/** The default grace period of `close()`, in milliseconds. */
const GRACE_MS = 5_000;

/** The time after the grace period within which `close()` settles, in milliseconds. */
const SETTLE_MS = 1_000;

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
 * A handler writes nothing anywhere: `onEvent` gets the errors that clients aren't told, as
 * `{ type: "error", during, error }`, and all other events. `serve`, `serveStdio` and `mcpWorker` write
 * errors to stderr unless `onEvent` is given.
 *
 * @param dispatcher The server, gateway or other dispatcher to serve
 * @param options Options for the endpoint; each has a default
 * @throws {TypeError} If an option is unknown or has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function createMcpHandler(
  dispatcher: Dispatcher,
  options: McpHandlerOptions = {},
): McpHandler {
  return makeHandler(dispatcher, options);
}

/** An endpoint without a transport: everything behind the gates and authentication. */
export interface Endpoint extends OpenEndpoint {
  /** Closes the endpoint. Closing again does nothing. */
  readonly close: McpHandler["close"];
}

/** Creates an endpoint that serves the eras of a table. */
export function makeEndpoint(
  dispatcher: Dispatcher,
  options: McpHandlerOptions,
  rows: typeof ERAS = ERAS,
  onError?: Report,
): Endpoint {
  const settings = { ...settingsOf(options, rows), onError };
  const { open, close } = prepareEndpoint(dispatcher, settings, rows);
  return { ...open(), close };
}

/** An endpoint that is created when it is used. */
interface PreparedEndpoint {
  /** Returns the endpoint, and creates it at the first call. */
  readonly open: () => OpenEndpoint;
  readonly report: Report;
  readonly close: McpHandler["close"];
}

/**
 * Prepares an endpoint. It is created at its first use, since some hosts allow neither randomness nor
 * timers while a module is loaded. Only one that shares its store must be there for the others from the
 * beginning.
 */
function prepareEndpoint(
  served: Dispatcher,
  given: HandlerSettings,
  rows: typeof ERAS,
): PreparedEndpoint {
  checkDispatcher(served);
  const { dispatcher, settings } = withLongCalls(served, given);
  const reporter = reporterOf(settings);
  const { report } = reporter;
  let opened: OpenEndpoint | undefined;
  const open = (): OpenEndpoint => opened ??= openEndpoint(dispatcher, settings, rows, reporter);
  const { clock, longCalls } = settings;
  const host = new HandlerHost({
    ...{ clock, report, longCalls: longCalls !== undefined },
    answersOnce: answerRecords(settings) !== undefined,
    ...{ opened: () => opened, open },
  });
  if (settings.shared) open();
  const detach = dispatcher.attach?.(host);
  let closed: Promise<void> | undefined;
  const close: McpHandler["close"] = (options = {}) => {
    checkNames("close()", options, { graceMs: true });
    const { graceMs = GRACE_MS } = options;
    return closed ??= keepAliveDuring(graceMs + SETTLE_MS, () => {
      const { components, eras } = open();
      return shutDown(components, eras, host, graceMs).finally(() => detach?.());
    });
  };
  return { open, report, close };
}

/** Wraps the dispatcher where calls that run long are answered early. */
function withLongCalls(dispatcher: Dispatcher, settings: HandlerSettings) {
  const { longCalls, calls, clock } = settings;
  if (longCalls === undefined) return { dispatcher, settings };
  const handOver = new LongCalls(dispatcher, longCalls, clock);
  return { dispatcher: handOver, settings: { ...settings, calls: { ...calls, handOver } } };
}

function openEndpoint(
  dispatcher: Dispatcher,
  settings: HandlerSettings,
  rows: typeof ERAS,
  reporter: Reporter,
): OpenEndpoint {
  const components: HandlerComponents = makeComponents(dispatcher, settings, {
    broadcast: (notification) => eras.broadcast(notification),
    route: (inbound) => route(components, eras, inbound),
  }, reporter);
  const eras: Eras = new Eras(rows, components);
  return { components, eras };
}

/** What a host brings for its handlers. */
export interface HandlerInit extends Pick<HandlerSettings, "ownedRecords"> {
  /** The eras that are served; all when left out. */
  readonly rows?: typeof ERAS;
  /** Called with errors that are not sent to a client. */
  readonly onError?: Report | undefined;
}

/** Creates a handler for a host. */
export function makeHandler(
  dispatcher: Dispatcher,
  options: McpHandlerOptions,
  { rows = ERAS, onError, ownedRecords }: HandlerInit = {},
): McpHandler {
  const settings = { ...settingsOf(options, rows), onError, ownedRecords };
  const { open, report, close } = prepareEndpoint(dispatcher, settings, rows);
  if (settings.authenticate === undefined) report({ type: "anonymous" });
  const fetch = (request: Request, context?: unknown): Promise<Response> => {
    const wrong = wrongRequest(request, context);
    if (wrong === undefined) return answer(open(), new Inbound(request, context), respond);
    report({ type: "error", during: "serving", error: wrong });
    // Node ignores what a listener returns, and ends the process if it rejects.
    return Promise.resolve(new Response(wrong.message, { status: 500 }));
  };
  const components = (): HandlerComponents => open().components;

  return Object.assign(fetch, {
    fetch,
    reply: (source: Request | HostRequest, context?: unknown): Promise<Reply> =>
      answer(open(), new Inbound(source, context), asData),
    sessions: sessionsOf(components),
    notify: notifySession(components),
    stats: () => stats(open()),
    drain: (draining = true) => components().cluster.drain(draining),
    close,
    [Symbol.asyncDispose]: () => close(),
    [ENDPOINT]: open,
  });
}

function asData(reply: Reply): Reply {
  return reply;
}

/**
 * Answers a request. For a POST, only reading the body is always asynchronous; what has arrived in the same
 * turn of the event loop is then answered in a row.
 *
 * @param exit Converts the reply to the host's form
 */
async function answer<T>(
  { components, eras }: OpenEndpoint,
  inbound: Inbound,
  exit: (reply: Reply) => T,
): Promise<T> {
  const { settings, gates, arrived, reporter } = components;
  let reply: Reply | undefined;
  try {
    reply = settings.resource && resourceReply(settings.resource, inbound.source);
    if (reply === undefined && settings.serverCard !== undefined) {
      reply = await cardReply(settings.serverCard, components, inbound);
    }
    if (reply === undefined) {
      const stopped = gates.passHead(inbound);
      reply = isPromise(stopped) ? await stopped : stopped;
    }
    if (reply === undefined && inbound.method === "POST") {
      const body = await gates.readBody(inbound);
      const turn = arrived.next();
      if (turn !== undefined) await turn;
      reply = gates.passBody(inbound, body);
    }
    if (reply === undefined) {
      const served = serve(components, eras, inbound);
      reply = isPromise(served) ? await served : served;
    }
  } catch (error) {
    reply = internalError(error);
  } finally {
    gates.releaseBody(inbound);
  }
  return exit(complete(inbound, reply, settings.gates, reporter));
}

/** Answers a request for the server card, unless the rate limit refuses it. */
function cardReply(
  card: ServerCard,
  { settings, gates }: HandlerComponents,
  inbound: Inbound,
): MaybePromise<Reply | undefined> {
  const reply: unknown = card.reply(inbound.source, settings.gates.path);
  if (reply === undefined) return undefined;
  if (!isReply(reply)) {
    throw new TypeError(`Return a reply or undefined from serverCard.reply: ${typeof reply}`);
  }
  const limited = gates.passRate(inbound);
  return isPromise(limited) ? limited.then((refused) => refused ?? reply) : limited ?? reply;
}

/** Authenticates and answers a request that has passed the gates. */
function serve(components: HandlerComponents, eras: Eras, inbound: Inbound): MaybePromise<Reply> {
  return then(authenticate(inbound, components.auth), (refused) => {
    if (refused !== undefined) return refused;
    components.gates.releaseBody(inbound);
    const reply = route(components, eras, inbound);
    if (inbound.context === undefined) return reply;
    return suspendIdleTimeout(inbound, reply, components.settings.streams.keepAliveMs);
  });
}

/**
 * Answers a request whose principal has been authenticated.
 *
 * @param cancelled Tells whether the client has cancelled the request before it was authorized
 */
export function route(
  { auth, calls: { dispatcher } }: Pick<HandlerComponents, "auth" | "calls">,
  eras: Eras,
  inbound: Inbound,
  cancelled: () => boolean = () => false,
): MaybePromise<Reply> {
  if (inbound.method !== "POST") return answerInEra(eras, inbound);
  inbound.findRoutes((message, principal) => dispatcher.route(message, principal));
  const refused = authorize(inbound, auth);
  if (!isPromise(refused)) return refused ?? answerInEra(eras, inbound);
  return refused.then((refused) =>
    refused ?? (cancelled() ? accepted() : answerInEra(eras, inbound))
  );
}

/** Answers an authorized request. */
function answerInEra(eras: Eras, inbound: Inbound): MaybePromise<Reply> {
  inbound.owner = ownerKey(inbound.principal);
  inbound.share = shareKey(inbound.owner);
  if (inbound.method === "GET") return eras.get(inbound);
  if (inbound.method === "DELETE") return eras.delete(inbound);
  return eras.post(inbound);
}

function stats({ components, eras }: OpenEndpoint): HandlerStats {
  const { sessions, streams, calls, cluster } = components;
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
