/**
 * The one seam between HTTP and meaning: a {@linkcode Dispatcher} knows what is served, an
 * {@linkcode Exchange} is all that it sees of a request, a {@linkcode DispatcherHost} is all that it
 * sees of the endpoint.
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

/** Who sends a request. `issuer`, `id` and `clientId` together own what the request creates. */
export interface Principal {
  /** The subject: a user or a service, unique within its issuer. */
  readonly id: string;
  /** Who vouches for the subject, usually the authorization server's URL. */
  readonly issuer?: string;
  /** The OAuth client that acts for the subject. */
  readonly clientId?: string;
  /** What the credentials allow. */
  readonly scopes?: readonly string[];
  /** When the credentials end, in milliseconds since the epoch. */
  readonly expiresAt?: number;
  /** Whatever else the credentials say. */
  readonly claims?: JsonObject;
}

/** What is known of the client program. */
export interface ClientFacts {
  /** Its name and version, if it told. */
  readonly info?: Implementation;
  /** What it can do. */
  readonly capabilities: ClientCapabilities;
}

/** Values that live as long as their session, wherever the session is served: any JSON value. */
export interface SessionState {
  /** The value under a key, or `undefined`. */
  get(key: string): Promise<unknown>;
  /** Keeps a value under a key. */
  set(key: string, value: unknown): Promise<void>;
  /** Forgets a key. */
  delete(key: string): Promise<void>;
}

