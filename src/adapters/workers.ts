/**
 * Serves an MCP endpoint on Cloudflare Workers. Clients of 2026-07-28 need no sessions, and any isolate
 * answers them; a session of an earlier client is a Durable Object of its own, so that it outlives the
 * isolate, and its streams, questions and cancellations meet where they belong.
 *
 * @example
 * ```ts
 * import { McpServer } from "@mooring/mcp";
 * import { mcpWorker } from "@mooring/mcp/workers";
 *
 * interface Env {
 *   readonly STATE_KEY: string;
 * }
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("hello", { description: "Greets." }, () => "Hello!");
 *
 * const worker = mcpWorker<Env>(server, (env) => ({
 *   path: "/mcp",
 *   requests: { stateKeys: [env.STATE_KEY] },
 * }));
 *
 * export const McpSession = worker.McpSession; // The class of the sessions: see docs/workers.md
 * export default worker;
 * ```
 *
 * @module
 */
import { ERAS } from "../handler/eras.ts";
import { makeHandler } from "../handler/handler.ts";
import { checkOptionNames, OPTION_NAMES, type OptionNames } from "../handler/option_names.ts";
import type { HandlerLimits, McpHandler, McpHandlerOptions } from "../handler/types.ts";
import type { Dispatcher, Notification } from "../protocol/exchange.ts";
import { isVersion, VERSIONS } from "../protocol/versions.ts";
import { type ErrorLog, errorLogFor, type LogOptions } from "./error_log.ts";
import { SignedIds } from "./workers_ids.ts";
import { operationRequest, routeToObjects } from "./workers_routing.ts";
import { UserObjects } from "./workers_user_state.ts";
import { SessionObject } from "./workers_session.ts";
import type { DurableNamespace, DurableState, WorkerContext } from "./workers_types.ts";

export type { LogOptions } from "./error_log.ts";
export { McpRecords, recordsIn } from "./workers_records.ts";
export type {
  DurableId,
  DurableNamespace,
  DurableState,
  DurableStorage,
  DurableStub,
  WorkerContext,
} from "./workers_types.ts";
export type { Sql, SqlValue } from "../sql/sql.ts";

/** The limits of a Worker: no object knows how many sessions or users there are. */
export type McpWorkerLimits = Omit<
  HandlerLimits,
  "sessions" | "sessionsPerPrincipal" | "userStates"
>;

/** Options for {@linkcode mcpWorker}: those of `createMcpHandler` that a Worker can have, and its binding. */
export interface McpWorkerOptions
  extends LogOptions, Omit<McpHandlerOptions, "store" | "cluster" | "clock" | "limits"> {
  /** The limits. Those on what runs hold in each isolate, and in each session's object. */
  readonly limits?: McpWorkerLimits;
  /**
   * The name of the binding to the Durable Objects that hold sessions, and the state of users. Not needed
   * without both, as with `sessions: false`, or if only 2026-07-28 is served.
   *
   * @default {"MCP_SESSION"}
   */
  readonly binding?: string;
}

/** The value that `authenticate` and the rate limiters get beside a request to a Worker. */
export interface McpWorkerContext<Env = unknown> {
  /** The bindings. */
  readonly env: Env;
  /** The context of the request. */
  readonly ctx: WorkerContext | undefined;
}

/** The Durable Object of a session, or of the state of a user. */
export interface McpSessionObject {
  /** Answers a request that the Worker has authenticated. */
  fetch(request: Request): Promise<Response>;
  /** Ends the session, or deletes the state, if it has expired. */
  alarm(): Promise<void>;
}

/** A Worker that serves MCP: its default export. */
export interface McpWorker<Env = unknown> {
  /** Answers a request. */
  readonly fetch: (request: Request, env: Env, ctx?: WorkerContext) => Promise<Response>;
  /** The class of the Durable Objects that hold sessions: export it under the name in the configuration. */
  readonly McpSession: new (state: DurableState, env: Env) => McpSessionObject;
  /**
   * Sends a notification on a session's server-to-client stream: now, or when the client opens it.
   *
   * @returns `false` if there is no such session
   */
  notify(env: Env, sessionId: string, notification: Notification): Promise<boolean>;
  /** Ends a session. Returns `false` if there is none. */
  end(env: Env, sessionId: string): Promise<boolean>;
}

/** What a Worker needs for the requests with its bindings. */
interface Front {
  readonly handler: McpHandler;
  /** The sessions, if there are any. */
  readonly objects: { readonly ids: SignedIds; readonly namespace: DurableNamespace } | undefined;
}

/**
 * Creates a Worker. Nothing happens before its first request, so call it at module scope.
 *
 * @param source The server, which all sessions in an isolate then share, or a function that makes one for
 * each session, and one for the requests without a session
 * @param options Options for the endpoint, or a function that returns them from the bindings.
 * `requests.stateKeys` is required where sessions are served
 * @throws {TypeError} If `source` is neither; at the first request, if an option is unknown, or a Worker
 * doesn't honour it
 */
