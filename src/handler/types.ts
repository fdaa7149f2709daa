/**
 * Defines the options of `createMcpHandler` and the handler that it returns.
 *
 * @module
 */
import type { LongCallOptions } from "../long_calls/options.ts";
import type { Authorize } from "../auth/authorize.ts";
import type { ProtectedResource } from "../auth/protected_resource.ts";
import type { Store } from "../cluster/types.ts";
import type { ServerCard } from "../discovery/server_card.ts";
import type { GateLimits, GateOptions } from "../http/gates/options.ts";
import type { RateLimiter } from "../http/gates/rate_limit.ts";
import type { HostRequest } from "../http/inbound.ts";
import type { Reply } from "../http/reply.ts";
import type { Clock } from "../internal/clock.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { Notification, Principal } from "../protocol/exchange.ts";
import type { Middleware } from "../protocol/middleware.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";

/** The limits of an endpoint. */
export interface HandlerLimits extends GateLimits {
  /**
   * Sessions in total. Above it, the least recently used idle session is evicted; if none is idle, a new
   * session gets a 503.
   *
   * @default {10000}
   */
  readonly sessions?: number;
  /**
   * Sessions of one principal. Above it, the principal's least recently used idle session is evicted; if
   * none is idle, a new session gets a 503.
   *
   * @default {1000}
   */
  readonly sessionsPerPrincipal?: number;
  /**
   * Bytes of messages that each session keeps for resumption, as UTF-8. A larger message that is not the
   * response to a request is sent to the connected client, but not kept. A response is kept until it is
   * delivered, whatever else the session has, while the two limits below allow it.
   *
   * @default {1048576}
   */
  readonly eventBytes?: number;
  /**
   * Bytes of memory that the messages of all sessions take in this process, for resumption. Above it, the
   * oldest messages of the principal that takes most are dropped. A store that keeps messages elsewhere,
   * such as Redis, only has `eventBytes`.
   *
   * @default {67108864}
   */
  readonly totalEventBytes?: number;
  /**
   * The same for one principal: above it, its oldest messages are dropped. By default a quarter of
   * `totalEventBytes`; without `authenticate`, where everybody is one principal, all of it.
   *
   * @default {16777216}
   */
  readonly eventBytesPerPrincipal?: number;
  /**
   * Open connections of streams. Above it, a GET gets a 503, and the response to a POST is JSON.
   *
   * @default {1000}
   */
  readonly streams?: number;
  /**
   * Open connections of streams of one principal, at all handlers of the store together. Above it, a GET
   * gets a 503, and the response to a POST is JSON.
   *
   * @default {100}
   */
  readonly streamsPerPrincipal?: number;
  /**
   * Running requests. Above it, another request gets a 503. As many notifications may be handled at the
   * same time.
   *
   * @default {1000}
   */
  readonly requests?: number;
  /**
   * Running requests of one principal at all handlers of the store together, also those that no client is
   * connected to. Above it, another request of the principal gets a 503, `initialize` too. The same number
   * of its notifications may be handled at the same time by each handler. By default a tenth of
   * `requests`, but at least 10; without `authenticate`, where everybody is one principal, all of them.
   *
   * @default {100}
   */
  readonly requestsPerPrincipal?: number;
  /**
   * Open `subscriptions/listen` requests. Above it, another one gets a 503.
   *
   * @default {1000}
   */
  readonly listens?: number;
  /**
   * Open `subscriptions/listen` requests of one principal, at all handlers of the store together. Above
   * it, another one gets a 503.
   *
   * @default {50}
   */
  readonly listensPerPrincipal?: number;
  /**
   * Bytes of one result. A larger one becomes an error.
   *
   * @default {4194304}
   */
  readonly resultBytes?: number;
  /**
   * Entries on one page of a list.
   *
   * @default {100}
   */
  readonly page?: number;
  /**
   * Resources to which one session, or one `subscriptions/listen` request, may be subscribed.
   *
   * @default {100}
   */
  readonly subscriptions?: number;
  /**
   * Bytes of the state of one session: all its keys and values, as JSON. `ctx.session.state.set` throws a
   * `RangeError` above it.
   *
   * @default {65536}
   */
  readonly stateBytes?: number;
  /**
   * Calls that are kept after they were answered because they ran long: see `longCalls`. They count until
   * their time is over, running or ended, at all handlers of the store together and with the tasks there.
   * Above it, calls run on without such an answer.
   *
   * @default {1000}
   */
  readonly longCalls?: number;
  /**
   * The same for one principal. By default a tenth of `longCalls`, but at least 10; without `authenticate`,
   * where everybody is one principal, all of them.
   *
   * @default {100}
   */
  readonly longCallsPerPrincipal?: number;
  /**
   * Bytes of the state of one user: all its keys and values, as JSON. `ctx.user.state.set` throws a
   * `RangeError` above it.
   *
   * @default {65536}
   */
  readonly userStateBytes?: number;
  /**
   * Users whose state is kept. For another one, `ctx.user.state.set` throws a `RangeError`. By default
   * 10,000; with a store that other processes can use, which keeps it elsewhere, 1,000,000.
   *
   * @default {10000}
   */
  readonly userStates?: number;
}

