/**
 * Mounts an MCP endpoint in a Hono app: {@linkcode mcp} mounts a handler, {@linkcode fromHono} gives it
 * the principal that the app has authenticated.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { createMcpHandler, McpServer, type Principal } from "@mooring/mcp";
 * import { fromHono, mcp } from "@mooring/mcp/hono";
 *
 * const handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   authenticate: fromHono(),
 * });
 *
 * const app = new Hono<{ Variables: { principal: Principal } }>();
 * app.use("/mcp", async (c, next) => {
 *   c.set("principal", { id: "alice" });
 *   await next();
 * });
 * app.all("/mcp", mcp(handler));
 *
 * const response = await app.request("/mcp", { method: "POST" });
 * console.assert(response.status === 415);
 * ```
 *
 * @module
 */
import { readsHead } from "../auth/authenticate.ts";
import type { McpHandlerOptions } from "../handler/types.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Principal } from "../protocol/exchange.ts";
import { checkPick, required } from "./app_principal.ts";

/** The part of a Hono context that is used here. */
export interface HonoContext {
  /** Hono's view of the request. */
  readonly req: {
    readonly raw: Request;
    arrayBuffer(): Promise<ArrayBuffer>;
  };
}

/** A handler, or any other function of this type. */
export type HonoMountable = (request: Request, context?: unknown) => Promise<Response>;

/**
 * Mounts a handler in a Hono app, for all methods: `app.all("/mcp", mcp(handler))`. The handler's
 * `context` is the Hono context. Middleware that reads responses to their end, such as `etag`, must leave
 * the path out: it would delay streams. `compress` leaves streams as they are.
 *
 * @param handler What `createMcpHandler` returned
 */
export function mcp(handler: HonoMountable): (c: HonoContext) => Promise<Response> {
  return (c) => {
    const { raw } = c.req;
    return raw.bodyUsed ? forwardBody(handler, c) : handler(raw, c);
  };
}

/**
 * Calls the handler with a body that middleware has already read through Hono, which keeps it. The
 * handler checks its actual size.
 */
async function forwardBody(handler: HonoMountable, c: HonoContext): Promise<Response> {
  const { url, method, headers, signal } = c.req.raw;
  const body = await c.req.arrayBuffer();
  return await handler(new Request(url, { method, headers, body, signal }), c);
}

/**
 * Creates an `authenticate` for a handler that is mounted with {@linkcode mcp}: the principal is the one
 * that the app's middleware has authenticated. Without one the response is a 401.
 *
 * @example
 * ```ts
 * import type { Context } from "hono";
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { fromHono } from "@mooring/mcp/hono";
 *
 * type AppContext = Context<{ Variables: { user?: { email: string } } }>;
 *
 * createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   authenticate: fromHono((c: AppContext) => {
 *     const user = c.get("user");
 *     return user && { id: user.email };
 *   }),
 * });
 * ```
 *
 * @param pick Returns the principal from the Hono context; by default its variable `principal`
 * @throws {TypeError} If `pick` is not a function
 */
export function fromHono<C extends HonoContext = HonoContext>(
  pick: (c: C) => MaybePromise<Principal | undefined> = principalVariable,
): NonNullable<McpHandlerOptions["authenticate"]> {
  checkPick(pick, "the context");
  return readsHead((_request, context) => {
    if (!isHonoContext(context)) {
      throw new TypeError("Mount the handler with mcp(): fromHono() needs a Hono context");
    }
    // The caller declares the type of the app's context; only `pick` relies on it.
    return required(pick(context as C));
  });
}

function principalVariable(c: HonoContext): Principal | undefined {
  // Hono's typed `get` matches no structural type. The handler checks the value.
  return (c as HonoContext & { get(key: string): Principal | undefined }).get("principal");
}

function isHonoContext(context: unknown): context is HonoContext {
  return typeof context === "object" && context !== null && "req" in context && "get" in context;
}
