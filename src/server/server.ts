/**
 * A server: what it offers, registered piece by piece, and answers to the requests for it.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Dispatcher, DispatcherHost, Exchange } from "../protocol/exchange.ts";
import type { HeaderParam } from "../protocol/headers.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Implementation, ServerCapabilities } from "../protocol/shapes.ts";
import { unknownMethod, unknownTool } from "../protocol/unknown.ts";
import { isModern } from "../protocol/versions.ts";
import type { CacheHint } from "./cache_hint.ts";
import { ChangeNotifier } from "./change_notifier.ts";
import { Completions } from "./completion.ts";
import type { ContextSettings } from "./context.ts";
import { type Extension, Extensions } from "./extension.ts";
import type { Feature, FeatureInit, Method } from "./feature.ts";
import { Lifecycle } from "./lifecycle.ts";
import { setLevel } from "./logging.ts";
import { ModernResults } from "./modern_results.ts";
import { type PromptConfig, type PromptHandle, Prompts } from "./prompts.ts";
import { liveQuestions } from "./questions.ts";
import { ResourceTemplate } from "./resource_template.ts";
import { type ResourceConfig, type ResourceHandle, Resources } from "./resources.ts";
import type { Schema } from "./standard_schema.ts";
import { Subscriptions } from "./subscriptions.ts";
import { type ToolConfig, type ToolHandle, Tools } from "./tools.ts";
import type { PromptHandler, ReadHandler, ReadTemplateHandler, ToolHandler } from "./types.ts";

/** Options for {@linkcode McpServer}. */
export interface McpServerOptions {
  /** How the server is to be used, for the model. */
  readonly instructions?: string;
  /**
   * Whether handlers can send log messages.
   *
   * @default {true}
   */
  readonly logging?: boolean;
  /**
   * Whether clients can subscribe to resources, once there are any. Tell of changes by
   * {@linkcode McpServer.resourceUpdated}.
   *
   * @default {true}
   */
  readonly resourceSubscriptions?: boolean;
  /**
   * Capabilities beyond the protocol's own: only `experimental` and `extensions` are looked at. The
   * others follow from what is registered.
   */
  readonly capabilities?: ServerCapabilities;
  /**
   * How long clients of 2026-07-28 may keep lists and contents. A resource may say otherwise for
   * itself.
   */
  readonly cache?: CacheHint;
}

/** What `read` gets: the variables too where the URI is a template. */
export type ReadHandlerFor<Uri extends string | ResourceTemplate> = Uri extends
  ResourceTemplate | `${string}{${string}` ? ReadTemplateHandler : ReadHandler;

/**
 * A server of tools, resources and prompts. It holds nothing of any client or session, so one serves
 * them all.
 *
 * @example
 * ```ts
 * import { McpServer } from "@mooring/mcp";
 * import { z } from "zod";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("add", {
 *   description: "Adds two numbers.",
 *   inputSchema: z.object({ a: z.number(), b: z.number() }),
 *   outputSchema: z.object({ sum: z.number() }),
 * }, ({ a, b }) => ({ structuredContent: { sum: a + b } }));
 * server.registerResource("readme", "demo://readme", {}, () => "Read me");
 * ```
 */
export class McpServer implements Dispatcher {
  /** What the server says of itself. */
  readonly serverInfo: Implementation;
  readonly #changes = new ChangeNotifier();
  readonly #methods = new Map<string, Method>();
  readonly #extensions = new Extensions(this);
  readonly #lifecycle: Lifecycle;
  readonly #tools: Tools;
  readonly #resources: Resources;
  readonly #prompts: Prompts;
  readonly #completions: Completions;
  readonly #subscriptions: Subscriptions | undefined;
  readonly #modern: ModernResults;

