/**
 * Defines what is known of a gateway's requests to its upstreams, for middleware and telemetry.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Principal } from "./exchange.ts";
import type { JsonObject } from "./jsonrpc.ts";
import type { Implementation } from "./shapes.ts";
import type { ProtocolVersion } from "./versions.ts";

/** How an upstream is reached. */
export type UpstreamKind = "http" | "stdio" | "sdk" | "local" | "openapi";

/**
 * Holds what an upstream said about itself during the handshake. None of it is trusted: it only
 * decides how this one upstream is spoken to.
 */
export interface UpstreamFacts {
  /** Its name and version. */
  readonly serverInfo: Implementation;
  /**
   * Holds its advertised capabilities. `listChanged` of a list may only be there if the session
   * delivers those notifications: until one arrives the gateway caches the list.
   */
  readonly capabilities: JsonObject;
  /** The negotiated protocol version. */
  readonly protocolVersion: ProtocolVersion;
  /** Tells the model how to use the upstream, if the upstream said so. */
  readonly instructions?: string;
  /** The whole result of the handshake, for clients of an upstream that is served alone. */
  readonly handshake?: JsonObject;
}

/**
 * Identifies the client's request on whose behalf a message is sent to an upstream. What the message may
 * do is what this request's credentials allow, never those of an earlier request in the same session.
 */
export interface Caller {
  /** Identifies the sender of the client's request. */
  readonly principal: Principal;
  /** The client's HTTP request: its headers may be forwarded. */
  readonly request: Request;
  /**
   * Closes the connection of the request's stream, not the stream: the client reconnects for the rest.
   * Absent if the client can't do that.
   */
  readonly closeStream?: (() => void) | undefined;
  /**
   * Closes the connection of the server-to-client stream of the client's session, not the stream. Absent if
   * the client can't resume it.
   */
  readonly closeServerStream?: (() => void) | undefined;
}

/** A request to an upstream, for {@linkcode UpstreamMiddleware}. */
export interface UpstreamRequest extends Caller {
  /** The name of the upstream. */
  readonly upstream: string;
  /** Names how the upstream is reached. */
  readonly kind: UpstreamKind;
  /** The method. */
  readonly method: string;
  /** The parameters, with the names that the upstream knows, and `_meta`. */
  readonly params: JsonObject;
  /** What the upstream said about itself; `undefined` while its session opens. */
  readonly facts: UpstreamFacts | undefined;
  /** Aborts when the result is no longer needed. */
  readonly signal: AbortSignal;
  /** Tells, once `next()` has resolved, whether the result is one that the gateway had kept. */
  readonly isCached?: () => boolean;
}

/**
 * Wraps a request to an upstream: returns its result, usually that of `next()`, or throws an `McpError`
 * to refuse it. Lists, subscriptions and log levels pass it too; the handshake and the pings of idle
 * sessions don't.
 *
 * @param request The request, with the parameters that the middleware before has passed on
 * @param next Continues with the request, also with other parameters; call it at most once. It throws a
 * `TypeError` for parameters that name another tool, prompt or resource: the principal's rights are
 * checked before, so rename it in the endpoint's middleware
 * @example
 * ```ts
 * import { gateway, type UpstreamMiddleware } from "@mooring/mcp/gateway";
 *
 * const traced: UpstreamMiddleware = async ({ params }, next) => {
 *   const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
 *   const meta = typeof params._meta === "object" ? params._meta : {};
 *   return await next({ ...params, _meta: { ...meta, traceparent } });
 * };
 * await using gw = gateway({ middleware: [traced] });
 * ```
 */
export type UpstreamMiddleware = (
  request: UpstreamRequest,
  next: (params?: JsonObject) => Promise<JsonObject>,
) => MaybePromise<JsonObject>;
