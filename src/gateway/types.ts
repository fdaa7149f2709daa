/**
 * What an upstream is to the gateway, whatever it is made of: an HTTP endpoint, a child process, an
 * official SDK server object, or a server of this package.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { ClientFacts, Notification, Principal } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import type { Implementation } from "../protocol/shapes.ts";

/**
 * What an upstream said of itself when its session began. Nothing of it is trusted: it decides on no
 * more than how this one upstream is spoken to.
 */
export interface UpstreamFacts {
  /** Its name and version. */
  readonly serverInfo: Implementation;
  /**
   * What it can do, as it advertised it. `listChanged` of a list may only be there where the session
   * does hand on that the list has changed: until then the gateway keeps it.
   */
  readonly capabilities: JsonObject;
  /** The version that it speaks. */
  readonly protocolVersion: ProtocolVersion;
  /** How to use it, if it told. */
  readonly instructions?: string;
}

/** Where everything goes that an upstream says outside the calls made to it. */
export interface Downstream {
  /** Takes a notification that belongs to no call: lists changed, a resource was updated, a log message. */
  notified(notification: Notification): void;
  /**
   * Asks the client something that belongs to no call that is known.
   *
   * @throws {McpError} When it can't be asked, or answers with an error
   */
  ask(method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject>;
  /** Told once when the session ended by itself, with what ended it; not after `close()`. */
  ended(error: unknown): void;
}

/** Everything that an upstream needs to begin a session. */
export interface OpenInit {
  /** What the gateway calls the upstream, for events. */
  readonly name: string;
  /** The client program that the session is for: what it can do is what the upstream is told. */
  readonly client: ClientFacts;
  /** Who the session is for. */
  readonly principal: Principal;
  /** The HTTP request in whose course the session begins. */
  readonly request: Request;
  /** Where the upstream's own messages go. */
  readonly downstream: Downstream;
  /** Aborts when the session is not wanted any more, or took too long to begin. */
  readonly signal: AbortSignal;
  /** Where the time comes from. */
  readonly clock: Clock;
  /** Hands an event to the application's `onEvent`. */
  readonly report: (event: McpEvent) => void;
}

/** One request to an upstream. */
export interface UpstreamCall {
  /** Its method. */
  readonly method: string;
  /**
   * Its parameters. A `progressToken` in `_meta` says that progress is wanted. For an upstream of
   * 2026-07-28 a `logLevel` in `_meta` is the client's; what else the era wants there is up to the
   * session.
   */
  readonly params: JsonObject;
  /** Aborts when the answer is not wanted any more: the upstream is told so. */
  readonly signal: AbortSignal;
  /** The HTTP request in whose course it is sent: its headers may be handed on. */
  readonly request: Request;
  /** Takes a notification that belongs to this call: its progress, and log messages where that is known. */
  notify(notification: Notification): void;
  /**
   * Asks the client something in the course of this call.
   *
   * @throws {McpError} When it can't be asked, or answers with an error
   */
  ask(method: string, params: JsonObject): Promise<JsonObject>;
}

/**
 * A session with an upstream, for one session of one client alone.
 *
 * An implementation MUST
 * - answer every request with a result, or throw: an {@linkcode McpError} that the upstream answered
 *   with as it is (the session lives on), anything else when the connection failed (the session is
 *   over, and `ended` is called unless `close` was);
 * - tell the upstream when a call's signal aborts, and reject with the signal's reason at once;
 * - carry any number of calls at a time, and mix up neither their answers nor what belongs to them,
 *   whatever ids and progress tokens they came with: it uses its own towards the upstream, and hands
 *   progress over under the token of the call;
 * - hand on as it is a result that asks for input (2026-07-28), and what it is given for the retry;
 * - hand over what belongs to a call before the call's result, in the order in which it was said;
 * - be bounded in everything that it keeps for an upstream that doesn't read or that floods;
 * - settle every call when it ends, whatever the upstream does.
 */
export interface UpstreamSession {
  /** What the upstream said of itself. */
  readonly facts: UpstreamFacts;
  /** Sends a request and waits for its result. */
  request(call: UpstreamCall): Promise<JsonObject>;
  /** Sends a notification. */
  notify(notification: Notification): Promise<void>;
  /** Ends the session, and with it whatever was started for it. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Somebody's MCP server, as the gateway reaches it.
 *
 * An implementation MUST check its settings when it is made, begin a new session at every `open` and
 * share nothing between two of them, and leave nothing behind when `open` fails or is aborted.
 */
export interface Upstream {
  /** What it is made of. */
  readonly kind: "http" | "stdio" | "sdk" | "local";
  /**
   * Changes with every setting that a session depends on, and with no other. Two with the same
   * identity are interchangeable. Never shown to anybody.
   */
  readonly identity: string;
  /**
   * Begins a session.
   *
   * @throws {UpstreamError} When it can't be reached or refuses
   * @throws {AbortSignal["reason"]} When the signal aborts
   */
  open(init: OpenInit): Promise<UpstreamSession>;
}
