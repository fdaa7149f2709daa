/**
 * Options of the in-process client.
 *
 * @module
 */
import type {
  CreateMessageRequestParams,
  CreateMessageResult,
  CreateMessageResultWithTools,
  ElicitRequestParams,
  ElicitResult,
  Implementation,
  Progress,
  Root,
} from "@modelcontextprotocol/client";
import type { Notification } from "../protocol/exchange.ts";
import type { ClientCapabilities } from "../protocol/shapes.ts";

/** The tested server: a handler, or any other function that answers requests as `fetch` does. */
export type RequestHandler = (request: Request) => Response | Promise<Response>;

/** Options for {@linkcode connect}. */
export interface ConnectOptions {
  /**
   * URL of the requests. Nothing is sent there: the handler is called.
   *
   * @default {"http://localhost/mcp"}
   */
  readonly url?: string | URL;
  /** Headers of every request, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Protocol version to propose. Up to `"2025-11-25"` the client sends `initialize`, and the server
   * may choose another version. From `"2026-07-28"` on there is no session: the client sends
   * `server/discover`, and rejects unless the server offers exactly this version.
   *
   * @default {"2025-11-25"}
   */
  readonly protocolVersion?: string;
  /** Client capabilities to declare besides those that `onElicit`, `onSample` and `onRoots` imply. */
  readonly capabilities?: ClientCapabilities;
  /**
   * Name and version of the client.
   *
   * @default {{ name: "mooring-testing", version: "1.0.0" }}
   */
  readonly clientInfo?: Implementation;
  /**
   * Accept header of every POST.
   *
   * @default {"application/json, text/event-stream"}
   */
  readonly accept?: string;
  /** Answers elicitations. Declares the capability `elicitation`, with forms and URLs. */
  readonly onElicit?: (params: ElicitRequestParams) => ElicitResult | Promise<ElicitResult>;
  /** Answers sampling requests. Declares the capability `sampling`. */
  readonly onSample?: (params: CreateMessageRequestParams) =>
    | CreateMessageResult
    | CreateMessageResultWithTools
    | Promise<CreateMessageResult | CreateMessageResultWithTools>;
  /** Lists the client's roots. Declares the capability `roots`. */
  readonly onRoots?: () => readonly Root[] | Promise<readonly Root[]>;
  /** Receives every notification, except progress of requests with `onProgress`. */
  readonly onNotification?: (notification: Notification) => void;
  /**
   * Whether to receive notifications that belong to no request. In a session the client opens the
   * GET stream, unless the server answers 405. From 2026-07-28 on it sends `subscriptions/listen` for
   * the `list_changed` notifications that the server declares.
   *
   * @default {true}, unless `accept` is given without `text/event-stream`
   */
  readonly listen?: boolean;
  /**
   * Limit of every wait, in milliseconds. Each request may set its own.
   *
   * @default {30000}
   */
  readonly timeoutMs?: number;
  /**
   * Longest pause before the client resumes a stream, in milliseconds, whatever `retry` the server
   * sends.
   *
   * @default {50}
   */
  readonly maxRetryMs?: number;
}

/** Options for one request. */
export interface RequestOptions {
  /** Receives the request's progress notifications. Sends a progress token with the request. */
  readonly onProgress?: (update: Progress) => void;
  /** Cancels the request, on the server too. The request rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Time limit for the answer, in milliseconds. */
  readonly timeoutMs?: number;
}