  /**
   * Makes a server that offers nothing yet.
   *
   * @param info The server's name and version, and what else there is to say of it
   * @throws {TypeError} If the name or the version is missing
   */
  constructor(info: Implementation, options: McpServerOptions = {}) {
    const { instructions, logging = true, resourceSubscriptions = true, capabilities, cache } =
      options;
    this.serverInfo = { ...info };
    this.#modern = new ModernResults(this.serverInfo, cache);
    const context: ContextSettings = {
      logging,
      questions: (exchange) =>
        isModern(exchange.protocolVersion)
          ? this.#modern.rounds(exchange)
          : liveQuestions(exchange),
    };
    const init: FeatureInit = {
      context,
      changed: (method) => this.#changes.changed(method),
      completable: () => this.#serve(this.#completions),
    };
    this.#tools = new Tools({
      ...init,
      uses: (extension) => this.#extensions.has(extension),
      callTool: () => this.#extensions.callTool,
    });
    this.#resources = new Resources(init);
    this.#prompts = new Prompts(init);
    this.#completions = new Completions({
      context,
      prompts: this.#prompts,
      resources: this.#resources,
    });
    this.#subscriptions = resourceSubscriptions ? new Subscriptions(this.#resources) : undefined;
    this.#lifecycle = new Lifecycle({
      info: this.serverInfo,
      instructions,
      serves: (method) => this.#methods.has(method),
      extra: { experimental: capabilities?.experimental, extensions: capabilities?.extensions },
      extensions: () => this.#extensions.settings,
    });
    this.#serve(this.#lifecycle);
    if (logging) this.#methods.set("logging/setLevel", setLevel);
  }

  /**
   * Offers a tool. A handler may return a full result, a text, a block or blocks of content, or
   * `{ structuredContent }`, whose text form is filled in. What it throws reaches the client only as a
   * failure without details, except an `McpError`, which is sent as it is.
   *
   * @param name Its name, unique among the server's tools
   * @param config What there is to say about it
   * @param handler Does what the tool is for, with the checked arguments
   * @returns A handle to change, hide or remove it
   * @throws {TypeError} If the name is taken or a schema can't be used
   */
  registerTool<
    Input extends Schema | undefined = undefined,
    Output extends Schema | undefined = undefined,
  >(
    name: string,
    config: ToolConfig<Input, Output>,
    handler: ToolHandler<Input, Output>,
  ): ToolHandle<Input, Output> {
    const handle = this.#tools.register(name, config, handler);
    this.#serve(this.#tools);
    return handle;
  }

  /**
   * Offers a resource, or all those that fit a template. `read` gets the URI and the context; for a
   * template, the URI, its variables and the context. It may return a full result, a text, bytes, or
   * contents without their URI, which is filled in.
   *
   * @param name Its name
   * @param uri A URI, or a template: a text with `{…}` in it, or a {@linkcode ResourceTemplate}.
   * A URI that fits several templates belongs to the first
   * @param config What there is to say about it
   * @param read Reads it
   * @returns A handle to change, hide or remove it
   * @throws {TypeError} If the URI is none or is taken, or the template is malformed
   */
  registerResource<Uri extends string | ResourceTemplate>(
    name: string,
    uri: Uri,
    config: ResourceConfig,
    read: ReadHandlerFor<Uri>,
  ): ResourceHandle<ReadHandlerFor<Uri>> {
    const handle = this.#registerResource(name, uri, config, read);
    this.#serve(this.#resources);
    if (this.#subscriptions !== undefined) this.#serve(this.#subscriptions);
    // The kind of the URI has decided on the kind of the handler
    return handle as ResourceHandle<ReadHandlerFor<Uri>>;
  }

  /**
   * Offers a prompt. A handler may return a full result, a text that the user says, or messages.
   *
   * @param name Its name, unique among the server's prompts
   * @param config What there is to say about it
   * @param handler Makes its messages, with the checked arguments: `{}` without an `argsSchema`
   * @returns A handle to change, hide or remove it
   * @throws {TypeError} If the name is taken or the schema can't be used
   */
  registerPrompt<Args extends Schema | undefined = undefined>(
    name: string,
    config: PromptConfig<Args>,
    handler: PromptHandler<Args>,
  ): PromptHandle<Args> {
    const handle = this.#prompts.register(name, config, handler);
    this.#serve(this.#prompts);
    return handle;
  }

  /**
   * Takes up an extension of the protocol, such as `tasks()` of `@mooring/mcp/tasks`. Clients of
   * 2026-07-28 are told of it; to those of the 2025 versions nothing changes.
   *
   * @param extension The extension, before the server is served
   * @returns The same extension
   * @throws {TypeError} If it is used already, answers what is answered already, or comes too late
   */
  use<E extends Extension>(extension: E): E {
    this.#extensions.add(extension);
    return extension;
  }

  /** Tells the clients that are subscribed to a resource that it changed. */
  resourceUpdated(uri: string): void {
    this.#changes.resourceUpdated(uri);
  }

  /** The `list_changed` notifications of what has been registered. */
  get listChanged(): readonly string[] {
    return ["tools", "resources", "prompts"]
      .filter((kind) => this.#methods.has(`${kind}/list`))
      .map((kind) => `notifications/${kind}/list_changed`);
  }

  /** Whether clients can be told that a resource changed. */
  get resourceUpdates(): boolean {
    return this.#methods.has("resources/subscribe");
  }

  /** The arguments of a tool that 2026 clients repeat in headers. */
  headerParams(tool: string): readonly HeaderParam[] | undefined {
    return this.#tools.headerParams(tool);
  }

  /** The scopes that a principal needs to call a tool. */
  toolScopes(tool: string): readonly string[] | undefined {
    return this.#tools.scopes(tool);
  }

  /** Answers a request: at once where everything that takes part in it does. */
  dispatch(exchange: Exchange): MaybePromise<JsonObject> {
    const modern = isModern(exchange.protocolVersion);
    const method = this.#methods.get(exchange.method) ??
      (modern ? this.#extensions.method(exchange.method) : undefined);
    if (method === undefined) throw unknownMethod(exchange.method);
    return modern ? this.#modern.answer(exchange, method) : method(exchange);
  }

  /** Fails a request as though what it asks for weren't there: the same way, to the same words. */
  hide(exchange: Exchange): MaybePromise<JsonObject> {
    const { method, params, protocolVersion } = exchange;
    if (method !== "tools/call" || !this.#methods.has(method)) throw unknownMethod(method);
    if (!isModern(protocolVersion)) throw unknownTool(params.name);
    return this.#modern.answer(exchange, () => {
      throw unknownTool(params.name);
    });
  }

  /** Tells an endpoint of changes from now on, until the returned function is called. */
  attach(host: DispatcherHost): () => void {
    const detach = [this.#changes.attach(host), this.#extensions.attach(host)];
    return () => detach.forEach((each) => each());
  }

  #registerResource(
    name: string,
    uri: string | ResourceTemplate,
    config: ResourceConfig,
    read: unknown,
  ): ResourceHandle<ReadHandler> | ResourceHandle<ReadTemplateHandler> {
    if (typeof uri === "string" && !uri.includes("{")) {
      // The kind of the URI has decided on the kind of the handler, here and below
      return this.#resources.register(name, uri, config, read as ReadHandler);
    }
    const template = typeof uri === "string" ? new ResourceTemplate(uri) : uri;
    return this.#resources.registerTemplate(name, template, config, read as ReadTemplateHandler);
  }

  #serve({ methods }: Feature): void {
    for (const [name, method] of Object.entries(methods)) this.#methods.set(name, method);
    this.#lifecycle.renew();
  }
}
