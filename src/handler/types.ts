/**
 * The public face of an endpoint: its options, and the function that `createMcpHandler` returns.
 *
 * @module
 */
import type { Authorize } from "../auth/authorize.ts";
import type { ProtectedResource } from "../auth/protected_resource.ts";
import type { Store } from "../cluster/types.ts";
import type { GateLimits, GateOptions } from "../http/gates/options.ts";
import type { RateLimiter } from "../http/gates/rate_limit.ts";
import type { Reply } from "../http/reply.ts";
import type { Clock } from "../internal/clock.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { Notification, Principal } from "../protocol/exchange.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";

/** How many of everything there may be, and how large. */
export interface HandlerLimits extends GateLimits {
  /**
   * Sessions in all.
   *
   * @default {10000}
   */
  readonly sessions?: number;
  /**
   * Sessions of one principal.
   *
   * @default {1000}
   */
  readonly sessionsPerPrincipal?: number;
  /**
   * Bytes of messages kept for resumption, for each session.
   *
   * @default {1048576}
   */
  readonly eventBytes?: number;
  /**
   * Connections of streams that are open at a time.
   *
   * @default {1000}
   */
  readonly streams?: number;
  /**
   * Connections of streams that one principal has open at a time.
   *
   * @default {100}
   */
  readonly streamsPerPrincipal?: number;
  /**
   * Requests that run at a time.
   *
   * @default {1000}
   */
  readonly requests?: number;
  /**
   * Open `subscriptions/listen` requests.
   *
   * @default {1000}
   */
  readonly listens?: number;
  /**
   * Open `subscriptions/listen` requests of one principal.
   *
   * @default {50}
   */
  readonly listensPerPrincipal?: number;
  /**
   * Bytes of one result.
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
   * Resources that one session, or one `subscriptions/listen` request, may be subscribed to.
   *
   * @default {100}
   */
  readonly subscriptions?: number;
}

/** How long sessions last. */
export interface SessionOptions {
  /**
   * How long a session lasts after its last use, in milliseconds. A running request or an open stream counts as use.
   *
   * @default {1800000}
   */
  readonly idleMs?: number;
  /**
   * How long a session lasts after it began, in milliseconds.
   *
   * @default {14400000}
   */
  readonly absoluteMs?: number;
}

/** How streams behave. */
export interface StreamOptions {
  /**
   * How long a request may run before its answer becomes a stream, in milliseconds. At most 500 for
   * clients of 2026-07-28: only a stream shows that they disconnected.
   *
   * @default {1000}
   */
  readonly sseAfterMs?: number;
  /**
   * How often a quiet stream gets a comment, in milliseconds.
   *
   * @default {15000}
   */
  readonly keepAliveMs?: number;
  /**
   * How long a stream is kept after it has ended and was delivered, in milliseconds.
   *
   * @default {60000}
   */
  readonly retainMs?: number;
  /**
   * How often a silent request with a progress token reports that it is still running, in
   * milliseconds; 0 turns it off.
   *
   * @default {2000}
   */
  readonly progressHeartbeatMs?: number;
  /**
   * How long clients are told to wait before they reconnect, in milliseconds.
   *
   * @default {1000}
   */
  readonly retryMs?: number;
  /**
   * Whether 2026 clients may subscribe to changes. Turn it off on hosts that end long responses.
   *
   * @default {true}
   */
  readonly listen?: boolean;
  /**
   * What happens to a session's open GET stream when the client opens another: `"replace"` ends it,
   * `"reject"` refuses the other with a 409.
   *
   * @default {"replace"}
   */
  readonly secondGet?: "replace" | "reject";
}

/** How requests behave. */
export interface RequestOptions {
  /**
   * How long a request may run, in milliseconds; 0 is without limit. Progress restarts the time.
   *
   * @default {0}
   */
  readonly timeoutMs?: number;
  /**
   * How long a request may run although it reports progress, in milliseconds; 0 is without limit.
   *
   * @default {0}
   */
  readonly maxTimeoutMs?: number;
  /**
   * How long a question to the client may stay open, in milliseconds.
   *
   * @default {300000}
   */
  readonly askTimeoutMs?: number;
  /**
   * Secrets of 32 bytes or more that encrypt what 2026 clients carry from one round of a request to the
   * next. The first encrypts, all decrypt: to change a secret, first add the new one as the last at all
   * nodes, then move it to the front. Handlers that share a store need the same secrets. Random when
   * left out; handlers whose store other processes can use refuse to start without.
   */
  readonly stateKeys?: readonly (string | Uint8Array)[];
}

