/**
 * Defines the contract between an endpoint and what it serves. The endpoint speaks HTTP; a
 * {@linkcode Dispatcher} gives requests their results. It sees each request as an {@linkcode Exchange},
 * and the endpoint as a {@linkcode DispatcherHost}.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Clock } from "../internal/clock.ts";
import type { ClientCapabilities, Implementation, LogLevel } from "./shapes.ts";
import type { ItemMethod } from "./items.ts";
import type { JsonObject, RequestId } from "./jsonrpc.ts";
import type { Chain } from "./middleware.ts";
import type { TaskStore } from "./task_store.ts";
import type { RequestMessage, RequestTarget, Route } from "./route.ts";
import type { ProtocolVersion } from "./versions.ts";
import type { McpEvent, RequestFacts, SessionEndReason } from "./events.ts";

/** The sender of a request. `issuer`, `id` and `clientId` together own what the request creates. */
export interface Principal {
  /** The subject: a user or a service, unique within its issuer. */
  readonly id: string;
  /** The issuer of the credentials, usually the authorization server's URL. */
  readonly issuer?: string;
  /** The OAuth client that acts for the subject. */
  readonly clientId?: string;
  /** The scopes that the credentials grant. */
  readonly scopes?: readonly string[];
  /** When the credentials expire, in milliseconds since the epoch. */
  readonly expiresAt?: number;
  /** All claims of the credentials, such as those of a JWT. */
  readonly claims?: JsonObject;
}

/** The sender of all requests if there is no `authenticate`: everybody together. */
export const ANONYMOUS: Principal = Object.freeze({ id: "anonymous" });

/** Tells whether a principal is nobody in particular: {@linkcode ANONYMOUS}, or a copy of it. */
export function isAnonymous({ id, issuer, clientId }: Principal): boolean {
  return id === ANONYMOUS.id && issuer === undefined && clientId === undefined;
}

/** A client program's description of itself. */
export interface ClientFacts {
  /** Its name and version, if it sent them. */
  readonly info?: Implementation;
  /** Its capabilities. */
  readonly capabilities: ClientCapabilities;
}

/** JSON values that are kept with a session, for all nodes that serve it. */
export interface SessionState {
  /** Returns the value of a key, or `undefined`. */
  get(key: string): Promise<unknown>;
  /**
   * Sets the value of a key to a copy of a JSON value; `undefined` deletes the key.
   *
   * @throws {TypeError} If the value can't be written as JSON
   * @throws {RangeError} If the session would keep more than `limits.stateBytes` bytes
   */
  set(key: string, value: unknown): Promise<void>;
  /** Deletes a key. */
  delete(key: string): Promise<void>;
}

/**
 * JSON values that are kept for a user, in all sessions and without one: all clients of the user have the
 * same. Each method rejects with a `TypeError` if nobody is known to have sent the request.
 */
export interface UserState {
  /** Returns the value of a key, or `undefined`. */
  get(key: string): Promise<unknown>;
  /**
   * Sets the value of a key to a copy of a JSON value; `undefined` deletes the key. Changes that are made
   * at the same time, by any number of calls, all take place.
   *
   * @throws {TypeError} If the value can't be written as JSON
   * @throws {RangeError} If more would be kept for the user than `limits.userStateBytes` bytes or 1,000
   * keys, or for more users than `limits.userStates`
   */
  set(key: string, value: unknown): Promise<void>;
  /** Deletes a key. */
  delete(key: string): Promise<void>;
}

/** What a dispatcher can do for the user who sent a request: the principal, with any client. */
export interface ExchangeUser {
  /** Values kept for the user. */
  readonly state: UserState;
}

