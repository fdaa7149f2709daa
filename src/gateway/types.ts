/**
 * Defines what an upstream is to the gateway: an HTTP endpoint, a child process, an official SDK
 * server object, or a server of this package.
 *
 * @module
 */
import type {
  ClientFacts,
  Clock,
  ExchangeUser,
  JsonObject,
  MaybePromise,
  McpEvent,
  Notification,
  Principal,
  ProtocolVersion,
  Route,
} from "../../mod.ts";
import type { Caller, UpstreamFacts, UpstreamKind } from "../kit.ts";
export type {
  Caller,
  UpstreamFacts,
  UpstreamKind,
  UpstreamMiddleware,
  UpstreamRequest,
} from "../kit.ts";

/** What an upstream wants before it answers for a user. */
export interface SignInNeed {
  /** The scopes to ask for besides those that the user's account has; empty if none are named. */
  readonly scopes: readonly string[];
  /** The URL of the protected resource metadata, if the challenge has one (RFC 9728 §5.1). */
  readonly metadataUrl?: string | undefined;
  /** Whether the challenge offers tokens that are bound to a key (DPoP, RFC 9449), or wants no others. */
  readonly bound?: "offered" | "required" | undefined;
  /** The upstream's URL. */
  readonly url: string;
  /** Whether the user has an account that only lacks a scope. */
  readonly isStepUp: boolean;
}

/** Who is asked to sign in at an upstream. */
export interface SignInAsker {
  /** The upstream's name. */
  readonly upstream: string;
  /** The user. */
  readonly principal: Principal;
  /** The user's client. */
  readonly client: ClientFacts;
  /** The client's session, if it has one: the question ends with it. */
  readonly session: string | undefined;
}

/** A question to sign in. */
export interface SignInQuestion {
  /** The id. It is no secret. */
  readonly id: string;
  /** The page of the gateway that the user opens. */
  readonly url: string;
  /** The question in words. */
  readonly message: string;
}

/** Asks users to sign in at an upstream. */
export interface UpstreamSignIn {
  /**
   * Begins to ask a user.
   *
   * @throws {McpError} If nobody may be asked
   */
  begin(need: SignInNeed, asker: SignInAsker): Promise<SignInQuestion>;
  /**
   * Waits until the user has signed in, at any node.
   *
   * @returns Whether the user has: not if the question was denied, cancelled or came too late
   * @throws {AbortSignal["reason"]} If the signal aborts
   */
  settled(id: string, signal: AbortSignal): Promise<boolean>;
  /** Tells whether the link of a question can still be opened. */
  isOpen(id: string): Promise<boolean>;
  /** Ends a question that waits: its link is refused from now on. */
  cancel(id: string): Promise<void>;
}
/** Whose sessions use one program of an upstream: those of one user, or of everybody. */
export type UpstreamShare = "user" | "all";

/** Which results of an upstream are kept, for whom, and within which bounds; see {@linkcode cached}. */
export interface CacheSettings {
  /** The tools whose results are kept, as the upstream calls them. */
  readonly tools: ReadonlySet<string>;
  /** Whether results of `resources/read` are kept. */
  readonly resources: boolean;
  /** How long a result is kept, in milliseconds; its own time when left out. */
  readonly ttlMs: number | undefined;
  /** For whom. */
  readonly scope: "user" | "all";
  /** The headers of clients' requests that results may depend on, in lower case. */
  readonly forwards: readonly string[];
  /** The most results. */
  readonly maxEntries: number;
  /** The most bytes of all results and their keys, as JSON. */
  readonly maxBytes: number;
  /** The most bytes of one result and its key, as JSON. */
  readonly maxResultBytes: number;
}

