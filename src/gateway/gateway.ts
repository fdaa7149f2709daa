/**
 * The public face of a gateway.
 *
 * @module
 */
import type { Dispatcher } from "../protocol/exchange.ts";
import { Hub } from "./hub.ts";
import type { GatewayOptions } from "./options.ts";
import type { Upstream } from "./types.ts";

/** What is there now. */
export interface GatewayStats {
  /** Upstreams. */
  readonly upstreams: number;
  /** Sessions with upstreams that are open or begin. */
  readonly sessions: number;
  /** Calls of 2026 clients that are held while their client answers a question. */
  readonly held: number;
}

/** Upstreams as one server, which {@linkcode createMcpHandler} of `@mooring/mcp` serves. */
export interface Gateway extends Dispatcher, AsyncDisposable {
  /** Every session is served where its upstream sessions are. */
  readonly pinned: true;
  /** The names of the upstreams, in their order. */
  names(): readonly string[];
  /**
   * Adds an upstream, or puts it in the place of the one with its name. Where it differs from that
   * one in something that sessions depend on, its sessions end. Clients are told that lists changed.
   *
   * @returns What resolves when the sessions with the old one have ended
   * @throws {TypeError} If the name can't be one, or it is no upstream
   * @throws {RangeError} If there are as many as `limits.upstreams` allows
   */
  set(name: string, upstream: Upstream): Promise<void>;
  /**
   * Takes an upstream out and ends all sessions with it. Clients are told that lists changed.
   *
   * @returns What resolves, once those sessions have ended, to whether there was one
   */
  remove(name: string): Promise<boolean>;
  /**
   * One upstream as a server of its own, whose tools and prompts keep their names. It is the same
   * object at every call, and serves nothing while the gateway has no upstream of the name.
   *
   * @throws {TypeError} If there is no such upstream
   */
  only(name: string): Dispatcher;
  /** What is there now. */
  stats(): GatewayStats;
  /** Ends every session with every upstream, and takes nothing new. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Makes a gateway: the tools, prompts and resources of several MCP servers as one. Tools and prompts
 * are prefixed with the name of their upstream; resources keep their URIs.
 *
 * @param options The upstreams and how they are used
 * @throws {TypeError} If an option is of the wrong kind, or a name can't be an upstream's
 * @throws {RangeError} If a number is out of range
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { gateway, local } from "@mooring/mcp/gateway";
 *
 * const clock = new McpServer({ name: "clock", version: "1.0.0" });
 * clock.registerTool("now", {}, () => new Date().toISOString());
 *
 * const gw = gateway({ upstreams: { clock: local(clock) } });
 * const handler = createMcpHandler(gw); // offers the tool "clock__now"
 * await handler.close();
 * await gw.close();
 * ```
 */
export function gateway(options: GatewayOptions = {}): Gateway {
  return new Hub(options);
}