/** What a dispatcher sees of a 2025 session. */
export interface ExchangeSession {
  /** The session's id: a secret, as good as a password together with the owner's credentials. */
  readonly id: string;
  /** Values kept for the session. */
  readonly state: SessionState;
  /** The least severe level of log message that the client wants; `undefined` until it asked. */
  readonly logLevel: LogLevel | undefined;
  /** Keeps the level that the client asked for. */
  setLogLevel(level: LogLevel): MaybePromise<void>;
  /**
   * Subscribes the session to a resource. Doing it again changes nothing.
   *
   * @returns `"full"` when the session has as many subscriptions as it may, `"gone"` when the
   * session ended meanwhile
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

/** One request on its way: everything a dispatcher may know and do while it answers. */
export interface Exchange {
  /** The request's id. */
  readonly id: RequestId;
  /** The request's method. */
  readonly method: string;
  /** The request's parameters; an empty object when there were none. */
  readonly params: JsonObject;
  /** The version that the client speaks. For `initialize`, the one that was agreed on. */
  readonly protocolVersion: ProtocolVersion;
  /** Who asks. */
  readonly principal: Principal;
  /** The HTTP request that carried it. Its body has been read. */
  readonly request: Request;
  /** The 2025 session, if there is one. */
  readonly session: ExchangeSession | undefined;
  /** The client program. */
  readonly client: ClientFacts;
  /** The least severe level of log message that the client wants; `undefined` until it asked. */
  readonly logLevel: LogLevel | undefined;
  /** The versions that the endpoint serves, newest first. */
  readonly supportedVersions: readonly ProtocolVersion[];
  /** Aborts when the request should stop, with a `StopError` as its reason. Made when first read. */
  readonly signal: AbortSignal;
  /** How many entries one page of a list may have. */
  readonly pageSize: number;
  /**
   * Whether the principal may know of a tool, where it may not know of all: lists leave the others
   * out. Calls of the others don't arrive.
   *
   * @throws What the application's `authorize` throws
   */
  readonly mayCall?: (tool: string) => MaybePromise<boolean>;
  /**
   * Sends a notification on this request's own stream, which makes the answer a stream. Dropped,
   * with an event, when the client takes no stream or the request is over. Progress is only sent
   * for the client's own token and while it rises.
   */
  notify(notification: Notification): void;
  /**
   * Sends a request to the client and waits for its result.
   *
   * @throws {MissingCapabilityError} When the client lacks the capability
   * @throws {McpError} When the client answers with an error, has no stream to be asked on, or
   * gives no answer in time
   * @throws {AbortSignal["reason"]} When the request is stopped
   */
  ask(method: string, params: JsonObject): Promise<JsonObject>;
  /**
   * What the round before this one left with the client (2026-07-28); `undefined` in the first.
   *
   * @throws {McpError} With -32602, if it was changed, is too old, or was left for another request or
   * principal
   */
  openState(): Promise<JsonObject | undefined>;
  /** Seals what is left with the client for the next round (2026-07-28). */
  sealState(data: JsonObject): Promise<string>;
  /**
   * Answers the request with a result that asks for input, and stops what still runs of it
   * (2026-07-28). Does nothing when the request is over.
   */
  requireInput(result: JsonObject): void;
  /** Ends the connection, not the stream: the client comes back for the rest after `retryMs`. */
  closeStream(options?: { readonly retryMs?: number }): void;
  /** Hands an event to the application's `onEvent`. */
  report(event: McpEvent): void;
}

/** A client's notification on its way. */
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

/** A document that all handlers of an endpoint go by, also those that join later. */
export interface SharedDocumentHandle {
  /**
   * Puts a JSON value in the place of the present one, for all.
   *
   * @param expected Does so only when the present version is this one; 0 means none
   * @returns The new version, which this handler has tried to apply; `undefined` when another than the
   * expected one is there
   * @throws {RangeError} If it is larger than 1 MiB
   */
  put(value: JsonObject, expected?: number): Promise<number | undefined>;
  /** Goes by it no longer. */
  close(): void;
}

/** What an endpoint offers to the dispatcher that it serves. */
export interface DispatcherHost {
  /** The endpoint's clock. */
  readonly clock: Clock;
  /** Sends a notification once to every session, on its server-to-client stream. */
  broadcast(notification: Notification): void;
  /** Tells the sessions subscribed to a resource that it changed. */
  resourceUpdated(uri: string): void;
  /**
   * Sends a notification to one session, on its server-to-client stream. Nothing happens when there
   * is no such session.
   */
  notify?(sessionId: string, notification: Notification): void;
  /**
   * Asks the client of a session something that belongs to no request, on its server-to-client
   * stream. `undefined` when the session isn't in use here.
   *
   * @throws {McpError} When the client has no such stream open, answers with an error, or gives no
   * answer in time
   * @throws {AbortSignal["reason"]} When the signal aborts
   */
  ask?(
    sessionId: string,
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonObject> | undefined;
  /**
   * Goes by a document that all handlers with the same store share: small, and seldom changed. `apply`
   * is called with what is there, and within two seconds of each change at any handler, with the
   * newest version alone and one at a time; it must not wait for `put`. What it throws is reported, and
   * `stats()` counts the document as one that this handler can't honour.
   *
   * @throws {TypeError} If this handler goes by a document of that name already
   */
  share?(
    name: string,
    apply: (value: JsonObject, version: number) => MaybePromise<void>,
  ): SharedDocumentHandle;
  /** Hands an event to the application's `onEvent`. */
  report(event: McpEvent): void;
}

/**
 * Gives requests their meaning. A dispatcher MUST answer every request with a result or throw; an
 * {@linkcode McpError} is sent as it is, anything else becomes "Internal error" and an event. It
 * MUST NOT keep an exchange after its answer.
 */
export interface Dispatcher {
  /**
   * Whether a session holds live state in this process, so that only this process can serve it.
   *
   * @default {false}
   */
  readonly pinned?: boolean;
  /** What results of the 2026 era say of the server, for those that the endpoint makes itself. */
  readonly serverInfo?: Implementation;
  /** The `list_changed` notifications that the dispatcher may send. */
  readonly listChanged?: readonly string[];
  /** Whether the dispatcher tells when a resource changed. */
  readonly resourceUpdates?: boolean;
  /** The arguments of a tool that 2026 clients repeat in headers. */
  headerParams?(tool: string): readonly HeaderParam[] | undefined;
  /** The scopes that a principal needs to call a tool. */
  toolScopes?(tool: string): readonly string[] | undefined;
  /** Answers a request with its result. */
  dispatch(exchange: Exchange): MaybePromise<JsonObject>;
  /**
   * Fails a request as though what it asks for weren't there, and does nothing else. A dispatcher
   * whose own errors for unknown tools and methods differ from those of `McpServer` needs it: nobody
   * may be able to tell what is hidden from what isn't there.
   */
  hide?(exchange: Exchange): MaybePromise<JsonObject>;
  /** Takes a notification that the endpoint doesn't handle itself. */
  notified?(exchange: NotificationExchange): MaybePromise<void>;
  /** Told once of each endpoint that serves it. The returned function is called when that closes. */
  attach?(host: DispatcherHost): () => void;
  /** Told when a session has ended, after its requests and streams. */
  sessionEnded?(sessionId: string, reason: SessionEndReason): MaybePromise<void>;
}
