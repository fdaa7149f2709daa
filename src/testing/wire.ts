/**
 * How a client speaks to the server: the part that differs from era to era.
 *
 * @module
 */
import type { Notification } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { ClientCapabilities, Implementation, ServerCapabilities } from "../protocol/shapes.ts";
import type { Answers } from "./questions.ts";
import type { RequestHandler, RequestOptions } from "./types.ts";

/** What a {@linkcode Wire} is made from: the options of the client, with their defaults. */
export interface WireOptions {
  readonly handler: RequestHandler;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly protocolVersion: string;
  readonly capabilities: ClientCapabilities;
  readonly clientInfo: Implementation;
  readonly accept: string;
  readonly answers: Answers;
  readonly listen: boolean;
  readonly timeoutMs: number;
  readonly maxRetryMs: number;
  /** Takes what the server says without being asked. */
  readonly notified: (notification: Notification) => void;
}

/** What a server says of itself. */
export interface ServerFacts {
  readonly protocolVersion: string;
  readonly serverInfo: Implementation;
  readonly capabilities: ServerCapabilities;
  readonly instructions: string | undefined;
}

/** A connected client's way to the server. */
export interface Wire {
  readonly facts: ServerFacts;
  /** The session's id, where there are sessions. */
  readonly sessionId: string | undefined;
  /** Sends a request and waits for its result. */
  request(method: string, params: JsonObject, options: RequestOptions): Promise<JsonObject>;
  /** Sends a notification. */
  notify(method: string, params: JsonObject | undefined): Promise<void>;
  /** Ends what can be ended. Safe to call twice. */
  close(): Promise<void>;
}