export function mcpWorker<Env = unknown>(
  source: Dispatcher | ((env: Env) => Dispatcher),
  options: McpWorkerOptions | ((env: Env) => McpWorkerOptions) = {},
): McpWorker<Env> {
  if (typeof source !== "function" && typeof source?.route !== "function") {
    throw new TypeError(`Give a server, or a function that returns one: ${typeof source}`);
  }
  const serverFor = (env: Env): Dispatcher => typeof source === "function" ? source(env) : source;
  const optionsFor = once((env: Env) => typeof options === "function" ? options(env) : options);
  const logFor = once((env: Env) => errorLogFor(optionsFor(env)));
  const frontFor = once((env: Env) => frontOf(serverFor(env), optionsFor(env), env, logFor(env)));
  const operate = async (
    env: Env,
    session: string,
    operation: "notify" | "end",
    body?: unknown,
  ): Promise<boolean> => {
    const { objects } = frontFor(env);
    if (objects === undefined || !await objects.ids.verify(session)) return false;
    const { namespace } = objects;
    const stub = namespace.get(namespace.idFromName(session));
    return await (await stub.fetch(operationRequest(session, operation, body))).json() === true;
  };
  return {
    fetch: async (request, env, ctx) => await frontFor(env).handler(request, { env, ctx }),
    McpSession: class McpSession extends SessionObject {
      constructor(state: DurableState, env: Env) {
        const { binding, log: _log, ...options } = optionsFor(env);
        const users = usersIn(env, binding);
        super(state, env, { dispatcher: serverFor(env), options, users, log: logFor(env) });
      }
    },
    notify: (env, session, notification) => operate(env, session, "notify", notification),
    end: (env, session) => operate(env, session, "end"),
  };
}

/** Calls a function once for each set of bindings: an isolate has one. */
function once<Env, Value>(make: (env: Env) => Value): (env: Env) => Value {
  let last: { readonly env: Env; readonly value: Value } | undefined;
  return (env) => {
    if (last === undefined || last.env !== env) last = { env, value: make(env) };
    return last.value;
  };
}

const {
  store: _store,
  cluster: _cluster,
  clock: _clock,
  // A Worker ends what a request runs with its response.
  longCalls: _longCalls,
  limits,
  ...others
} = OPTION_NAMES;
const {
  sessions: _sessions,
  sessionsPerPrincipal: _sessionsPerPrincipal,
  longCalls: _mostLongCalls,
  longCallsPerPrincipal: _mostLongCallsPerPrincipal,
  userStates: _userStates,
  ...ownLimits
} = limits;
/** The options that a Worker honours. */
const HONOURED: OptionNames = { ...others, limits: ownLimits };

const BINDING = "MCP_SESSION";

/** Returns a binding to Durable Objects, if there is one of that name. */
function namespaceIn(env: unknown, binding: string): DurableNamespace | undefined {
  // The bindings have any type.
  const found = (env as Record<string, DurableNamespace | undefined> | undefined)?.[binding];
  return typeof found?.idFromName === "function" ? found : undefined;
}

/** Returns what keeps the state of users, which says what is missing when it is used. */
function usersIn(env: unknown, binding = BINDING): UserObjects {
  return new UserObjects(() => {
    const namespace = namespaceIn(env, binding);
    if (namespace !== undefined) return namespace;
    throw new TypeError(
      `Bind the Durable Objects that keep ctx.user.state, as for sessions: no binding "${binding}"`,
    );
  });
}

function frontOf(
  dispatcher: Dispatcher,
  given: McpWorkerOptions,
  env: unknown,
  log: ErrorLog | undefined,
): Front {
  const { binding = BINDING, log: _log, ...options } = given;
  checkOptionNames(options, "a Worker", HONOURED, ["binding", "log"]);
  const { versions, sessions, requests: { stateKeys = [] } = {} } = options;
  const legacy = (versions ?? Object.keys(VERSIONS)).filter(isVersion)
    .some((version) => VERSIONS[version].era === "2025");
  const init = { onError: log?.report, ownedRecords: usersIn(env, binding) };
  if (sessions === false || !legacy) {
    return { handler: makeHandler(dispatcher, options, init), objects: undefined };
  }
  if (stateKeys.length === 0) {
    throw new TypeError(
      'Give "requests.stateKeys", from a secret of the Worker, or set "sessions" to false',
    );
  }
  const namespace = namespaceIn(env, binding);
  if (namespace === undefined) {
    throw new TypeError(
      `Bind the Durable Objects of sessions, or set "sessions" to false: no binding "${binding}"`,
    );
  }
  const ids = new SignedIds(stateKeys);
  const rows: typeof ERAS = { ...ERAS, "2025": () => routeToObjects(ids, namespace) };
  return {
    handler: makeHandler(dispatcher, options, { ...init, rows }),
    objects: { ids, namespace },
  };
}
