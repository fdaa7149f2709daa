/**
 * What the in-process client takes and gives.
 *
 * @module
 */
import type { Icon } from "../protocol/content.ts";
import type { Notification } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type {
  ClientCapabilities,
  CreateMessageParams,
  CreateMessageResult,
  ElicitResult,
  Implementation,
  Root,
  ToolAnnotations,
} from "../protocol/shapes.ts";

/** What is tested: a handler, or anything else that answers requests as `fetch` does. */
export type RequestHandler = (request: Request) => Response | Promise<Response>;

/** What the server asks the user: to fill in a form, or to visit a URL. */
export interface ElicitParams extends JsonObject {
  /** What the user is shown. */
  readonly message: string;
  /** The form's fields as a JSON Schema, unless the user is to visit a URL. */
  readonly requestedSchema?: JsonObject;
  /** What the user is to do; a form when left out. */
  readonly mode?: "form" | "url";
  /** Where the user is to go. */
  readonly url?: string;
}

/** Options for {@linkcode connect}. */
export interface ConnectOptions {
  /**
   * Where the requests seem to go. Nothing is sent there: the handler is called.
   *
   * @default {"http://localhost/mcp"}
   */
  readonly url?: string | URL;
  /** Headers of every request, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * The protocol version to propose.
   *
   * @default {"2025-11-25"}
   */
  readonly protocolVersion?: string;
  /**
   * What the client says it can do, besides what follows from `onElicit`, `onSample` and `onRoots`.
   */
  readonly capabilities?: ClientCapabilities;
  /**
   * What the client says it is.
   *
   * @default {{ name: "mooring-testing", version: "1.0.0" }}
   */
  readonly clientInfo?: Implementation;
  /**
   * What the client reads: the value of the Accept header.
   *
   * @default {"application/json, text/event-stream"}
   */
  readonly accept?: string;
  /** Answers what the server asks the user. Given, the client says that it can elicit. */
  readonly onElicit?: (params: ElicitParams) => ElicitResult | Promise<ElicitResult>;
  /** Answers what the server asks the model. Given, the client says that it can sample. */
  readonly onSample?: (
    params: CreateMessageParams,
  ) => CreateMessageResult | Promise<CreateMessageResult>;
  /** Tells the server the client's roots. Given, the client says that it has some. */
  readonly onRoots?: () => readonly Root[] | Promise<readonly Root[]>;
  /** Called with every notification besides the progress that a caller has asked for. */
  readonly onNotification?: (notification: Notification) => void;
  /**
   * Whether to open the stream on which the server sends what answers no request. A server that
   * offers none is no error.
   *
   * @default {true}, unless `accept` is given without `text/event-stream`
   */
  readonly listen?: boolean;
  /**
   * How long any wait may last, in milliseconds, unless a call says otherwise.
   *
   * @default {30000}
   */
  readonly timeoutMs?: number;
  /**
   * The longest that the client waits before it comes back to a stream, in milliseconds, however long
   * the server would have it wait.
   *
   * @default {50}
   */
  readonly maxRetryMs?: number;
}

/** Progress of a request. */
export interface ProgressUpdate {
  /** How far the work is. */
  readonly progress: number;
  /** What `progress` rises to, if that is known. */
  readonly total?: number;
  /** What is being done. */
  readonly message?: string;
}

/** How to wait for one request. */
export interface RequestOptions {
  /** Called with each progress notification of this request; makes the client ask for them. */
  readonly onProgress?: (update: ProgressUpdate) => void;
  /** Cancels the request: the server is told, and the request rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** How long the answer may take, in milliseconds. */
  readonly timeoutMs?: number;
}

/** A tool, as a server lists it. */
export interface ListedTool {
  /** What it is called by. */
  readonly name: string;
  /** Its name for people. */
  readonly title?: string;
  /** What it does, for the model. */
  readonly description?: string;
  /** The JSON Schema of its arguments. */
  readonly inputSchema: JsonObject;
  /** The JSON Schema of its `structuredContent`. */
  readonly outputSchema?: JsonObject;
  /** Hints. */
  readonly annotations?: ToolAnnotations;
  /** Pictures that stand for it. */
  readonly icons?: readonly Icon[];
  /** What else there is to say. */
  readonly _meta?: JsonObject;
}

/** A resource, as a server lists it. */
export interface ListedResource {
  /** Where it is. */
  readonly uri: string;
  /** Its name. */
  readonly name: string;
  /** Its name for people. */
  readonly title?: string;
  /** What it is, for the model. */
  readonly description?: string;
  /** Its media type. */
  readonly mimeType?: string;
  /** Bytes. */
  readonly size?: number;
  /** Who it is for, and how much it matters. */
  readonly annotations?: JsonObject;
  /** Pictures that stand for it. */
  readonly icons?: readonly Icon[];
  /** What else there is to say. */
  readonly _meta?: JsonObject;
}

/** A resource template, as a server lists it. */
export interface ListedResourceTemplate {
  /** A URI with variables (RFC 6570). */
  readonly uriTemplate: string;
  /** Its name. */
  readonly name: string;
  /** Its name for people. */
  readonly title?: string;
  /** What its resources are, for the model. */
  readonly description?: string;
  /** The media type of its resources. */
  readonly mimeType?: string;
  /** Who they are for, and how much they matter. */
  readonly annotations?: JsonObject;
  /** Pictures that stand for them. */
  readonly icons?: readonly Icon[];
  /** What else there is to say. */
  readonly _meta?: JsonObject;
}

/** An argument of a prompt, as a server lists it. */
export interface ListedArgument {
  /** What it is called by. */
  readonly name: string;
  /** Its name for people. */
  readonly title?: string;
  /** What it is, for the model. */
  readonly description?: string;
  /** Whether it must be given. */
  readonly required?: boolean;
}

/** A prompt, as a server lists it. */
export interface ListedPrompt {
  /** What it is got by. */
  readonly name: string;
  /** Its name for people. */
  readonly title?: string;
  /** What it is for. */
  readonly description?: string;
  /** What can be filled in. */
  readonly arguments?: readonly ListedArgument[];
  /** Pictures that stand for it. */
  readonly icons?: readonly Icon[];
  /** What else there is to say. */
  readonly _meta?: JsonObject;
}

/** What is to be completed: an argument of a prompt, or a variable of a resource template. */
export type CompletionReference =
  | { readonly type: "ref/prompt"; readonly name: string }
  | { readonly type: "ref/resource"; readonly uri: string };

/** What a server proposes. */
export interface Completion {
  /** The proposals, the best first: at most 100. */
  readonly values: readonly string[];
  /** How many there are in all. */
  readonly total?: number;
  /** Whether there are more than these. */
  readonly hasMore?: boolean;
}
