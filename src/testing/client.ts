/**
 * An in-process client with a friendly surface over the official one.
 *
 * @module
 */
import type {
  McpSubscription,
  RequestMethod,
  RequestOptions as ClientRequestOptions,
  ResultTypeMap,
  StandardSchemaV1,
} from "@modelcontextprotocol/client";
import { checkNames } from "../internal/known_names.ts";
import { McpError } from "../protocol/errors.ts";
import type { Notification } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type {
  CallToolResult,
  GetPromptResult,
  Implementation,
  LogLevel,
  ReadResourceResult,
  ServerCapabilities,
} from "../protocol/shapes.ts";
import type { Inbox } from "./inbox.ts";
import type { HandlerTransport } from "./transport.ts";
import type {
  Completion,
  CompletionReference,
  ListedPrompt,
  ListedResource,
  ListedResourceTemplate,
  ListedTool,
  OfficialClient,
  TestRequestOptions,
} from "./types.ts";
import type { CallParameters, ResultOf, ToolName, ToolsOf, UncheckedName } from "./typed_tools.ts";
import { within } from "./wait.ts";
import { official } from "./official.ts";

/** Pages of a list before giving up. */
const MAX_PAGES = 1_000;
/** Longest timer. The official client's own limit must not end a wait before ours. */
const NEVER_MS = 2 ** 31 - 1;

/** Passes a result on unchecked. */
const UNCHECKED: StandardSchemaV1<unknown, JsonObject> = {
  "~standard": {
    version: 1,
    vendor: "mooring",
    validate: (value) => ({ value: value as JsonObject }), // JSON-RPC allows objects only
  },
};

type ListMethod = "tools/list" | "resources/list" | "resources/templates/list" | "prompts/list";

/**
 * A connected client, made by {@linkcode connect}, which also says how it knows the server's tools. Its
 * methods reject
 * - with an `McpError` for a JSON-RPC error, with the server's code, message and data,
 * - with a `RefusedError` for an HTTP status of 400 or more,
 * - with a `TimeoutError` or the reason of the caller's signal for a wait that ended early,
 * - with an `SdkError` of the official client for a result that breaks the protocol, and for methods
 *   that the protocol version doesn't have.
 *
 * @typeParam Tools The handles of the server's tools, as {@linkcode connect} takes them
 */
export class TestClient<Tools = unknown> implements AsyncDisposable {
  /**
   * The official client, for everything that has no method here. Requests made through it reject with
   * the errors of this class too.
   */
  readonly client: OfficialClient;
  /** Session id; `undefined` from 2026-07-28 on, and if the server keeps no sessions. */
  readonly sessionId: string | undefined;
  /** Negotiated protocol version. */
  readonly protocolVersion: string;
  /** Name and version of the server; `undefined` if it doesn't tell, from 2026-07-28 on. */
  readonly serverInfo: Implementation | undefined;
  /** Capabilities of the server. */
  readonly capabilities: ServerCapabilities;
  /** The server's instructions for a model. */
  readonly instructions: string | undefined;
  readonly #transport: HandlerTransport;
  readonly #inbox: Inbox;
  readonly #timeoutMs: number;
  readonly #modern: boolean;
  readonly #closing = new AbortController();
  readonly #subscriptions = new Map<string, McpSubscription>();
  #logLevel: LogLevel | undefined;
  #nextToken = 1;
  #closed: Promise<void> | undefined;

  /** Called by {@linkcode connect}. */
  constructor(
    client: OfficialClient,
    transport: HandlerTransport,
    inbox: Inbox,
    timeoutMs: number,
  ) {
    this.client = client;
    this.sessionId = transport.sessionId;
    this.protocolVersion = client.getNegotiatedProtocolVersion() ?? "";
    this.serverInfo = client.getServerVersion();
    this.capabilities = client.getServerCapabilities() ?? {};
    this.instructions = client.getInstructions();
    this.#transport = transport;
    this.#inbox = inbox;
    this.#timeoutMs = timeoutMs;
    this.#modern = client.getProtocolEra() === "modern";
  }

  /**
   * Notifications received so far, oldest first, except progress of requests with `onProgress`. Keeps
   * the newest 1,000.
   */
  get notifications(): readonly Notification[] {
    return this.#inbox.received;
  }