/** A dispatcher's view of a 2025 session. */
export interface ExchangeSession {
  /** The session's id: a secret, which only works together with the owner's credentials. */
  readonly id: string;
  /** Values kept for the session. */
  readonly state: SessionState;
  /**
   * Whether the session can go on in a later process, for a dispatcher that says `restores`: what it needs
   * for that it keeps in `state`.
   *
   * @default {false}
   */
  readonly restorable?: boolean;
  /**
   * Whether the session began in an earlier process, whose live state is gone.
   *
   * @default {false}
   */
  readonly restored?: boolean;
  /** The least severe log level that the client wants; `undefined` until it has set one. */
  readonly logLevel: LogLevel | undefined;
  /** Stores the log level that the client wants. */
  setLogLevel(level: LogLevel): MaybePromise<void>;
  /**
   * Subscribes the session to a resource. Subscribing again changes nothing.
   *
   * @returns `"full"` if the session has as many subscriptions as `limits.subscriptions` allows, `"gone"`
   * if the session has ended meanwhile
   */
  subscribe(uri: string): MaybePromise<"subscribed" | "full" | "gone">;
  /** Ends a subscription, if there is one. */
  unsubscribe(uri: string): MaybePromise<void>;
}

/** A notification to the client. */
export interface Notification {
  /** Its method. */
  readonly method: string;
  /** Its parameters. */
  readonly params?: JsonObject;
}

/** Writes a notification as JSON text. */
export function notificationText({ method, params }: Notification): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}

/** A dispatcher's view of one request: its data, and what the dispatcher may do while it runs. */
export interface Exchange {
  /** The request's id. */
  readonly id: RequestId;
  /** The number of the request at its endpoint in this process: the same as in its events. */
  readonly serial?: number;
  /** The id of the task whose tool runs; `undefined` for a client's request. */
  readonly task?: string;
  /**
   * Whether the sender follows tasks, although its version has no extensions: a gateway in the same process,
   * which speaks to its clients in theirs.
   */
  readonly followsTasks?: boolean;
  /** What the request is about, in names that the server has registered. */
  readonly target?: RequestTarget;
  /** The request's method. */
  readonly method: string;
  /** The request's parameters; an empty object if there are none. */
  readonly params: JsonObject;
  /** The protocol version of the request; for `initialize`, the negotiated one. */
  readonly protocolVersion: ProtocolVersion;
  /** The sender. */
  readonly principal: Principal;
  /** The HTTP request that carried the message. Its body has been read. */
  readonly request: Request;
  /**
   * Tells users of this machine apart: the loopback address that the request comes from directly, or
   * `"pipe"` if it came through the standard input. Absent if it comes from elsewhere, through a proxy, or
   * if that is unknown.
   */
  readonly localPeer?: string | undefined;
  /** The 2025 session, if there is one. */
  readonly session: ExchangeSession | undefined;
  /** The user who sent the request; absent where the host keeps nothing for users. */
  readonly user?: ExchangeUser | undefined;
  /** The client program. */
  readonly client: ClientFacts;
  /** The least severe log level that the client wants; `undefined` until it has set one. */
  readonly logLevel: LogLevel | undefined;
  /** The protocol versions that the endpoint serves, newest first. */
  readonly supportedVersions: readonly ProtocolVersion[];
  /** Aborts when the request is stopped, with a `StopError` as its reason. */
  readonly signal: AbortSignal;
  /** The number of entries that one page of a list may have. */
  readonly pageSize: number;
  /**
   * Tells whether an item is visible to the principal, which lists must respect; all are if this is
   * absent. A tool or prompt is asked about by its name, a resource by its URI, a resource template as
   * it is written. Requests about hidden items are never dispatched.
   *
   * @throws The error that the application's `authorize` throws
   */
  readonly mayUse?: (method: ItemMethod, key: string) => MaybePromise<boolean>;
  /**
   * Sends a notification on this request's own stream, which makes the response a stream. It is dropped,
   * with an event, if the client accepts no stream or the request is over. Progress is only sent for
   * the client's own progress token, and only if it has increased.
   */
  notify(notification: Notification): void;
  /**
   * Notes how far the request is, where the client hasn't asked for notifications: `progress`, `total` and
   * `message` as in one. Absent where nobody wants to know.
   */
  noteProgress?(progress: JsonObject): void;
  /**
   * Sends a request to the client and waits for its result.
   *
   * @throws {MissingCapabilityError} If the client lacks the capability
   * @throws {McpError} If the client responds with an error, has no open stream for the request, or
   * doesn't respond within `requests.askTimeoutMs`
   * @throws {AbortSignal["reason"]} If the request is stopped
   */
  ask(method: string, params: JsonObject): Promise<JsonObject>;
  /**
   * Decrypts the state that the round before this one sent to the client as `requestState`; `undefined`
   * in the first round (2026-07-28, Multi Round-Trip Requests). Call it once: a state that was sealed
   * with `once` is used by it.
   *
   * @throws {McpError} With -32602, if the state was changed, is too old, was used before, or belongs to
   * another request or principal
   */
  openState(): Promise<JsonObject | undefined>;
  /**
   * Encrypts the state for the next round, to be sent to the client as `requestState` (2026-07-28). With
   * `once`, a single request can open it, at any node that shares the store, and within an hour.
   */
  sealState(data: JsonObject, options?: { readonly once?: boolean }): Promise<string>;
  /**
   * Responds with a result that asks for input, and aborts `signal` (2026-07-28). Does nothing if the
   * request is over.
   */
  requireInput(result: JsonObject): void;
  /**
   * Closes the connection, not the stream: the client reconnects for the rest after `retryMs`
   * milliseconds, by default `streams.retryMs`.
   */
  closeStream(options?: { readonly retryMs?: number }): void;
  /**
   * Sets the version that `initialize` negotiates, for a dispatcher that speaks another one than the
   * endpoint has chosen.
   *
   * @returns Whether the endpoint serves the version
   */
  negotiate?(version: ProtocolVersion): boolean;
  /**
   * Passes work that is done for the request after its response, such as the run of a task, through the
   * endpoint's middleware; absent if there is none.
   */
  readonly chain?: Chain;
  /** Notes which upstream of a gateway the request goes to, for its events. */
  noteUpstream?(upstream: string): void;
  /** Notes that a gateway answers the request with a result that it has kept, for its events. */
  noteCached?(): void;
  /**
   * Whether the result is that of an earlier call with the same key, see `Route.answerOnce`; known once the
   * result is there.
   */
  readonly repeated?: true | undefined;
  /** Whether the node that began the request was lost, and it runs again here. */
  readonly begunAgain?: boolean;
  /** Notes the id of the trace that the request belongs to, for operators. */
  noteTrace?(traceId: string): void;
  /** What events say about the request; `undefined` where nobody listens to events. */
  readonly facts?: RequestFacts | undefined;
  /** Calls the application's `onEvent` with an event. */
  report(event: McpEvent): void;
}

