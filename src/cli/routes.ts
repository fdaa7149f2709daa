/**
 * Routes requests by path: to all servers together, to one server, to the health check and to the
 * metadata of the endpoints.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { mcp } from "../adapters/hono.ts";
import { internalError } from "../adapters/error_responses.ts";
import { pathOf } from "../http/gates/path.ts";
import { refusal } from "../http/reply.ts";
import { respond } from "../http/respond.ts";
import { createMcpHandler } from "../handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../handler/types.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { Dispatcher } from "../protocol/exchange.ts";

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
  readonly report: (event: McpEvent) => void;
}

/** An endpoint, and its metadata for clients that need a token. */
interface Endpoint {
  readonly handler: McpHandler;
  readonly resource: McpHandlerOptions["resource"];
}

/** The endpoints by path. That of a single server is made by its first request. */
export class Routes {
  readonly #init: RoutesInit;
  readonly #app = new Hono();
  readonly #whole: Endpoint;
  /** At most one for each server. */
  readonly #single = new Map<string, Endpoint>();
  #closed: Promise<void> | undefined;

  constructor(init: RoutesInit) {
    this.#init = init;
    const { servers, path, options } = init;
    const whole = { ...options(undefined), healthPath: HEALTH_PATH };
    this.#whole = { handler: createMcpHandler(servers.all, whole), resource: whole.resource };
    const app = this.#app;
    app.all(path, mcp(this.#whole.handler));
    app.get(HEALTH_PATH, mcp(this.#whole.handler));
    app.all(`${SERVERS_PATH}:name`, (c) => this.#serveOne(c, c.req.param("name")));
    app.all(WELL_KNOWN, (c) => this.#describe(c.req.raw));
    app.all(`${WELL_KNOWN}/*`, (c) => this.#describe(c.req.raw));
    app.notFound(() => this.#unknown("Use the path of an endpoint"));
    app.onError((error) => {
      init.report({ type: "error", during: "answering a request", error });
      return internalError();
    });
  }

  /** Answers a request. */
  readonly fetch = async (request: Request, context?: unknown): Promise<Response> => {
    return await this.#app.fetch(request, context);
  };

  /** Closes the endpoint of a server that was removed. */
  async drop(name: string): Promise<void> {
    const endpoint = this.#single.get(name);
    this.#single.delete(name);
    await endpoint?.handler.close({ graceMs: 0 });
  }

  /** Closes every endpoint. Running calls may finish for `graceMs` milliseconds. Safe to call twice. */
  close(graceMs: number): Promise<void> {
    const all = [this.#whole, ...this.#single.values()];
    return this.#closed ??= Promise.all(all.map(({ handler }) => handler.close({ graceMs })))
      .then(() => {});
  }

  #serveOne(c: Context, name: string): Response | Promise<Response> {
    const endpoint = this.#endpoint(name);
    if (endpoint !== undefined) return mcp(endpoint.handler)(c);
    return this.#unknown("Use the name of a server that is served here");
  }

  #endpoint(name: string): Endpoint | undefined {
    const { servers, options } = this.#init;
    if (!servers.names().includes(name)) return undefined;
    const known = this.#single.get(name);
    if (known !== undefined || this.#closed !== undefined) return known;
    const own = options(name);
    const endpoint = {
      handler: createMcpHandler(servers.only(name), own),
      resource: own.resource,
    };
    this.#single.set(name, endpoint);
    return endpoint;
  }

  /** Answers with the metadata of the endpoint that a well-known path belongs to. */
  #describe(request: Request): Response {
    const whole = this.#whole.resource?.respond(request);
    if (whole !== undefined) return whole;
    const name = pathOf(request.url).split("/").at(-1) ?? "";
    const single = this.#whole.resource === undefined ? undefined : this.#endpoint(name);
    return single?.resource?.respond(request) ??
      this.#unknown("Use the path of an endpoint");
  }

  #unknown(message: string): Response {
    const refused = refusal({ status: 404, code: ErrorCode.Refused, message, reason: "path" });
    this.#init.report({ type: "refused", status: refused.status, reason: refused.reason });
    return respond(refused);
  }
}
