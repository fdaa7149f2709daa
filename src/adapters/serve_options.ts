/**
 * Where a server listens, and how it ends: the options that every runtime's `serve` takes.
 *
 * @module
 */
import { integerOption } from "../internal/check.ts";
import type { McpHandlerOptions } from "../handler/types.ts";

/** Options for `serve`, beside those of the handler. */
export interface ServeOptions {
  /**
   * The address to bind to. The default reaches no further than this machine. Before you bind to
   * another one, give `authenticate`, and `allowedHosts` with the names that the endpoint is reached
   * under: neither is asked for, and without them whoever reaches the address may call.
   *
   * @default {"127.0.0.1"}
   */
  readonly hostname?: string;
  /**
   * The port to listen on; 0 takes a free one.
   *
   * @default {8000}
   */
  readonly port?: number;
  /**
   * How long running requests may take to finish when the server closes, in milliseconds.
   *
   * @default {10000}
   */
  readonly graceMs?: number;
  /**
   * Whether SIGINT and SIGTERM close the server. A second signal ends the process at once.
   *
   * @default {true}
   */
  readonly signals?: boolean;
}

/** Checked {@linkcode ServeOptions}, with the options that are left for the handler. */
export interface ServeSettings {
  readonly hostname: string;
  readonly port: number;
  readonly graceMs: number;
  readonly signals: boolean;
  readonly path: string;
  readonly handler: McpHandlerOptions;
}

/** The names that this machine has for itself. */
const LOOPBACK_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Checks the options. Bound to loopback, the handler answers to loopback names alone unless
 * `allowedHosts` says otherwise, so that no web page reaches it by DNS rebinding.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If the port is above 65535 or a number is negative
 */
export function serveSettings(options: ServeOptions & McpHandlerOptions): ServeSettings {
  const { hostname = "127.0.0.1", port, graceMs, signals = true, ...rest } = options;
  if (typeof hostname !== "string" || hostname === "") {
    throw new TypeError(`Give an address as "hostname": ${JSON.stringify(hostname)}`);
  }
  if (typeof signals !== "boolean") {
    throw new TypeError(`Give true or false as "signals": ${typeof signals}`);
  }
  const { path = "/mcp", allowedHosts = isLoopback(hostname) ? LOOPBACK_HOSTS : undefined } = rest;
  return {
    hostname,
    port: portOption(port),
    graceMs: integerOption("graceMs", graceMs, 10_000, 0),
    signals,
    path,
    handler: { ...rest, path, allowedHosts },
  };
}

function portOption(value: number | undefined): number {
  const port = integerOption("port", value, 8_000, 0);
  if (port > 65_535) throw new RangeError(`Give a port from 0 to 65535 as "port": ${port}`);
  return port;
}

/** Whether an address reaches this machine alone. */
export function isLoopback(hostname: string): boolean {
  return hostname.toLowerCase() === "localhost" || hostname === "::1" || hostname === "[::1]" ||
    /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** The URL under which this machine reaches an endpoint that is bound to an address. */
export function endpointUrl(hostname: string, port: number, path: string): string {
  return `http://${reachable(hostname)}:${port}${path}`;
}

function reachable(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1";
  const bare = bareHostname(hostname);
  if (bare === "::") return "[::1]";
  return bare.includes(":") ? `[${bare}]` : bare;
}

/** An address without the brackets that URLs put around IPv6, as the runtimes want it. */
export function bareHostname(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}
