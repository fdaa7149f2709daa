/**
 * Defines middleware: functions that wrap what an endpoint does with a request.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Exchange } from "./exchange.ts";
import type { JsonObject } from "./jsonrpc.ts";

/**
 * Continues with the next middleware, and after the last one with the server. It runs the server
 * synchronously: whatever surrounds it, such as `AsyncLocalStorage.run`, also surrounds the handler.
 *
 * @param params Parameters to continue with; those of the exchange when left out. They pass `authorize`
 * and the scopes of the tool again
 * @returns The result, or a promise if the server works asynchronously
 * @throws {McpError} The error that the client would get
 * @throws {TypeError} If it is called twice, or the parameters are not an object
 * @throws {AbortSignal["reason"]} If the request was stopped
 */
export type Next = (params?: JsonObject) => MaybePromise<JsonObject>;

/**
 * Wraps a request: returns its result, usually that of `next()`, or throws an `McpError` to refuse it.
 *
 * @param exchange The request, with the parameters that the middleware before has passed on
 * @param next Continues with the request. Call it at most once
 * @example
 * ```ts
 * import { createMcpHandler, McpServer, type Middleware } from "@mooring/mcp";
 *
 * const timed: Middleware = async ({ method, principal }, next) => {
 *   const start = performance.now();
 *   try {
 *     return await next();
 *   } finally {
 *     console.log(`${principal.id} ${method}: ${performance.now() - start} ms`);
 *   }
 * };
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * await using handler = createMcpHandler(server, { middleware: [timed] });
 * ```
 */
export type Middleware = (exchange: Exchange, next: Next) => MaybePromise<JsonObject>;

/** A request that passes middleware. */
export interface Passage {
  /** The request, as the next middleware sees it. */
  readonly exchange: Exchange;
  /** Finds the route of the request with other parameters, and continues with it. */
  readonly rewrite: (
    params: JsonObject,
    proceed: (passage: Passage) => MaybePromise<JsonObject>,
  ) => MaybePromise<JsonObject>;
  /** Runs the request after the last middleware. */
  readonly run: () => MaybePromise<JsonObject>;
}

/** Passes a request through middleware, and runs it. */
export type Chain = (passage: Passage) => MaybePromise<JsonObject>;
