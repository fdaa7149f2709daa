/**
 * A client in the same process as the server that it tests.
 *
 * @module
 */
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
import { listAll } from "./paging.ts";
import type {
  Completion,
  CompletionReference,
  ListedPrompt,
  ListedResource,
  ListedResourceTemplate,
  ListedTool,
  RequestOptions,
} from "./types.ts";
import type { Wire } from "./wire.ts";

/**
 * A connected client, made by {@linkcode connect}. What the server answers with an error rejects with
 * an `McpError` that carries its code, message and data; what it turns away before that, with a
 * {@linkcode RefusedError}. Results are handed over as they came, unchecked.
 */
export class TestClient implements AsyncDisposable {
  readonly #wire: Wire;
  readonly #inbox: Inbox;
  readonly #timeoutMs: number;

  /** Called by {@linkcode connect}. */
  constructor(wire: Wire, inbox: Inbox, timeoutMs: number) {
    this.#wire = wire;
    this.#inbox = inbox;
    this.#timeoutMs = timeoutMs;
  }

  /** The session's id; `undefined` where the server keeps no sessions. */
  get sessionId(): string | undefined {
    return this.#wire.sessionId;
  }
  /** The protocol version that was agreed on. */
  get protocolVersion(): string {
    return this.#wire.facts.protocolVersion;
  }
  /** What the server says it is. */
  get serverInfo(): Implementation {
    return this.#wire.facts.serverInfo;
  }
  /** What the server says it can do. */
  get capabilities(): ServerCapabilities {
    return this.#wire.facts.capabilities;
  }
  /** What the server tells a model about using it. */
  get instructions(): string | undefined {
    return this.#wire.facts.instructions;
  }
  /**
   * The notifications received so far, oldest first, besides the progress that a caller asked for. Of
   * more than 1,000, the newest.
   */
  get notifications(): readonly Notification[] {
    return this.#inbox.received;
  }

  /**
   * Waits for a notification: the oldest of its method that no such call has returned before, or the
   * next to come.
   *
   * @param options.timeoutMs How long to wait, in milliseconds; as long as for answers when left out
   * @throws {DOMException} A `TimeoutError` when none comes in time
   */
  async nextNotification(
    method: string,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<Notification> {
    return await this.#inbox.next(method, options.timeoutMs ?? this.#timeoutMs);
  }

  /** Calls a tool. A tool that fails gives a result with `isError`, which is no rejection. */
  async callTool(
    name: string,
    args?: JsonObject,
    options?: RequestOptions,
  ): Promise<CallToolResult> {
    const params = args === undefined ? { name } : { name, arguments: args };
    return await this.#typed<CallToolResult>("tools/call", params, options);
  }

  /** Lists all tools, page by page. */
  async listTools(): Promise<readonly ListedTool[]> {
    return await listAll<ListedTool>(this.#wire, "tools/list", "tools");
  }

  /** Lists all resources, page by page. */
  async listResources(): Promise<readonly ListedResource[]> {
    return await listAll<ListedResource>(this.#wire, "resources/list", "resources");
  }

  /** Lists all resource templates, page by page. */
  async listResourceTemplates(): Promise<readonly ListedResourceTemplate[]> {
    const method = "resources/templates/list";
    return await listAll<ListedResourceTemplate>(this.#wire, method, "resourceTemplates");
  }

  /** Reads a resource. */
  async readResource(uri: string, options?: RequestOptions): Promise<ReadResourceResult> {
    return await this.#typed<ReadResourceResult>("resources/read", { uri }, options);
  }

  /** Asks to be told when a resource changes. */
  async subscribe(uri: string): Promise<void> {
    await this.request("resources/subscribe", { uri });
  }

  /** Asks not to be told any more. */
  async unsubscribe(uri: string): Promise<void> {
    await this.request("resources/unsubscribe", { uri });
  }

  /** Lists all prompts, page by page. */
  async listPrompts(): Promise<readonly ListedPrompt[]> {
    return await listAll<ListedPrompt>(this.#wire, "prompts/list", "prompts");
  }

  /** Gets a prompt with its arguments filled in. */
  async getPrompt(
    name: string,
    args?: Readonly<Record<string, string>>,
    options?: RequestOptions,
  ): Promise<GetPromptResult> {
    const params = args === undefined ? { name } : { name, arguments: args };
    return await this.#typed<GetPromptResult>("prompts/get", params, options);
  }

  /**
   * Asks how an argument may go on.
   *
   * @param context The arguments that are known already
   */
  async complete(
    ref: CompletionReference,
    argument: { readonly name: string; readonly value: string },
    context?: Readonly<Record<string, string>>,
  ): Promise<Completion> {
    const params = { ref, argument, ...context && { context: { arguments: context } } };
    const { completion } = await this.#typed<{ readonly completion: Completion }>(
      "completion/complete",
      params,
    );
    return completion;
  }

  /** Asks for log messages from a level on. They arrive as notifications. */
  async setLogLevel(level: LogLevel): Promise<void> {
    await this.request("logging/setLevel", { level });
  }

  /** Asks whether the server answers. */
  async ping(): Promise<void> {
    await this.request("ping");
  }

  /** Sends any request and waits for its result. */
  async request(
    method: string,
    params: JsonObject = {},
    options: RequestOptions = {},
  ): Promise<JsonObject> {
    return await this.#wire.request(method, params, options);
  }

  /** Sends any notification. */
  async notify(method: string, params?: JsonObject): Promise<void> {
    await this.#wire.notify(method, params);
  }

  /** Ends what waits, the stream and the session. Doing it again changes nothing. */
  async close(): Promise<void> {
    await this.#wire.close();
  }

  /** Does what {@linkcode TestClient.close} does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #typed<T>(method: string, params: JsonObject, options?: RequestOptions): Promise<T> {
    const result: unknown = await this.request(method, params, options);
    // Handed on as it came: judging it is what the test is for.
    return result as T;
  }
}
