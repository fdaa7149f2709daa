/**
 * Implements `McpServer`: registers tools, resources and prompts, and answers requests.
 *
 * The next step of a call is in `server/features/tools.ts`.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Dispatcher, DispatcherHost } from "../protocol/exchange.ts";
import type { Implementation, ServerCapabilities } from "../protocol/shapes.ts";
import { withUri } from "../protocol/items.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import type { RequestMessage, Route } from "../protocol/route.ts";
import { withoutNeedlessEscapes } from "../protocol/uri.ts";
import { unknownMethod } from "../protocol/unknown.ts";
import { isModern } from "../protocol/versions.ts";
import type { CacheHint } from "./cache_hint.ts";
import { ChangeNotifier } from "./change_notifier.ts";
import { Completions } from "./features/completion.ts";
import type { ContextSettings } from "./context.ts";
import { type Extension, Extensions } from "./extension.ts";
import type { Feature, FeatureInit, FeatureMethod } from "./features/feature.ts";
import { Lifecycle } from "./features/lifecycle.ts";
import { setLevel } from "./features/logging.ts";
import { ModernResults } from "./modern_results.ts";
import { type PromptConfig, type PromptHandle, Prompts } from "./features/prompts.ts";
import { liveQuestions } from "./questions/questions.ts";
import { ResourceTemplate } from "./uris/resource_template.ts";
import type { TemplateVariables } from "./uris/template_variables.ts";
import { type ResourceConfig, type ResourceHandle, Resources } from "./features/resources.ts";
import type { Schema } from "./schemas/standard_schema.ts";
import { type Answers, type FoundFeature, ServerRoute } from "./route.ts";
import { ResourceSubscriptions } from "./features/subscriptions.ts";
import {
  type InputTypes,
  type OutputTypes,
  type ToolConfig,
  type ToolHandle,
  Tools,
} from "./features/tools.ts";
import type {
  ArgumentsOf,
  PromptReturn,
  ReadHandler,
  ReadTemplateHandler,
  RequestContext,
  ToolReturn,
} from "./types.ts";

/** Configures an {@linkcode McpServer}. */
export interface McpServerOptions {
  /** Tells the model how to use the server. */
  readonly instructions?: string;
  /**
   * Says whether handlers can send log messages.
   *
   * @default {true}
   */
  readonly logging?: boolean;
  /**
   * Says whether clients can subscribe to resources, once any are registered. Call {@linkcode
   * McpServer.resourceUpdated} after a change.
   *
   * @default {true}
   */
  readonly resourceSubscriptions?: boolean;
  /**
   * Adds capabilities beyond the protocol's own: only `experimental` and `extensions` are used. The
   * others follow from what is registered.
   */
  readonly capabilities?: ServerCapabilities;
  /**
   * Says how long clients of 2026-07-28 may cache lists and contents. A resource may override it.
   *
   * @default {{ ttlMs: 0, cacheScope: "private" }}
   */
  readonly cache?: CacheHint;
}

/** Selects the type of `read`: with the variables of the template where the URI is one. */
export type ReadHandlerFor<Uri extends string | ResourceTemplate> = Uri extends
  ResourceTemplate<infer Template> ? ReadTemplateHandler<TemplateVariables<Template>>
  : Uri extends `${string}{${string}` ? ReadTemplateHandler<TemplateVariables<Uri>>
  : ReadHandler;