/** Options for the state of users. */
export interface UserStateOptions {
  /**
   * Time after its last use at which the state of a user is deleted, in milliseconds. Reading counts as use,
   * as a rule within a tenth of this time.
   *
   * @default {2592000000}
   */
  readonly idleMs?: number;
}

/** The lifetimes of 2025 sessions. */
export interface SessionOptions {
  /**
   * Time after the last use at which a session ends, in milliseconds. A running request or an open stream
   * counts as use.
   *
   * @default {1800000}
   */
  readonly idleMs?: number;
  /**
   * Time after its beginning at which a session ends, in milliseconds.
   *
   * @default {14400000}
   */
  readonly absoluteMs?: number;
}

/** Options for streams. */
export interface StreamOptions {
  /**
   * Time after which the answer to a running request becomes a stream, in milliseconds. At most 500 for
   * clients of 2026-07-28, since only a stream detects that a client disconnected.
   *
   * @default {1000}
   */
  readonly sseAfterMs?: number;
  /**
   * Time between keep-alive comments on an idle stream, in milliseconds.
   *
   * @default {15000}
   */
  readonly keepAliveMs?: number;
  /**
   * Time for which a stream can be resumed after it has ended and was delivered, in milliseconds.
   *
   * @default {60000}
   */
  readonly retainMs?: number;
  /**
   * Time between progress notifications of a silent request with a progress token, in milliseconds; 0 for
   * none.
   *
   * @default {2000}
   */
  readonly progressHeartbeatMs?: number;
  /**
   * Time that clients wait before they reconnect, in milliseconds; sent as `retry`.
   *
   * @default {1000}
   */
  readonly retryMs?: number;
  /**
   * Whether 2026 clients may subscribe to changes with `subscriptions/listen`. Turn it off on hosts that
   * end long responses.
   *
   * @default {true}
   */
  readonly listen?: boolean;
  /**
   * The effect of a second GET stream of a session: `"replace"` closes the first, `"reject"` refuses the
   * second with a 409.
   *
   * @default {"replace"}
   */
  readonly secondGet?: "replace" | "reject";
}

/** Options for requests. */
export interface RequestOptions {
  /**
   * Time limit of a request, in milliseconds; 0 for none. Progress restarts it.
   *
   * @default {0}
   */
  readonly timeoutMs?: number;
  /**
   * Total time limit of a request, in milliseconds; 0 for none. Progress doesn't restart it.
   *
   * @default {0}
   */
  readonly maxTimeoutMs?: number;
  /**
   * Time limit for the client's response to a question (elicitation, sampling or roots), in milliseconds;
   * also the time for which the state of a 2026 request is valid.
   *
   * @default {300000}
   */
  readonly askTimeoutMs?: number;
  /**
   * Secrets of 32 bytes or more that encrypt the `requestState` of 2026 requests. The first encrypts, all
   * decrypt: to rotate, first add the new secret at the end at all nodes, then move it to the front.
   * Handlers that share a store need the same secrets. Random when left out, but required if the store
   * is shared with other processes.
   */
  readonly stateKeys?: readonly (string | Uint8Array)[];
}