  /**
   * Waits for a notification: the oldest of its method that no earlier call has returned, or the next
   * to arrive.
   *
   * @param options.timeoutMs Time limit in milliseconds; that of the client if left out
   * @throws {DOMException} A `TimeoutError` if none arrives in time
   */
  async nextNotification(
    method: string,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<Notification> {
    checkNames("nextNotification()", options, { timeoutMs: true });
    return await this.#inbox.next(method, options.timeoutMs ?? this.#timeoutMs);
  }

  /**
   * Calls a tool. A tool that fails resolves with `isError`.
   *
   * A client that knows the server's tools takes their names and arguments only. Anything else can be
   * sent with a name that the compiler doesn't know: `client.callTool("nope" as string)`.
   */
  callTool<Name extends ToolName<Tools>>(
    name: Name,
    ...parameters: CallParameters<Tools, Name>
  ): Promise<ResultOf<ToolsOf<Tools>[Name]>>;
  /** Calls a tool by a name that isn't checked. */
  callTool<Name extends string>(
    name: UncheckedName<Tools, Name>,
    args?: JsonObject,
    options?: TestRequestOptions,
  ): Promise<CallToolResult>;
  async callTool(name: string, ...parameters: readonly unknown[]): Promise<unknown> {
    // The overloads take nothing else
    const [args, options = {}] = parameters as readonly [JsonObject?, TestRequestOptions?];
    const params = { name, ...args && { arguments: args } };
    const result = await this.#send("tools/call", params, options, (params, options) => {
      return this.client.callTool(params, options);
    });
    // Only 2026-07-28 allows `structuredContent` of another type, and few servers send it.
    return result as CallToolResult;
  }

  /** Lists all tools, page by page. */
  async listTools(): Promise<readonly ListedTool[]> {
    return await this.#listAll<ListedTool>("tools/list", "tools");
  }

  /** Lists all resources, page by page. */
  async listResources(): Promise<readonly ListedResource[]> {
    return await this.#listAll<ListedResource>("resources/list", "resources");
  }

  /** Lists all resource templates, page by page. */
  async listResourceTemplates(): Promise<readonly ListedResourceTemplate[]> {
    const method = "resources/templates/list";
    return await this.#listAll<ListedResourceTemplate>(method, "resourceTemplates");
  }

  /** Lists all prompts, page by page. */
  async listPrompts(): Promise<readonly ListedPrompt[]> {
    return await this.#listAll<ListedPrompt>("prompts/list", "prompts");
  }

  /** Reads a resource. */
  async readResource(uri: string, options?: TestRequestOptions): Promise<ReadResourceResult> {
    return await this.#typed("resources/read", { uri }, options);
  }

  /** Subscribes to updates of a resource: `subscriptions/listen` from 2026-07-28 on. */
  async subscribe(uri: string): Promise<void> {
    if (!this.#modern) {
      await this.request("resources/subscribe", { uri });
      return;
    }
    const filter = { resourceSubscriptions: [uri] };
    const listening = this.#send("subscriptions/listen", {}, {}, (_params, options) => {
      return this.client.listen(filter, options);
    });
    this.#subscriptions.set(uri, await listening);
  }

  /** Ends a subscription. */
  async unsubscribe(uri: string): Promise<void> {
    if (!this.#modern) await this.request("resources/unsubscribe", { uri });
    await this.#subscriptions.get(uri)?.close();
    this.#subscriptions.delete(uri);
  }

  /** Gets a prompt. */
  async getPrompt(
    name: string,
    args?: Readonly<Record<string, string>>,
    options?: TestRequestOptions,
  ): Promise<GetPromptResult> {
    const params = { name, ...args && { arguments: args } };
    return await this.#typed("prompts/get", params, options);
  }

  /**
   * Completes an argument of a prompt, or a variable of a resource template.
   *
   * @param context Arguments that are known already
   */
  async complete(
    ref: CompletionReference,
    argument: { readonly name: string; readonly value: string },
    context?: Readonly<Record<string, string>>,
  ): Promise<Completion> {
    const params = { ref, argument, ...context && { context: { arguments: context } } };
    return (await this.#typed("completion/complete", params)).completion;
  }

  /**
   * Sets the lowest level of log messages: with `logging/setLevel`, or from 2026-07-28 on in each
   * request that follows.
   */
  async setLogLevel(level: LogLevel): Promise<void> {
    if (this.#modern) this.#logLevel = level;
    else await this.request("logging/setLevel", { level });
  }

  /** Checks that the server answers. Sends `server/discover` from 2026-07-28 on, which has no `ping`. */
  async ping(): Promise<void> {
    await this.request(this.#modern ? "server/discover" : "ping");
  }

  /** Sends any request. Its result is passed on unchecked. */
  async request(
    method: string,
    params: JsonObject = {},
    options: TestRequestOptions = {},
  ): Promise<JsonObject> {
    return await this.#send(method, params, options, (params, options) => {
      return this.client.request({ method, params }, UNCHECKED, options);
    });
  }

  /** Sends any notification. */
  async notify(method: string, params?: JsonObject): Promise<void> {
    await this.#send(method, {}, {}, () => {
      return this.client.notification({ method, ...params && { params } });
    });
  }

  /** Ends pending requests, the streams and the session. Safe to call twice. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  /** Closes the client. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new DOMException("The client was closed", "AbortError"));
    try {
      await this.#transport.end();
    } finally {
      await this.client.close();
    }
  }

  /** Reads every page. The official client takes a page that repeats for the last one. */
  async #listAll<T>(method: ListMethod, key: string): Promise<readonly T[]> {
    const items: T[] = [];
    let cursor: string | undefined;
    for (let n = 0; n < MAX_PAGES; n++) {
      const page = await this.#typed(method, cursor === undefined ? {} : { cursor });
      // The official client has checked the page by the schema of its method.
      items.push(...(page as unknown as Readonly<Record<string, readonly T[]>>)[key] ?? []);
      cursor = page.nextCursor;
      if (cursor === undefined) return items;
    }
    throw new RangeError(`The server's list has more than ${MAX_PAGES} pages: ${method}`);
  }

  /** Sends a request of the protocol. The official client checks its result. */
  async #typed<M extends RequestMethod>(
    method: M,
    params: JsonObject,
    options: TestRequestOptions = {},
  ): Promise<ResultTypeMap[M]> {
    return await this.#send(method, params, options, (params, options) => {
      return this.client.request({ method, params }, options);
    });
  }

  /** Waits for the official client, and cancels its request when the wait ends early. */
  async #send<P extends JsonObject, T>(
    method: string,
    params: P & { readonly _meta?: JsonObject },
    given: TestRequestOptions,
    send: (params: P, options: ClientRequestOptions) => Promise<T>,
  ): Promise<T> {
    checkNames(`the request ${method}`, given, { onProgress: true, signal: true, timeoutMs: true });
    const { onProgress, signal, timeoutMs = this.#timeoutMs } = given;
    const closing = this.#closing.signal;
    const cancel = new AbortController();
    const failed = new AbortController();
    const stop = AbortSignal.any([closing, failed.signal, ...signal ? [signal] : []]);
    const progressToken = `progress-${this.#nextToken++}`;
    const _meta = {
      ...this.#logLevel && { [official.LOG_LEVEL_META_KEY]: this.#logLevel },
      ...onProgress && { progressToken },
      ...params._meta,
    };
    if (onProgress) {
      this.#transport.progress.set(progressToken, (update) => {
        try {
          onProgress(update);
        } catch (error) {
          failed.abort(error); // An assertion there has to fail the test
        }
      });
    }
    try {
      stop.throwIfAborted();
      const full = Object.keys(_meta).length === 0 ? params : { ...params, _meta };
      const result = send(full, { signal: cancel.signal, timeout: NEVER_MS });
      return await within(result, timeoutMs, `answer to ${method}`, stop);
    } catch (error) {
      // Closing ends the requests with the session.
      if (!closing.aborted) cancel.abort(error instanceof Error ? error.message : error);
      if (!(error instanceof official.ProtocolError)) throw error;
      throw new McpError(error.code, error.message, error.data);
    } finally {
      this.#transport.progress.delete(progressToken);
    }
  }
}