/** Receives the messages of an upstream that belong to no call. */
export interface Downstream {
  /** Takes a notification: lists changed, a resource was updated, a log message. */
  notified(notification: Notification): void;
  /**
   * Sends a request to the client.
   *
   * @throws {McpError} If the client can't be asked, or answers with an error
   */
  ask(method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject>;
  /** Takes the error that ended the session. Called at most once, and not after `close()`. */
  ended(error: unknown): void;
}

/**
 * Describes the client's side of a session with an upstream that is served alone: as a server of its own,
 * which is to see its client as if there were no gateway.
 */
export interface AloneInit {
  /** The client's protocol version, in which the upstream should be spoken to. */
  readonly version: ProtocolVersion;
  /** Identifies the client's session, if it has one. A secret, which no other process may get. */
  readonly sessionId: string | undefined;
}

/**
 * Holds everything that an upstream needs to open a session. The caller proves who owns the session,
 * and what may be done to open it: every later message has a caller of its own.
 */
export interface OpenInit extends Caller {
  /** The name of the upstream, for events. */
  readonly name: string;
  /** The description of the client program. Its capabilities are passed on to the upstream. */
  readonly client: ClientFacts;
  /** The client's side, if the upstream is served alone. */
  readonly alone?: AloneInit | undefined;
  /** Receives the messages that belong to no call. */
  readonly downstream: Downstream;
  /** Aborts when the session is no longer needed, or took too long to open. */
  readonly signal: AbortSignal;
  /** Provides the time. */
  readonly clock: Clock;
  /** Passes an event to the application's `onEvent`. */
  readonly report: (event: McpEvent) => void;
  /**
   * Takes a place for a program, within the gateway's `limits.programs`. Waits for one for a short
   * time.
   *
   * @param signal Aborts when the place is no longer needed, in place of the session's own signal
   * @returns Gives the place back; safe to call twice
   * @throws {Error} If there is no place
   * @throws {AbortSignal["reason"]} If `signal` aborts
   */
  readonly takeProgram?: (signal?: AbortSignal) => MaybePromise<() => void>;
  /** Identifies the user, the same for all of a user's sessions; `undefined` if that isn't known. */
  readonly user?: string | undefined;
}

/** One request to an upstream. */
export interface UpstreamCall extends Caller {
  /** The method. */
  readonly method: string;
  /**
   * Holds the parameters. A `progressToken` in `_meta` asks for progress. For an upstream of
   * 2026-07-28 a `logLevel` in `_meta` is the client's; the session adds everything else that the
   * era requires in `_meta`.
   */
  readonly params: JsonObject;
  /** Aborts when the result is no longer needed; the upstream is sent a cancellation. */
  readonly signal: AbortSignal;
  /**
   * Tells whether messages outside calls may belong to this one; by default those of a tool, a prompt or
   * the reading of a resource do.
   */
  readonly isClients?: boolean;
  /** The user who sent the call, for a server in the same process. */
  readonly user?: ExchangeUser | undefined;
  /** Takes a notification of this call: progress, and log messages if their call is known. */
  notify(notification: Notification): void;
  /**
   * Sends a request to the client on behalf of this call.
   *
   * @throws {McpError} If the client can't be asked, or answers with an error
   */
  ask(method: string, params: JsonObject): Promise<JsonObject>;
}

/**
 * Represents one MCP session with an upstream, used by a single session of a single client.
 *
 * An implementation MUST
 * - settle every request with a result or an error: an {@linkcode McpError} that the upstream
 *   answered with, unchanged (the session stays open), or any other error if the connection failed
 *   (the session is over, and `ended` is called unless `close` was);
 * - notify the upstream when a call's signal aborts, and reject with the signal's reason at once;
 * - judge, authorize and describe each message by its own caller, and what belongs to none by the
 *   latest one: the credentials of the session's first request may have lost rights since;
 * - run any number of calls concurrently without mixing up their answers or notifications,
 *   regardless of their ids and progress tokens: it uses its own ids and tokens towards the
 *   upstream, and reports progress under the token of the call;
 * - pass through unchanged a result that asks for input (2026-07-28), and the parameters of its retry;
 * - deliver the notifications of a call before its result, in the order of their arrival;
 * - bound everything that it buffers for an upstream that doesn't read or that floods;
 * - settle every call when it ends.
 */
export interface UpstreamSession {
  /** What the upstream said about itself. */
  readonly facts: UpstreamFacts;
  /** Sends a request and waits for its result. */
  request(call: UpstreamCall): Promise<JsonObject>;
  /** Sends a notification, on behalf of the latest caller if none is given. */
  notify(notification: Notification, caller?: Caller): Promise<void>;
  /** Ends the session and frees its resources. Safe to call twice. */
  close(): Promise<void>;
  /** The number of sessions that use the same program or connection, where several may. */
  readonly sessions?: number;
  /** Takes it that the upstream doesn't answer: for a session that uses a program with others. */
  lost?(): void;
}

/**
 * Opens sessions with one MCP server.
 *
 * An implementation MUST check its settings at construction, create a new session at every `open`,
 * share nothing between two sessions unless it has `share`, and leave nothing behind when `open` fails or is aborted. If it
 * starts programs, it MUST take a place for each before its start, and give the place back when the
 * program has exited.
 */
export interface Upstream {
  /** Names how the server is reached. */
  readonly kind: UpstreamKind;
  /** Is `"lazy"` for an upstream that is used when it is asked for; see {@linkcode lazy}. */
  readonly lists?: "lazy";
  /**
   * Changes with every setting that a session depends on, and with no other. Two upstreams with the
   * same identity are interchangeable. Never shown in events or errors.
   */
  readonly identity: string;
  /** Asks users to sign in, for an upstream that answers each of them by their own account. */
  readonly signIn?: UpstreamSignIn | undefined;
  /** Which results of it are kept; none when left out. */
  readonly cache?: CacheSettings;
  /** The headers of clients' requests that reach the server, in lower case; none when left out. */
  readonly forwards?: readonly string[];
  /** What tells the server which user calls, in words for errors; nothing does when left out. */
  readonly usersBy?: string | undefined;
  /** Whose sessions use one program or connection; each its own when left out. */
  readonly share?: UpstreamShare;
  /** The number of programs or connections, where several sessions may use one. */
  readonly programs?: number;
  /**
   * Ends the programs and connections that no session uses any more.
   *
   * @param mayEnd Chooses by the user whose they are, and leaves what is everybody's; all when left out
   * @returns Resolves when they have ended; `undefined` if there is none
   */
  endUnused?(mayEnd?: (user: Principal) => boolean): Promise<void> | undefined;
  /**
   * Opens a session.
   *
   * @throws {UpstreamError} If the server can't be reached or rejects the session
   * @throws {AbortSignal["reason"]} If the signal aborts
   */
  open(init: OpenInit): Promise<UpstreamSession>;
  /**
   * Returns the scopes that a principal needs to call a tool, if that is known without a session: calls
   * that lack one are then refused before any work is done for them.
   */
  toolScopes?(tool: string): readonly string[] | undefined;
  /** Returns when calls of a tool are answered although it still runs: see `Route.longCalls`. */
  longCalls?(tool: string): Route["longCalls"];
  /**
   * Refuses tools with a time of their own, while an endpoint serves the upstream that answers no call early:
   * see `Dispatcher.refuseLongCalls`. For servers in the same process.
   *
   * @returns A function that is called when that is over
   * @throws {TypeError} If there is such a tool
   */
  refuseLongCalls?(): () => void;
  /** Returns whether the gateway gives repeats of a call the first one's answer: see `Route.answerOnce`. */
  answerOnce?(tool: string): Route["answerOnce"];
  /**
   * Refuses tools that answer once, while an endpoint serves the upstream that keeps no answers: see
   * `Dispatcher.refuseAnswersOnce`. For servers in the same process.
   *
   * @returns A function that is called when that is over
   * @throws {TypeError} If there is such a tool
   */
  refuseAnswersOnce?(): () => void;
}