/** Options for authentication and authorization. */
export interface AccessOptions {
  /**
   * Authenticates a request: returns its sender, or throws `Unauthorized` (401), `Forbidden` (403) or
   * `Unavailable` (503). Any other result or error is a 500. Called for every POST, GET and DELETE. When
   * left out, all requests have the same anonymous principal. For tokens of an authorization server, use
   * `jwt` or `introspection` of `@mooring/mcp/auth`. `context` is the value that the host passed beside
   * the request.
   */
  readonly authenticate?: (request: Request, context: unknown) => MaybePromise<Principal>;
  /**
   * Decides whether a principal may send a request. For `false`, the response is that of an unknown tool,
   * prompt, resource or method, and lists leave the item out. To filter a list, this is called for each of
   * its items with only the name or URI: `{ method: "tools/call", params: { name } }`, the same with
   * `prompts/get`, and `{ method: "resources/read", params: { uri } }`, where `uri` is the template as it
   * is written for a resource template. So don't decide by the arguments. A subscription to a resource,
   * and a completion for a prompt or resource, are also decided by the item's own request. It is not
   * called for notifications and responses. Everything is allowed when left out.
   *
   * @example
   * ```ts
   * import { createMcpHandler, McpServer } from "@mooring/mcp";
   * import { connect } from "@mooring/mcp/testing";
   *
   * const server = new McpServer({ name: "demo", version: "1.0.0" });
   * server.registerTool("look", {}, () => "Looked");
   * server.registerTool("purge", {}, () => "Purged");
   *
   * await using handler = createMcpHandler(server, {
   *   authenticate: () => ({ id: "ada", scopes: ["user"] }),
   *   authorize: ({ scopes }, { method, params }) =>
   *     method !== "tools/call" || params.name !== "purge" || scopes?.includes("admin") === true,
   * });
   * await using client = await connect(handler);
   * const tools = await client.listTools();
   * console.assert(tools.length === 1 && tools[0]?.name === "look");
   * ```
   */
  readonly authorize?: Authorize;
  /**
   * Limits requests after authentication, for every HTTP method; a refused request gets a 429. A batch
   * counts as one request. `tokenBucket` creates one, whose `key` gets the principal.
   */
  readonly principalRateLimit?: RateLimiter;
  /**
   * The protected resource metadata (RFC 9728), from `protectedResource` of `@mooring/mcp/auth`. It is
   * served at its well-known path, before all gates, and named in every challenge.
   */
  readonly resource?: ProtectedResource;
  /**
   * Publishes a server card, from `serverCard` of `@mooring/mcp/discovery`: it is served to everybody,
   * with the endpoint's path and `/server-card`, before all gates but `rateLimit`. Experimental
   * (SEP-2127).
   */
  readonly serverCard?: ServerCard;
}

/** Options for handlers that share a store with other processes. */
export interface ClusterOptions {
  /**
   * Secrets of 32 bytes or more that protect messages between nodes, and what a shared store holds. The
   * first signs and encrypts, all verify and decrypt: to rotate, first add the new secret at the end at all
   * nodes, then move it to the front, and keep the old one for as long as what it has encrypted. Derived
   * from `requests.stateKeys` when left out.
   */
  readonly keys?: readonly (string | Uint8Array)[];
}

/** Options for events. */
export interface EventOptions {
  /**
   * Returns the name of a principal in events. `hashedPrincipals()` of `@mooring/mcp/audit` creates one
   * that names no user. MUST return the same name for the same principal, and not throw.
   *
   * @default The principal's id
   */
  readonly principalName?: (principal: Principal) => string;
  /**
   * The name of this node in events, on the operator's page and in metrics, of 1 to 100 characters; give each
   * node of a cluster another one.
   *
   * @default A random id
   */
  readonly nodeName?: string;
  /**
   * The sender's address in the event `refused`: whole, `"short"` (192.0.2.0/24, 2001:db8:0::/48), none, or
   * what a function returns, which gets the other end of the connection and the request. Behind a proxy that
   * end is the proxy: return an address from the header that it sets. `hashedAddresses()` of
   * `@mooring/mcp/audit` creates one that tells senders apart and names none. MUST NOT throw.
   *
   * @default {"full"}
   */
  readonly address?:
    | "full"
    | "short"
    | "none"
    | ((address: string | undefined, request: Request) => string | undefined);
}