/** A dispatcher's view of a client's notification. */
export type NotificationExchange = Pick<
  Exchange,
  | "method"
  | "params"
  | "protocolVersion"
  | "principal"
  | "request"
  | "localPeer"
  | "session"
  | "client"
  | "report"
>;

/** A dispatcher's view of an open `subscriptions/listen` (2026-07-28, Subscriptions). */
export interface ListenExchange extends
  Pick<
    Exchange,
    | "protocolVersion"
    | "principal"
    | "request"
    | "localPeer"
    | "client"
    | "signal"
    | "mayUse"
    | "chain"
  > {
  /** The `list_changed` notifications that the client asked for, of those that it may get. */
  readonly methods: ReadonlySet<string>;
  /** The resources that the client asked for, without those that `authorize` hides. */
  readonly uris: ReadonlySet<string>;
  /** Sends a notification, if the client asked for it. */
  notify(notification: Notification): void;
  /** Ends the subscription with a result: the client subscribes again if it wants more. */
  end(): void;
}

/** A handle to a document that all handlers with the same store apply, also those that join later. */
export interface SharedDocumentHandle {
  /**
   * Replaces the document, at all handlers.
   *
   * @param value The new document
   * @param expected The version to replace, 0 if there must be none yet; any when left out
   * @returns The new version, which this handler has tried to apply; `undefined` if the current version
   * is not the expected one
   * @throws {RangeError} If the document is larger than 1 MiB
   */
  put(value: JsonObject, expected?: number): Promise<number | undefined>;
  /** Stops applying the document at this handler. */
  close(): void;
}

