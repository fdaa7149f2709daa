/**
 * Options of the in-process client.
 *
 * @module
 */
import type { Notification } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type {
  ClientCapabilities,
  CreateMessageParams,
  CreateMessageResult,
  ElicitResult,
  Implementation,
  Root,
} from "../protocol/shapes.ts";

/** The `Client` of `@modelcontextprotocol/client`. */
export type OfficialClient = InstanceType<
  (typeof import("@modelcontextprotocol/client"))["Client"]
>;
/** A tool in a list: the `Tool` of `@modelcontextprotocol/client`. */
export type ListedTool = Awaited<ReturnType<OfficialClient["listTools"]>>["tools"][number];
/** A resource in a list: the `Resource` of `@modelcontextprotocol/client`. */
export type ListedResource = Awaited<
  ReturnType<OfficialClient["listResources"]>
>["resources"][number];
/** A resource template in a list: the `ResourceTemplateType` of `@modelcontextprotocol/client`. */
export type ListedResourceTemplate = Awaited<
  ReturnType<OfficialClient["listResourceTemplates"]>
>["resourceTemplates"][number];
/** A prompt in a list: the `Prompt` of `@modelcontextprotocol/client`. */
export type ListedPrompt = Awaited<ReturnType<OfficialClient["listPrompts"]>>["prompts"][number];
/** A prompt or a resource template, of which a value is completed. */
export type CompletionReference = Parameters<OfficialClient["complete"]>[0]["ref"];
/** Values that a server proposes. */
export type Completion = Awaited<ReturnType<OfficialClient["complete"]>>["completion"];

/** Parameters of an elicitation: a form to fill in, or a URL to visit. */
export interface ElicitParams extends JsonObject {
  /** Text for the user. */
  readonly message: string;
  /** JSON Schema of the form's fields, unless the mode is `"url"`. */
  readonly requestedSchema?: JsonObject;
  /** Kind of the elicitation; a form if left out. */
  readonly mode?: "form" | "url";
  /** URL to visit. */
  readonly url?: string;
}

/** Progress of a request. */
export interface ProgressUpdate {
  /** Amount of work done. */
  readonly progress: number;
  /** Amount of work in all, if known. */
  readonly total?: number;
  /** Current step. */
  readonly message?: string;
}

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
  readonly onElicit?: (params: ElicitParams) => ElicitResult | Promise<ElicitResult>;
  /** Answers sampling requests. Declares the capability `sampling`. */
  readonly onSample?: (
    params: CreateMessageParams,
  ) => CreateMessageResult | Promise<CreateMessageResult>;
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
   * Longest pause before the client resumes a stream, in milliseconds, for any `retry` that the server
   * sends.
   *
   * @default {50}
   */
  readonly maxRetryMs?: number;
}

/** Options for one request. */
export interface TestRequestOptions {
  /** Receives the request's progress notifications. Sends a progress token with the request. */
  readonly onProgress?: (update: ProgressUpdate) => void;
  /** Cancels the request, on the server too. The request rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Time limit for the answer, in milliseconds. */
  readonly timeoutMs?: number;
}