/**
 * Offers tools, resources and prompts. It keeps no state of clients or sessions, so one server
 * serves them all.
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
  /** What the server says about itself. */
  readonly serverInfo: Implementation;
  readonly #changes = new ChangeNotifier();
  readonly #methods = new Map<string, FeatureMethod>();
  /** Functions that fail requests as if the item that they are about didn't exist. */
  readonly #unknown = new Map<string, FeatureMethod>();
  readonly #extensions = new Extensions(this);
  readonly #lifecycle: Lifecycle;
  readonly #tools: Tools;
  readonly #resources: Resources;
  readonly #prompts: Prompts;
  readonly #completions: Completions;
  readonly #subscriptions: ResourceSubscriptions | undefined;
  readonly #modern: ModernResults;
  readonly #answers: Answers = {
    run: (exchange, answer) => {
      const { method, protocolVersion } = exchange;
      const modern = isModern(protocolVersion);
      const found = answer ?? this.#methods.get(method) ??
        (modern ? this.#extensions.method(method) : undefined);
      if (found === undefined) throw unknownMethod(method);
      return modern ? this.#modern.answer(exchange, found) : found(exchange);
    },
    hide: (exchange, hidden) => {
      const { method, protocolVersion } = exchange;
      const unknown = hidden === "item" ? this.#unknown.get(method) : undefined;
      if (unknown === undefined) throw unknownMethod(method);
      return isModern(protocolVersion) ? this.#modern.answer(exchange, unknown) : unknown(exchange);
    },
    serves: (method) => this.#methods.has(method) || this.#extensions.method(method) !== undefined,
  };

  /**
   * Creates a server that offers nothing yet.
   *
   * @param info The server's name and version, and optional descriptions
   * @throws {TypeError} If the name or the version is missing, or an option has the wrong type
   * @throws {RangeError} If `cache.ttlMs` is not an integer of 0 or more
   */
  constructor(info: Implementation, options: McpServerOptions = {}) {
    checkNames("McpServer", options, {
      instructions: true,
      logging: true,
      resourceSubscriptions: true,
      capabilities: true,
      cache: true,
    });
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
    this.#subscriptions = resourceSubscriptions
      ? new ResourceSubscriptions(this.#resources)
      : undefined;
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
   * Registers a tool (2025-11-25, Tools). A handler may return a full result, a string, one or more
   * content blocks, or `{ structuredContent }`, whose text form is filled in. When it throws a
   * `ToolError`, the model reads its message. When it throws an `McpError`, the client gets that error;
   * of any other error the client learns only that the tool failed.
   *
   * @param name The name, unique among the server's tools
   * @param config The description and settings
   * @param handler Runs the tool with the validated arguments
   * @returns A handle to change, hide or remove it
   * @throws {TypeError} If the name is taken or a schema can't be used
   */
  registerTool<
    const Input extends Schema | undefined = undefined,
    const Output extends Schema | undefined = undefined,
    Name extends string = string,
  >(
    name: Name,
    config: ToolConfig<Input, Output>,
    // Written out, as an editor shows it: a `ToolHandler` would show the schemas, not their types
    handler: (args: ArgumentsOf<Input>, ctx: RequestContext) => MaybePromise<ToolReturn<Output>>,
  ): ToolHandle<InputTypes<Input>, OutputTypes<Output>, Name> {
    const handle = this.#tools.register(name, config, handler);
    this.#serve(this.#tools);
    // It only has other types for the same schemas, and the name that was given
    return handle as ToolHandle<InputTypes<Input>, OutputTypes<Output>, Name>;
  }

  /**
   * Registers a resource, or all resources of a template (2025-11-25, Resources). `read` gets the
   * URI and the context; for a template, the URI, its variables and the context. It may return a
   * full result, a string, bytes, or contents without their URI, which is filled in.
   *
   * @param name The name
   * @param uri A URI, or a template: a string with `{…}` in it, or a {@linkcode ResourceTemplate}.
   * A URI that matches several templates belongs to the first
   * @param config The description and settings
   * @param read Reads the resource
   * @returns A handle to change, hide or remove it
   * @throws {TypeError} If the URI is not absolute or is taken, or the template is malformed or
   * taken
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
    // The type of the URI determines the type of the handler
    return handle as ResourceHandle<ReadHandlerFor<Uri>>;
  }

  /**
   * Registers a prompt (2025-11-25, Prompts). A handler may return a full result, a string that the
   * user says, or messages.
   *
   * @param name The name, unique among the server's tools
   * @param config The description and settings
   * @param handler Creates the messages from the validated arguments, which are `{}` without an
   * `argsSchema`
   * @returns A handle to change, hide or remove it
   * @throws {TypeError} If the name is taken or the schema can't be used
   */
  registerPrompt<const Args extends Schema | undefined = undefined>(
    name: string,
    config: PromptConfig<Args>,
    handler: (args: ArgumentsOf<Args>, ctx: RequestContext) => MaybePromise<PromptReturn>,
  ): PromptHandle<InputTypes<Args>> {
    const handle = this.#prompts.register(name, config, handler);
    this.#serve(this.#prompts);
    // It only has other types for the same schema
    return handle as PromptHandle<InputTypes<Args>>;
  }

  /**
   * Adds an extension, such as `tasks()` of `@mooring/mcp/tasks` (2026-07-28, Extensions). Clients
   * of 2026-07-28 see it in the capabilities; clients of the 2025 versions see no difference.
   *
   * @param extension The extension
   * @returns The same extension
   * @throws {TypeError} If it is used already, has a method that is answered already, or the server
   * is being served
   */
  use<E extends Extension>(extension: E): E {
    this.#extensions.add(extension);
    return extension;
  }

  /** Notifies the clients that are subscribed to a resource that it changed. */
  resourceUpdated(uri: string): void {
    this.#changes.resourceUpdated(uri);
  }

  /**
   * Tells clients to list the tools again. Changes of what is registered are told without it: call it
   * when something else decides what a client sees, such as `authorize`. Does nothing before the first
   * tool is registered.
   */
  sendToolListChanged(): void {
    this.#sendListChanged("tools");
  }

  /**
   * Tells clients to list the resources again. Changes of what is registered are told without it: call
   * it when the `list` function of a {@linkcode ResourceTemplate} would return something else. Does
   * nothing before the first resource is registered.
   */
  sendResourceListChanged(): void {
    this.#sendListChanged("resources");
  }

  /**
   * Tells clients to list the prompts again. Changes of what is registered are told without it: call it
   * when something else decides what a client sees, such as `authorize`. Does nothing before the first
   * prompt is registered.
   */
  sendPromptListChanged(): void {
    this.#sendListChanged("prompts");
  }

  /** The `list_changed` notifications of what has been registered. */
  get listChanged(): readonly string[] {
    return ["tools", "resources", "prompts"]
      .filter((kind) => this.#methods.has(`${kind}/list`))
      .map((kind) => `notifications/${kind}/list_changed`);
  }

  /** Whether clients can subscribe to resources. */
  get resourceUpdates(): boolean {
    return this.#methods.has("resources/subscribe");
  }

  /** Finds what a request is about. Its errors for what is hidden are those for what is unknown. */
  route(given: RequestMessage): Route {
    const message = this.#plain(given);
    return new ServerRoute(message, this.#find(message), this.#answers);
  }

  /** Writes the URI of a request for a resource as it is registered, or without needless escapes. */
  #plain(message: RequestMessage): RequestMessage {
    const { method, params } = message;
    const isUri = method.startsWith("resources/") || method === "completion/complete";
    const uri = isUri ? isObject(params.ref) ? params.ref.uri : params.uri : undefined;
    if (typeof uri !== "string" || this.#resources.isRegistered(uri)) return message;
    const plain = withoutNeedlessEscapes(uri);
    return plain === uri ? message : { method, params: withUri(params, plain) };
  }

  /** Attaches an endpoint, which is notified of changes until the returned function is called. */
  attach(host: DispatcherHost): () => void {
    const detach = host.longCalls === false ? [this.refuseLongCalls()] : [];
    try {
      if (host.answersOnce === false) detach.push(this.refuseAnswersOnce());
    } catch (error) {
      detach.forEach((each) => each());
      throw error;
    }
    detach.push(this.#changes.attach(host), this.#extensions.attach(host));
    return () => detach.forEach((each) => each());
  }

  /**
   * Refuses tools that have a time of their own to be answered after, until the returned function is called:
   * for an endpoint without the option `longCalls`.
   *
   * @throws {TypeError} If there is such a tool
   */
  refuseLongCalls(): () => void {
    return this.#tools.refuseLongCalls();
  }

  /**
   * Refuses tools that answer once, until the returned function is called: for an endpoint whose store keeps
   * no answers.
   *
   * @throws {TypeError} If there is such a tool
   */
  refuseAnswersOnce(): () => void {
    return this.#tools.refuseAnswersOnce();
  }

  /** Finds the tool, prompt or resource that a request is about. */
  #find({ method, params }: RequestMessage): FoundFeature | undefined {
    switch (method) {
      case "tools/call":
        return this.#tools.find(params.name);
      case "prompts/get":
        return this.#prompts.find(params.name);
      case "resources/read":
        return this.#resources.find(params.uri);
      case "resources/subscribe":
      case "resources/unsubscribe":
        return this.#resources.named(params.uri);
      case "completion/complete":
        return this.#completions.find(params.ref);
    }
    return undefined;
  }

  #sendListChanged(kind: "tools" | "resources" | "prompts"): void {
    const method = `notifications/${kind}/list_changed`;
    if (this.listChanged.includes(method)) this.#changes.changed(method);
  }

  #registerResource(
    name: string,
    uri: string | ResourceTemplate,
    config: ResourceConfig,
    read: unknown,
  ): ResourceHandle<ReadHandler> | ResourceHandle<ReadTemplateHandler> {
    if (typeof uri === "string" && !uri.includes("{")) {
      // The type of the URI determines the type of the handler, here and below
      return this.#resources.register(name, uri, config, read as ReadHandler);
    }
    const template = typeof uri === "string" ? new ResourceTemplate(uri) : uri;
    return this.#resources.registerTemplate(name, template, config, read as ReadTemplateHandler);
  }

  #serve({ methods, unknown = {} }: Feature): void {
    for (const [name, method] of Object.entries(methods)) this.#methods.set(name, method);
    for (const [name, method] of Object.entries(unknown)) this.#unknown.set(name, method);
    this.#lifecycle.renew();
  }
}
