/**
 * Extensions: what a server can do beyond the protocol's own methods (2026-07-28, Extensions).
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { DispatcherHost } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import { checkName } from "./definition.ts";
import type { Method } from "./feature.ts";
import type { McpServer } from "./server.ts";
import type { ToolCall } from "./tools.ts";

/**
 * Something that a server can do beyond the protocol's own methods. Clients of the 2025 versions
 * don't know extensions: to them a server is as if it had none.
 */
export interface Extension {
  /** Its identifier, such as `"io.modelcontextprotocol/tasks"`. */
  readonly id: string;
  /** What the server's capabilities say of it; `undefined` for as long as it isn't offered. */
  readonly settings: JsonObject | undefined;
  /** What it answers, by method. */
  readonly methods: Readonly<Record<string, Method>>;
  /** Answers the call of a tool, instead of its running at once. One extension of a server may. */
  readonly callTool?: (call: ToolCall) => MaybePromise<JsonObject>;
  /** Told once of the server that uses it. */
  readonly install?: (server: McpServer) => void;
  /**
   * Told once of each endpoint that serves the server. The returned function is called when that
   * closes.
   */
  readonly attach?: (host: DispatcherHost) => () => void;
}

/** The extensions of a server. */
export class Extensions {
  readonly #server: McpServer;
  readonly #used = new Map<string, Extension>();
  readonly #methods = new Map<string, Method>();
  #callTool: Extension["callTool"];
  #served = false;

  constructor(server: McpServer) {
    this.#server = server;
  }

  /**
   * Adds an extension.
   *
   * @throws {TypeError} If it has been added, answers what is answered already, or comes too late
   */
  add(extension: Extension): void {
    const { id, methods, callTool } = extension;
    checkName("extension", id);
    if (this.#used.has(id)) throw new TypeError(`Use each extension once: "${id}"`);
    if (this.#served) throw new TypeError(`Use extensions before the server is served: "${id}"`);
    const taken = Object.keys(methods).find((name) => this.#methods.has(name) || methodFacts(name));
    if (taken !== undefined) throw new TypeError(`Leave "${taken}" to who answers it: "${id}"`);
    if (callTool !== undefined && this.#callTool !== undefined) {
      throw new TypeError(`Use one extension that answers the calls of tools: "${id}"`);
    }
    this.#callTool ??= callTool;
    this.#used.set(id, extension);
    for (const [name, method] of Object.entries(methods)) this.#methods.set(name, method);
    extension.install?.(this.#server);
  }

  /** Whether an extension has been added. */
  has(id: string): boolean {
    return this.#used.has(id);
  }

  /** What answers a method. */
  method(name: string): Method | undefined {
    return this.#methods.get(name);
  }

  /** What answers the calls of tools, if any extension does. */
  get callTool(): Extension["callTool"] {
    return this.#callTool;
  }

  /** What the server's capabilities say of each; `undefined` when there is nothing to say. */
  get settings(): JsonObject | undefined {
    const offered = [...this.#used.values()].filter(({ settings }) => settings !== undefined);
    if (offered.length === 0) return undefined;
    return Object.fromEntries(offered.map(({ id, settings }) => [id, settings]));
  }

  /** Tells all extensions of an endpoint. */
  attach(host: DispatcherHost): () => void {
    this.#served = true;
    const detach = [...this.#used.values()].map((extension) => extension.attach?.(host));
    return () => detach.forEach((each) => each?.());
  }
}