/** The options that say who may do what. */
export interface AccessOptions {
  /**
   * Tells who sends a request: returns a principal, or throws `Unauthorized` or `Forbidden`. Anything
   * else that it returns or throws is a 500. Called for POST, GET and DELETE alike. Without it everybody
   * is one anonymous principal. For tokens of an authorization server take `jwt` or `introspection` of
   * `@mooring/mcp/auth`.
   */
  readonly authenticate?: (request: Request, context: unknown) => MaybePromise<Principal>;
  /**
   * Says whether a principal may make a request. What it refuses doesn't exist for that principal: the
   * answer is that of an unknown tool, or of an unknown method, and `tools/list` leaves the tool out.
   * To filter the list it is asked about each tool, with the name alone: `{ method: "tools/call",
   * params: { name } }`, so don't decide by the arguments. It isn't asked about notifications and
   * replies. Everything is allowed when left out.
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
   * Limits requests once `authenticate` has told who sends them, on every verb; a refusal is a 429. A
   * batch is one request. `tokenBucket` makes one: `key` gets the principal.
   */
  readonly principalRateLimit?: RateLimiter;
  /**
   * Where clients get tokens: made by `protectedResource` of `@mooring/mcp/auth`. It is served at its
   * well-known path, before all gates, and named in every challenge.
   */
  readonly resource?: ProtectedResource;
}

/** How handlers that share a store authenticate each other. */
export interface ClusterOptions {
  /**
   * Secrets of 32 bytes or more that nodes sign their messages with: the first signs, all verify. To
   * change a secret, first add the new one as the last at all nodes, then move it to the front. Derived
   * from `requests.stateKeys` when left out.
   */
  readonly keys?: readonly (string | Uint8Array)[];
}

/** Options for {@linkcode createMcpHandler}. */
export interface McpHandlerOptions extends GateOptions, AccessOptions {
  /** The protocol versions to serve. All when left out. */
  readonly versions?: readonly ProtocolVersion[];
  /** How many of everything there may be, and how large. */
  readonly limits?: HandlerLimits;
  /** How long 2025 sessions last; `false` serves 2025 clients without sessions. */
  readonly sessions?: false | SessionOptions;
  /** How streams behave. */
  readonly streams?: StreamOptions;
  /** How requests behave. */
  readonly requests?: RequestOptions;
  /** Where sessions and streams are kept; in memory when left out. */
  readonly store?: Store;
  /** How handlers that share a store authenticate each other. */
  readonly cluster?: ClusterOptions;
  /** Called with everything that happens. It MUST NOT throw; an error that it throws is ignored. */
  readonly onEvent?: (event: McpEvent) => void;
  /** Where the time comes from; the machine's clock when left out. */
  readonly clock?: Clock;
}

/** What an endpoint holds at this moment. */
export interface HandlerStats {
  /** Sessions. */
  readonly sessions: number;
  /** Open connections of streams. */
  readonly streams: number;
  /** Running requests. */
  readonly requests: number;
  /** Questions to clients that wait for a reply. */
  readonly questions: number;
  /** Open `subscriptions/listen` requests. */
  readonly listens: number;
  /** 1 while new sessions are refused, on every node; absent otherwise. */
  readonly draining?: number;
  /** Shared documents that this node can't apply, or has not applied yet; absent where there are none. */
  readonly unapplied?: number;
}

/** The sessions of an endpoint. */
export interface HandlerSessions {
  /** How many there are. */
  readonly size: number;
  /**
   * Begins a session without a handshake, to push messages to a client of the application's own. The
   * first authenticated principal that uses it owns it.
   *
   * @returns Its id: a secret, for that client alone
   */
  open(): Promise<string>;
  /** Ends a session. `false` when there was none. */
  end(sessionId: string): Promise<boolean>;
}

/** An endpoint: one function from `Request` to `Response`, and what belongs to it. */
export interface McpHandler extends AsyncDisposable {
  /**
   * Answers a request. `context` is passed to `authenticate` and the rate limiters. The response is of
   * the class `Response` that the host has at that moment.
   */
  (request: Request, context?: unknown): Promise<Response>;
  /** The same function, for hosts that take an object with `fetch`. */
  readonly fetch: (request: Request, context?: unknown) => Promise<Response>;
  /**
   * Answers a request as data, for hosts that write text without a `Response`. The headers have their
   * names in lower case.
   */
  readonly reply: (request: Request, context?: unknown) => Promise<Reply>;
  /** The sessions. */
  readonly sessions: HandlerSessions;
  /**
   * Sends a notification on a session's server-to-client stream: now, or when the client opens it.
   *
   * @returns `false` when there is no such session
   * @throws {TypeError} If the method is empty
   */
  notify(sessionId: string, notification: Notification): Promise<boolean>;
  /** Counts what the endpoint holds at this moment. */
  stats(): HandlerStats;
  /**
   * Makes every handler with the same store refuse new sessions, also handlers that join later, until
   * `drain(false)`. Present sessions continue.
   */
  drain(draining?: boolean): Promise<void>;
  /**
   * Closes: refuses new requests, lets running ones finish for `graceMs` milliseconds, then cancels them
   * and ends all streams. Closing again does nothing.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}
