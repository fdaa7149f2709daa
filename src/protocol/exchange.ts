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
import type { HeaderParam } from "./headers.ts";
import type { JsonObject, RequestId } from "./jsonrpc.ts";
import type { ProtocolVersion } from "./versions.ts";
import type { McpEvent, SessionEndReason } from "./events.ts";

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
   */
  set(key: string, value: unknown): Promise<void>;
  /** Deletes a key. */
  delete(key: string): Promise<void>;
}

/** A dispatcher's view of a 2025 session. */
export interface ExchangeSession {
  /** The session's id: a secret, which only works together with the owner's credentials. */
  readonly id: string;
  /** Values kept for the session. */
  readonly state: SessionState;
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
  /** The 2025 session, if there is one. */
  readonly session: ExchangeSession | undefined;
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
   * Tells whether a tool is visible to the principal, which lists must respect; all are if this is
   * absent. Calls of hidden tools are never dispatched.
   *
   * @throws The error that the application's `authorize` throws
   */
  readonly mayCall?: (tool: string) => MaybePromise<boolean>;
  /**
   * Sends a notification on this request's own stream, which makes the response a stream. It is dropped,
   * with an event, if the client accepts no stream or the request is over. Progress is only sent for
   * the client's own progress token, and only if it has increased.
   */
  notify(notification: Notification): void;
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
   * in the first round (2026-07-28, Multi Round-Trip Requests).
   *
   * @throws {McpError} With -32602, if the state was changed, is too old, or belongs to another request or
   * principal
   */
  openState(): Promise<JsonObject | undefined>;
  /** Encrypts the state for the next round, to be sent to the client as `requestState` (2026-07-28). */
  sealState(data: JsonObject): Promise<string>;
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
  | "session"
  | "client"
  | "report"
>;

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

/** The functions that an endpoint offers to its dispatcher. */
export interface DispatcherHost {
  /** The endpoint's clock. */
  readonly clock: Clock;
  /** Sends a notification once to every session, on its server-to-client stream. */
  broadcast(notification: Notification): void;
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
   * Applies a document that all handlers with the same store share: small, and seldom changed. `apply`
   * is called with the current version, and within two seconds of each change at any handler with the
   * newest one, never twice at a time. It must not wait for `put`. An error that it throws is reported,
   * and `stats()` counts the document as `unapplied`.
   *
   * @throws {TypeError} If this handler already applies a document of that name
   */
  share?(
    name: string,
    apply: (value: JsonObject, version: number) => MaybePromise<void>,
  ): SharedDocumentHandle;
  /** Calls the application's `onEvent` with an event. */
  report(event: McpEvent): void;
}

/**
 * Gives requests their results: an `McpServer`, a gateway, or an implementation of your own.
 *
 * An implementation MUST return a result for every request, or throw: an {@linkcode McpError} is sent
 * unchanged, any other error becomes "Internal error" and an event. It MUST NOT use an exchange after it
 * has responded.
 */
export interface Dispatcher {
  /**
   * Whether a session has live state in this process, so that only this process can serve it.
   *
   * @default {false}
   */
  readonly pinned?: boolean;
  /** The server's name and version, for results of the 2026 era that the endpoint itself creates. */
  readonly serverInfo?: Implementation;
  /** The `list_changed` notifications that the dispatcher may send. */
  readonly listChanged?: readonly string[];
  /** Whether the dispatcher notifies of changed resources. */
  readonly resourceUpdates?: boolean;
  /** Returns the arguments of a tool that 2026 clients repeat in headers. */
  headerParams?(tool: string): readonly HeaderParam[] | undefined;
  /** Returns the scopes that a principal needs to call a tool. */
  toolScopes?(tool: string): readonly string[] | undefined;
  /** Returns the result of a request. */
  dispatch(exchange: Exchange): MaybePromise<JsonObject>;
  /**
   * Fails a request as if its tool or method were unknown, and does nothing else. Needed only if the
   * dispatcher's errors for unknown tools and methods differ from those of `McpServer`: a client must not
   * be able to tell what is hidden from what doesn't exist.
   */
  hide?(exchange: Exchange): MaybePromise<JsonObject>;
  /** Receives a notification that the endpoint doesn't handle itself. */
  notified?(exchange: NotificationExchange): MaybePromise<void>;
  /** Called once by each endpoint that serves it. The returned function is called when that closes. */
  attach?(host: DispatcherHost): () => void;
  /** Called when a session has ended, after its requests and streams. */
  sessionEnded?(sessionId: string, reason: SessionEndReason): MaybePromise<void>;
}
