/**
 * Defines extensions, which add methods to a server beyond those of the protocol (2026-07-28,
 * Extensions).
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { DispatcherHost } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import { checkName } from "./features/definition.ts";
import type { FeatureMethod } from "./features/feature.ts";
import type { McpServer } from "./server.ts";
import type { ToolCall } from "./features/tools.ts";

/**
 * Adds methods to a server beyond those of the protocol (2026-07-28, Extensions). Clients of the
 * 2025 versions don't know extensions: for them the server behaves as if it had none.
 */
export interface Extension {
  /** Identifies the extension, such as `"io.modelcontextprotocol/tasks"`. */
  readonly id: string;
  /**
   * Holds what the server's capabilities say about the extension; `undefined` while it is not
   * offered.
   */
  readonly settings: JsonObject | undefined;
  /** The functions that answer its methods, by method name. */
  readonly methods: Readonly<Record<string, FeatureMethod>>;
  /**
   * Answers a tool call in place of the tool, which `call.run()` runs. Only one extension of a
   * server may have it.
   */
  readonly callTool?: (call: ToolCall) => MaybePromise<JsonObject>;
  /** Receives the server that uses the extension, once. */
  readonly install?: (server: McpServer) => void;
  /**
   * Receives each endpoint that serves the server, once. The returned function is called when that
   * endpoint closes.
   */
  readonly attach?: (host: DispatcherHost) => () => void;
}

/** The extensions of a server. */
export class Extensions {
  readonly #server: McpServer;
  readonly #used = new Map<string, Extension>();
  readonly #methods = new Map<string, FeatureMethod>();
  /** Answers tool calls, if an extension does. */
  callTool: Extension["callTool"];
  #served = false;

  constructor(server: McpServer) {
    this.#server = server;
  }

  /**
   * Adds an extension.
   *
   * @throws {TypeError} If it has been added before, has a method that is answered already, is the
   * second with `callTool`, or the server is being served
   */
  add(extension: Extension): void {
    const { id, methods, callTool } = extension;
    checkName("extension", id);
    if (this.#used.has(id)) throw new TypeError(`Use each extension once: "${id}"`);
    if (this.#served) throw new TypeError(`Use extensions before the server is served: "${id}"`);
    const taken = Object.keys(methods).find((name) => this.#methods.has(name) || methodFacts(name));
    if (taken !== undefined) {
      throw new TypeError(`Leave out the method "${taken}", which is answered already: "${id}"`);
    }
    if (callTool !== undefined && this.callTool !== undefined) {
      throw new TypeError(`Use at most one extension with "callTool": "${id}"`);
    }
    this.callTool ??= callTool;
    this.#used.set(id, extension);
    for (const [name, method] of Object.entries(methods)) this.#methods.set(name, method);
    extension.install?.(this.#server);
  }

  /** Tells whether an extension has been added. */
  has(id: string): boolean {
    return this.#used.has(id);
  }

  /** Returns the function that answers a method, or `undefined`. */
  method(name: string): FeatureMethod | undefined {
    return this.#methods.get(name);
  }

  /**
   * Returns the settings of all offered extensions, by identifier; `undefined` when there are none.
   */
  get settings(): JsonObject | undefined {
    const offered = [...this.#used.values()].filter(({ settings }) => settings !== undefined);
    if (offered.length === 0) return undefined;
    return Object.fromEntries(offered.map(({ id, settings }) => [id, settings]));
  }

  /** Attaches all extensions to an endpoint. Returns a function that detaches them. */
  attach(host: DispatcherHost): () => void {
    this.#served = true;
    const detach = [...this.#used.values()].map((extension) => extension.attach?.(host));
    return () => detach.forEach((each) => each?.());
  }
}