/** Options for {@linkcode createMcpHandler}. */
export interface McpHandlerOptions extends GateOptions, AccessOptions {
  /** The protocol versions to serve. All when left out. */
  readonly versions?: readonly ProtocolVersion[];
  /** The limits. */
  readonly limits?: HandlerLimits;
  /** The lifetimes of 2025 sessions; `false` serves 2025 clients without sessions. */
  readonly sessions?: false | SessionOptions;
  /** Options for the state of users, `ctx.user.state`. */
  readonly userState?: UserStateOptions;
  /** Options for streams. */
  readonly streams?: StreamOptions;
  /** Options for requests. */
  readonly requests?: RequestOptions;
  /**
   * Answers tool calls that run long before their clients give up, with a handle; the tool runs on, and the
   * model gets its result with the tool `wait_for_result`, which is added to lists. `{}` for the defaults.
   * Off when left out.
   */
  readonly longCalls?: false | LongCallOptions;
  /**
   * The store of sessions and streams, for handlers that share them; memory of its own when left out.
   *
   * @throws {TypeError} If the store lacks `connect`
   */
  readonly store?: Store;
  /** Options for handlers that share a store with other processes. */
  readonly cluster?: ClusterOptions;
  /**
   * Functions that wrap every request, the first outermost: see {@linkcode Middleware}. They run after
   * authentication, `authorize` and the scopes of tools, and not for a request that is hidden from its
   * principal. Notifications don't pass them.
   */
  readonly middleware?: readonly Middleware[];
  /** Options for events. */
  readonly events?: EventOptions;
  /** Called with each event. MUST NOT throw; an error that it throws is ignored. */
  readonly onEvent?: (event: McpEvent) => void;
  /** The source of time; the system clock when left out. */
  readonly clock?: Clock;
}

/** The current numbers of what is open or running at an endpoint. */
export interface HandlerStats {
  /** Sessions. */
  readonly sessions: number;
  /** Open connections of streams. */
  readonly streams: number;
  /** Running requests. */
  readonly requests: number;
  /** Questions to clients that wait for a response. */
  readonly questions: number;
  /** Open `subscriptions/listen` requests. */
  readonly listens: number;
  /** 1 while new sessions are refused, on every node; absent otherwise. */
  readonly draining?: number;
  /** Shared documents that this node can't apply, or has not applied yet; absent if there are none. */
  readonly unapplied?: number;
}

/** The sessions of an endpoint. */
export interface HandlerSessions {
  /** The number of sessions. */
  readonly size: number;
  /**
   * Begins a session without a handshake, to send messages to a client of the application's own. The
   * first authenticated principal that uses it becomes its owner.
   *
   * @returns The session's id: a secret, for that client only
   * @throws {Error} If the limits allow no more sessions, or the endpoint drains
   */
  open(): Promise<string>;
  /** Ends a session. Returns `false` if there is none. */
  end(sessionId: string): Promise<boolean>;
}

/** A handler: a function from `Request` to `Response`, with methods to manage the endpoint. */
export interface McpHandler extends AsyncDisposable {
  /**
   * Answers a request. `context` is passed to `authenticate` and the rate limiters. The
   * response is an instance of the global `Response` at that moment.
   */
  (request: Request, context?: unknown): Promise<Response>;
  /** The same function, for hosts that need an object with `fetch`. */
  readonly fetch: (request: Request, context?: unknown) => Promise<Response>;
  /**
   * Answers a request as data, for hosts that write text without a `Response`, and need no `Request`.
   * Header names are in lower case.
   */
  readonly reply: (request: Request | HostRequest, context?: unknown) => Promise<Reply>;
  /** The sessions. */
  readonly sessions: HandlerSessions;
  /**
   * Sends a notification on a session's server-to-client stream: now, or when the client opens it.
   *
   * @returns `false` if there is no such session
   * @throws {TypeError} If the method is empty or the parameters are not an object
   */
  notify(sessionId: string, notification: Notification): Promise<boolean>;
  /** Returns the current numbers of sessions, streams, requests, questions and listens. */
  stats(): HandlerStats;
  /**
   * Drains the endpoint: every handler with the same store refuses new sessions, also handlers that join
   * later, until `drain(false)`. Existing sessions continue.
   *
   * @throws {TypeError} If `draining` is not a boolean
   */
  drain(draining?: boolean): Promise<void>;
  /**
   * Closes the handler: refuses new requests, lets running ones finish for `graceMs` milliseconds (5,000
   * when left out), then cancels them and ends all streams. Closing again does nothing.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}
