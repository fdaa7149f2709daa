/**
 * Defines and checks the options of every runtime's `serve`.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { checkOptionNames } from "../handler/option_names.ts";
import { integerOption } from "../internal/check.ts";
import type { NamesOf } from "../internal/known_names.ts";
import { isLoopback, LOOPBACK_HOSTS } from "../internal/loopback.ts";
import type { McpHandlerOptions } from "../handler/types.ts";
import { type ErrorLog, errorLogFor, type LogOptions } from "./error_log.ts";

/** Options for `serve`, in addition to those of the handler. */
export interface ServeOptions extends LogOptions {
  /**
   * The address to bind to. The default is only reachable from this machine. For another address, give
   * `authenticate`, and `allowedHosts` with the host names of the endpoint: both are optional, and without
   * them every client that reaches the address may send requests.
   *
   * @default {"127.0.0.1"}
   */
  readonly hostname?: string;
  /**
   * The port to listen on; 0 for any free port.
   *
   * @default {8000}
   */
  readonly port?: number;
  /**
   * Time within which running requests may finish when the server closes, in milliseconds.
   *
   * @default {10000}
   */
  readonly graceMs?: number;
  /**
   * Whether SIGINT and SIGTERM close the server. A second signal, half a second or more after the first,
   * ends the process at once; before that it counts as the same one.
   *
   * @default {true}
   */
  readonly signals?: boolean;
  /**
   * The number of processes that serve, or `"auto"` for one for each core (Node and Bun). The main module runs
   * again in each of them, from its beginning, and `serve` listens there; here it starts them, and starts
   * again what dies. They need what nodes need: a `store` that processes share, such as `redisStore()`, or
   * `sessions: false` with `requests.stateKeys`. On Deno, use `deno serve --parallel`.
   *
   * @default {1}
   */
  readonly processes?: number | "auto";
}

const SERVE_NAMES = Object.keys(
  {
    hostname: true,
    port: true,
    graceMs: true,
    signals: true,
    processes: true,
    log: true,
  } satisfies NamesOf<ServeOptions>,
);

/** The maximum number of processes. */
const MOST_PROCESSES = 256;

/** Checked {@linkcode ServeOptions}, with the remaining options for the handler. */
export interface ServeSettings {
  readonly hostname: string;
  readonly port: number;
  readonly graceMs: number;
  readonly signals: boolean;
  /** The number of processes that serve. */
  readonly processes: number;
  readonly path: string;
  /** Writes failures to stderr; `undefined` if nothing is to be written. */
  readonly log: ErrorLog | undefined;
  readonly handler: McpHandlerOptions;
}

/**
 * Checks the options. If bound to loopback without `allowedHosts`, the handler only answers under loopback
 * names, so that web pages can't reach it by DNS rebinding.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If the port is above 65535 or a number is negative, or there are too many processes
 */
export function serveSettings(options: ServeOptions & McpHandlerOptions): ServeSettings {
  const { hostname = "127.0.0.1", port, graceMs, signals = true, processes, log, ...rest } =
    options;
  checkOptionNames(rest, undefined, undefined, SERVE_NAMES);
  if (typeof hostname !== "string" || hostname === "") {
    throw new TypeError(`Give an address as "hostname": ${JSON.stringify(hostname)}`);
  }
  if (typeof signals !== "boolean") {
    throw new TypeError(`Give a boolean as "signals": ${typeof signals}`);
  }
  const { path = "/mcp", allowedHosts = isLoopback(hostname) ? LOOPBACK_HOSTS : undefined } = rest;
  return {
    hostname,
    port: portOption(port),
    graceMs: integerOption("graceMs", graceMs, 10_000, 0),
    signals,
    processes: processesOption(processes, rest),
    path,
    log: errorLogFor({ log, onEvent: rest.onEvent, clock: rest.clock }),
    handler: { ...rest, path, allowedHosts },
  };
}

function portOption(value: number | undefined): number {
  const port = integerOption("port", value, 8_000, 0);
  if (port > 65_535) throw new RangeError(`Give a port from 0 to 65535 as "port": ${port}`);
  return port;
}

/** Returns the number of processes, if several can serve these options. */
function processesOption(
  given: ServeOptions["processes"],
  { store, sessions, requests }: McpHandlerOptions,
): number {
  const count = given === "auto" ? availableParallelism() : integerOption("processes", given, 1);
  if (count > MOST_PROCESSES) {
    throw new RangeError(`Give at most ${MOST_PROCESSES} as "processes": ${count}`);
  }
  if (count === 1 || store?.shared === true) return count;
  if (store === undefined && sessions === false && requests?.stateKeys?.length) return count;
  throw new TypeError(
    'Give a "store" that processes share, such as redisStore(), to use "processes"; or set "sessions" ' +
      'to false, and give "requests.stateKeys"',
  );
}

/** Returns the URL on this machine of an endpoint that is bound to an address. */
export function endpointUrl(hostname: string, port: number, path: string): string {
  return `http://${reachable(hostname)}:${port}${path}`;
}

function reachable(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1";
  const bare = bareHostname(hostname);
  if (bare === "::") return "[::1]";
  return bare.includes(":") ? `[${bare}]` : bare;
}

/** Removes the brackets that URLs have around IPv6 addresses, which runtimes don't accept. */
export function bareHostname(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}