/** What the handlers with the same store have in common, for a dispatcher that each of them serves. */
export interface HostPeers {
  /** The handler's id among them. */
  readonly node: string;
  /** The store of tasks that they share, if the handlers' store has one. */
  readonly tasks: TaskStore | undefined;
  /**
   * Sends a value to the dispatcher at another handler, encrypted if processes share the store.
   *
   * @returns `false` if it has certainly not arrived, and never will
   */
  send(node: string, value: JsonObject): MaybePromise<boolean>;
  /**
   * Sends a value to the dispatcher at another handler, again for ten seconds, as that may hear nothing
   * meanwhile. The dispatcher must ignore the value when it comes again.
   */
  sendRepeatedly(node: string, value: JsonObject): void;
  /** Receives what dispatchers at other handlers send, until the returned function is called. */
  receive(listener: (value: JsonObject) => void): () => void;
}

/** The functions that an endpoint offers to its dispatcher. */
export interface DispatcherHost {
  /** The endpoint's clock. */
  readonly clock: Clock;
  /** Whether the endpoint answers calls that run long early; `undefined` if that isn't known. */
  readonly longCalls?: boolean;
  /** Whether the endpoint keeps answers for calls that are repeated; `undefined` if that isn't known. */
  readonly answersOnce?: boolean;
  /**
   * Sends a notification once to every session, on its server-to-client stream, and to every client that
   * subscribed to it (2026-07-28).
   *
   * @param wants Tells whether a session gets it; by default all do
   * @param mayKnow Tells whether a principal without a session may get it; by default all may. With it,
   * the notification goes to clients of this node only
   */
  broadcast(
    notification: Notification,
    wants?: (sessionId: string) => boolean,
    mayKnow?: (principal: Principal) => boolean,
  ): void;
  /** Notifies the sessions that are subscribed to a resource that it changed. */
  resourceUpdated(uri: string): void;
  /**
   * Sends a notification to one session, on its server-to-client stream. Does nothing if there is no
   * such session.
   */
  notify?(sessionId: string, notification: Notification): void;
  /**
   * Sends a request to the client of a session, on its server-to-client stream, outside any request of
   * the client.
   *
   * @returns The result; `undefined` if this node doesn't use the session
   *
   * @throws {McpError} If the client has no such stream open, responds with an error, or doesn't respond
   * within `requests.askTimeoutMs`
   * @throws {AbortSignal["reason"]} If the signal aborts
   */
  ask?(
    sessionId: string,
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonObject> | undefined;
  /**
   * Calls a function when the client of a session opens its server-to-client stream, so that it can be asked
   * something.
   *
   * @returns A function that takes it back; `undefined` if this node doesn't use the session
   */
  onListening?(sessionId: string, listener: () => void): (() => void) | undefined;
  /**
   * Closes the connection of a session's server-to-client stream, not the stream: the client reconnects
   * after `retryMs` milliseconds, by default `streams.retryMs`. Does nothing if this node has none.
   */
  closeStream?(sessionId: string, options?: { readonly retryMs?: number }): void;
  /**
   * Applies a document that all handlers with the same store share: small, and seldom changed. `apply`
   * is called with the current version, and within two seconds of each change at any handler with the
   * newest one, never twice at a time. It must not wait for `put`. An error that it throws is reported,
   * and `stats()` counts the document as `unapplied`.
   *
   * @throws {TypeError} If this handler already applies a document of that name
   */
  openDocument?(
    name: string,
    apply: (value: JsonObject, version: number) => MaybePromise<void>,
  ): SharedDocumentHandle;
  /** The other handlers with the same store; `undefined` if the handler has its store to itself. */
  readonly peers?: HostPeers | undefined;
  /** Calls the application's `onEvent` with an event. */
  report(event: McpEvent): void;
}

/** What is known about a server that a dispatcher uses for its results. */
export interface UpstreamStatus {
  /** Its name. */
  readonly name: string;
  /** How it is reached: `http`, `stdio`, … */
  readonly kind: string;
  /** The number of open sessions with it. */
  readonly sessions: number;
  /** The number of programs or connections that these use: fewer, if several use one. */
  readonly programs: number;
  /** The number of requests that it is answering. */
  readonly calls: number;
}

/** How full a limit is. */
export interface LimitStatus {
  /** The name of its option. */
  readonly name: string;
  /** How much is in use. */
  readonly used: number;
  /** The limit. */
  readonly most: number;
}

/** What an operator sees of a dispatcher that uses other servers for its results, and may do to them. */
export interface UpstreamControl {
  /** Lists the upstreams. */
  list(): readonly UpstreamStatus[];
  /** Lists the limits on what is started for them. */
  limits(): readonly LimitStatus[];
  /** Returns the name of the upstream that answers a request about a tool or prompt, if it is known. */
  nameOf(item: string): string | undefined;
  /**
   * Ends every session with an upstream; the next request opens a new one.
   *
   * @returns The number of sessions ended; `undefined` if there is no such upstream
   */
  restart(name: string): Promise<number | undefined>;
}

/**
 * Gives requests their results: an `McpServer`, a gateway, or an implementation of your own.
 *
 * It is asked two things about a request: what it is about, by `route()`, and then the route itself for the
 * result. An implementation MUST find a route for every request. The route MUST return a result, or throw:
 * an {@linkcode McpError} is sent unchanged, any other error becomes "Internal error" and an event. It MUST
 * NOT use an exchange after it has responded.
 */
export interface Dispatcher {
  /**
   * Whether a session has live state in this process, so that only this process can serve it.
   *
   * @default {false}
   */
  readonly pinned?: boolean;
  /**
   * Whether a pinned session can go on in a later process, if the store keeps it: the dispatcher makes its
   * live state anew. Otherwise such a session ends, and its client begins another one.
   *
   * @default {false}
   */
  readonly restores?: boolean;
  /** The server's name and version, for results of the 2026 era that the endpoint itself creates. */
  readonly serverInfo?: Implementation;
  /** The `list_changed` notifications that the dispatcher may send. */
  readonly listChanged?: readonly string[];
  /** Returns the `list_changed` notifications that a session may get, if they differ from the others'. */
  listChangedIn?(sessionId: string): readonly string[] | undefined;
  /** Whether the dispatcher notifies of changed resources. */
  readonly resourceUpdates?: boolean;
  /** What an operator sees of the dispatcher's upstreams, if it has any. */
  readonly upstreamControl?: UpstreamControl;
  /**
   * Finds what a request is about. Called once for each request, and again when middleware changes its
   * parameters, so it must be fast, and does nothing but look.
   */
  route(message: RequestMessage, principal: Principal): Route;
  /**
   * Takes a subscription that a client has opened. `signal` aborts when it is over. For changes that not all
   * clients may know of; the others are sent by `DispatcherHost.broadcast`.
   */
  listening?(listen: ListenExchange): void;
  /** Receives a notification that the endpoint doesn't handle itself. */
  notified?(exchange: NotificationExchange): MaybePromise<void>;
  /** Called once by each endpoint that serves it. The returned function is called when that closes. */
  attach?(host: DispatcherHost): () => void;
  /**
   * Refuses tools that have a time of their own to be answered after, until the returned function is called.
   * For a gateway that serves the dispatcher at an endpoint which answers no call early; what an endpoint of
   * its own does is in the host that `attach` is given.
   *
   * @throws {TypeError} If there is such a tool
   */
  refuseLongCalls?(): () => void;
  /**
   * Refuses tools that answer once, until the returned function is called. For a gateway that serves the
   * dispatcher at an endpoint which keeps no answers.
   *
   * @throws {TypeError} If there is such a tool
   */
  refuseAnswersOnce?(): () => void;
  /** Called when a session has ended, after its requests and streams. */
  sessionEnded?(sessionId: string, reason: SessionEndReason): MaybePromise<void>;
}
