/**
 * Routes requests by path: to all servers together, to one server, to the health check and to the
 * metadata of the endpoints.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import {
  createMcpHandler,
  type Dispatcher,
  type McpEvent,
  type McpHandler,
  type McpHandlerOptions,
} from "../../../mod.ts";
import { mcp } from "../../adapters/hono.ts";
import {
  guardedHandler,
  internalError,
  pathOf,
  respond,
  shuttingDown,
  wrongPath,
} from "../../kit.ts";
import type { GatewayPolicy } from "../../gateway/mod.ts";
import { Policies } from "../../gateway/policy/policies.ts";
import { refuseServer, unknownServer } from "./unknown_server.ts";

/** The path of a single server's endpoint, before its name. */
export const SERVERS_PATH = "/servers/";
/** The path of the health check. */
export const HEALTH_PATH = "/health";

const WELL_KNOWN = "/.well-known/oauth-protected-resource";

/** The dispatchers behind the endpoints. */
export interface Servers {
  /** All servers as one. */
  readonly all: Dispatcher;
  /** Returns the names of the servers. */
  names(): readonly string[];
  /** Returns a single server. */
  only(name: string): Dispatcher;
}

/** Options for {@linkcode Routes}. */
export interface RoutesInit {
  readonly servers: Servers;
  /** The path of the endpoint for all servers together. */
  readonly path: string;
  /** Returns the options of a server's endpoint, or without a name those of all servers together. */
  options(name: string | undefined): McpHandlerOptions;
  /** Returns the metadata of a server's endpoint, whether the server exists or not. */
  resource(name: string): McpHandlerOptions["resource"];
  /** Answers at other paths, before the endpoints. */
  readonly others?: {
    readonly paths: readonly string[];
    answer(request: Request, context: unknown): Promise<Response>;
  } | undefined;
  readonly report: (event: McpEvent) => void;
  /** Who may use which server: one that is denied as a whole is as one that doesn't exist. */
  readonly policy?: GatewayPolicy | undefined;
  /**
   * Called with each endpoint that is made, and the server's name.
   *
   * @returns A function to call when the endpoint is closed before the others
   */
  watch?(handler: McpHandler, name: string | undefined): (() => void) | undefined;
}

/** Returns the name of the server that a path asks for, or `undefined` for any other path. */
export function serverNameIn(path: string): string | undefined {
  const [, name] = SINGLE.exec(path) ?? [];
  if (name === undefined) return undefined;
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

const SINGLE = new RegExp(`^${SERVERS_PATH}([^/]+)/?$`);

/** The endpoints by path. That of a single server is made by its first request. */
export class Routes {
  readonly #init: RoutesInit;
  readonly #app = new Hono({ strict: false });
  readonly #whole: McpHandler;
  readonly #wholeResource: McpHandlerOptions["resource"];
  /** At most one for each server. */
  readonly #single = new Map<string, McpHandler>();
  readonly #unwatch = new Map<string, () => void>();
  /** The endpoint of all servers that don't exist. */
  readonly #unknown: McpHandler;
  readonly #policies: Policies;
  #closed: Promise<void> | undefined;

  constructor(init: RoutesInit) {
    this.#init = init;
    this.#policies = new Policies(init.policy);
    const { servers, path, options } = init;
    const whole = options(undefined);
    this.#wholeResource = whole.resource;
    this.#whole = createMcpHandler(servers.all, { ...whole, path, healthPath: HEALTH_PATH });
    init.watch?.(this.#whole, undefined);
    this.#unknown = unknownServer({
      options: { ...whole, onEvent: init.report },
      nameIn: serverNameIn,
      resource: (name) => init.resource(name),
    });
    const app = this.#app;
    for (const other of init.others?.paths ?? []) {
      app.all(other, (c) => init.others?.answer(c.req.raw, c) ?? this.#notFound());
    }
    app.all(path, mcp(this.#whole));
    app.get(HEALTH_PATH, mcp(this.#whole));
    app.all(`${SERVERS_PATH}:name`, (c) => this.#serveOne(c));
    app.all(WELL_KNOWN, (c) => this.#describe(c.req.raw));
    app.all(`${WELL_KNOWN}/*`, (c) => this.#describe(c.req.raw));
    app.notFound(() => this.#notFound());
    app.onError((error) => {
      init.report({ type: "error", during: "answering a request", error });
      return internalError();
    });
  }

  /** Answers a request. */
  readonly fetch = async (request: Request, context?: unknown): Promise<Response> => {
    return await this.#app.fetch(request, context);
  };

  /** The patterns of all paths that are served. */
  get paths(): readonly string[] {
    return [...new Set(this.#app.routes.map(({ path }) => path))];
  }

  /** Closes the endpoint of a server that was removed. */
  async drop(name: string): Promise<void> {
    const handler = this.#single.get(name);
    this.#single.delete(name);
    this.#unwatch.get(name)?.();
    this.#unwatch.delete(name);
    await handler?.close({ graceMs: 0 });
  }

  /** Replaces the policy. */
  setPolicy(policy: GatewayPolicy | undefined): void {
    this.#policies.set(policy);
  }

  /** The number of calls that are running at all endpoints. */
  get running(): number {
    return [this.#whole, ...this.#single.values()]
      .reduce((sum, handler) => sum + handler.stats().requests, 0);
  }

  /** Closes every endpoint. Running calls may finish for `graceMs` milliseconds. Safe to call twice. */
  close(graceMs: number): Promise<void> {
    const all = [this.#whole, this.#unknown, ...this.#single.values()];
    return this.#closed ??= Promise.all(all.map((handler) => handler.close({ graceMs })))
      .then(() => {});
  }

  async #serveOne(c: Context): Promise<Response> {
    const name = serverNameIn(pathOf(c.req.raw.url)) ?? "";
    const handler = this.#handlerOf(name);
    // An endpoint that nobody has used yet isn't made any more: it is not one that doesn't exist.
    if (handler === undefined && this.#closed !== undefined) return respond(shuttingDown());
    return await mcp(handler ?? this.#unknown)(c);
  }

  #handlerOf(name: string): McpHandler | undefined {
    const { servers, options } = this.#init;
    if (!servers.names().includes(name)) return undefined;
    const known = this.#single.get(name);
    if (known !== undefined || this.#closed !== undefined) return known;
    const handler = guardedHandler(servers.only(name), options(name), ({ principal }) => {
      const isDenied = this.#policies.rulesOf(principal, name)?.isClosed === true;
      return isDenied ? refuseServer(name) : undefined;
    });
    this.#single.set(name, handler);
    const unwatch = this.#init.watch?.(handler, name);
    if (unwatch !== undefined) this.#unwatch.set(name, unwatch);
    return handler;
  }

  /**
   * Answers with the metadata of the endpoint that a well-known path belongs to. It has nothing secret, so
   * each server has it, whether it exists or not.
   */
  #describe(request: Request): Response {
    const name = serverNameIn(pathOf(request.url).slice(WELL_KNOWN.length));
    const resource = name === undefined ? this.#wholeResource : this.#init.resource(name);
    return resource?.respond(request) ?? this.#notFound();
  }

  #notFound(): Response {
    const refused = wrongPath(this.#init.path);
    this.#init.report({ type: "refused", status: refused.status, reason: refused.reason });
    return respond(refused);
  }
}
