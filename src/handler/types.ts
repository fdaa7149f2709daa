/**
 * The public face of an endpoint: its options, and the function that `createMcpHandler` returns.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { Notification } from "../protocol/exchange.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import type { RateLimiter, RequiredHeader } from "../http/gates/types.ts";
import type { Store } from "../cluster/types.ts";
import type { AccessOptions } from "./access_options.ts";
import type { ClusterOptions } from "./cluster_options.ts";
import type { HandlerStats } from "./stats.ts";

/** How much of everything there may be. */
export interface HandlerLimits {
  /**
   * Bytes of a request's body.
   *
   * @default {1048576}
   */
  readonly bodyBytes?: number;
  /**
   * How long the whole of a request's body may take to come, in milliseconds; it may take up to twice
   * as long where nobody looks sooner. `Infinity` leaves that to the host.
   *
   * @default {30000}
   */
  readonly bodyMs?: number;
  /**
   * Levels of nesting in a request's JSON.
   *
   * @default {64}
   */
  readonly jsonDepth?: number;
  /**
   * Messages in one batch (2025-03-26 only).
   *
   * @default {100}
   */
  readonly batch?: number;
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
   * Since the last use, in milliseconds. A running request or an open stream counts as use.
   *
   * @default {1800000}
   */
  readonly idleMs?: number;
  /**
   * Since the beginning, in milliseconds.
   *
   * @default {14400000}
   */
  readonly absoluteMs?: number;
}

/** How streams behave. */
export interface StreamOptions {
  /**
   * How long a request may run before its answer becomes a stream, in milliseconds. Clients of
   * 2026-07-28, whose going away only a stream shows, wait for 500 at most.
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
   * Whether 2026 clients may listen for changes. Turn it off where nothing lives as long as a stream.
   *
   * @default {true}
   */
  readonly listen?: boolean;
  /**
   * What a second GET stream of a session does to the first.
   *
   * @default {"replace"}
   */
  readonly secondGet?: "replace" | "reject";
}

/** How requests behave. */
export interface RequestOptions {
  /**
   * How long a request may take, in milliseconds; 0 is for ever. Progress starts it anew.
   *
   * @default {0}
   */
  readonly timeoutMs?: number;
  /**
   * How long a request may take although it makes progress, in milliseconds; 0 is for ever.
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
   * Secrets of 32 bytes or more that seal what 2026 clients carry from one round of a request to the
   * next. The first seals, all open. To change one, give all nodes the new one as the last first, and
   * then as the first. Handlers that share a store need the same ones. Random when left out, which
   * handlers whose store other processes can have refuse to start with.
   */
  readonly stateKeys?: readonly (string | Uint8Array)[];
}

/** Options for {@linkcode createMcpHandler}. */
export interface McpHandlerOptions extends AccessOptions {
  /**
   * The one path that is served; others get a 404. Any path when left out.
   */
  readonly path?: string;
  /**
   * A path whose GET always answers 200 with `{"status":"ok"}`. Off when left out.
   */
  readonly healthPath?: string;
  /**
   * Web origins whose pages may call: `"https://app.example"`; without a port any port matches, and
   * `"https://.example.com"` means the domain and everything below it.
   */
  readonly allowedOrigins?: readonly string[];
  /** Host names that the endpoint is reached under; without a port any port matches. */
  readonly allowedHosts?: readonly string[];
  /**
   * Whether pages of `allowedOrigins` may read the answers (CORS).
   *
   * @default {true}
   */
  readonly cors?: boolean;
  /** A header that every request must carry: its name, or its name and value. */
  readonly requiredHeader?: string | RequiredHeader;
  /** Asked before each request is looked at. */
  readonly rateLimit?: RateLimiter;
  /** The protocol versions to serve. All when left out. */
  readonly versions?: readonly ProtocolVersion[];
  /** How much of everything there may be. */
  readonly limits?: HandlerLimits;
  /** How long 2025 sessions last; `false` serves 2025 clients without sessions. */
  readonly sessions?: false | SessionOptions;
  /** How streams behave. */
  readonly streams?: StreamOptions;
  /** How requests behave. */
  readonly requests?: RequestOptions;
  /** Where sessions and streams are kept; in memory when left out. */
  readonly store?: Store;
  /** How handlers that share a store find and believe each other. */
  readonly cluster?: ClusterOptions;
  /** Told of everything that happens. It MUST NOT throw; what it throws is ignored. */
  readonly onEvent?: (event: McpEvent) => void;
  /** Where the time comes from; the machine's clock when left out. */
  readonly clock?: Clock;
}

/** The sessions of an endpoint. */
export interface HandlerSessions {
  /** How many there are. */
  readonly size: number;
  /**
   * Begins a session without a handshake, for pushing to a client of the application's own. The first
   * authenticated principal that uses it owns it.
   *
   * @returns Its id: a secret to be handed to that client alone
   */
  open(): Promise<string>;
  /** Ends a session. `false` when there was none. */
  end(sessionId: string): Promise<boolean>;
}

/** An endpoint: one function from `Request` to `Response`, and what belongs to it. */
export interface McpHandler extends AsyncDisposable {
  /**
   * Answers a request. `context` is handed on to `authenticate` and the rate limiter.
   *
   * On Node, a response that is one text is a light one, which becomes Node's own when somebody reads
   * more of it than its text, status and headers. It does all that a response does; `clone()` it for
   * what takes nothing but Node's own, such as a cache of `undici`. Where a host has put a class of its
   * own into the place of `Response`, it is of that class.
   */
  (request: Request, context?: unknown): Promise<Response>;
  /** The same function, for hosts that take an object with `fetch`. */
  readonly fetch: (request: Request, context?: unknown) => Promise<Response>;
  /** The sessions. */
  readonly sessions: HandlerSessions;
  /**
   * Sends a notification on a session's server-to-client stream: now, or when the client opens it.
   *
   * @returns `false` when there is no such session
   * @throws {TypeError} If the method is empty
   */
  notify(sessionId: string, notification: Notification): Promise<boolean>;
  /** What is there now. */
  stats(): HandlerStats;
  /**
   * Has every handler with the same store refuse new sessions, also those that join later, until
   * `drain(false)`. Sessions that are there go on.
   */
  drain(draining?: boolean): Promise<void>;
  /**
   * Stops: refuses what is new, lets what runs finish for `graceMs` milliseconds, then cancels it and
   * ends all streams. Doing it again changes nothing.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}
