/**
 * Serves an MCP endpoint on Bun. A handler also works without this adapter, with
 * `Bun.serve({ fetch: handler })` or `export default handler`. {@linkcode serve} also binds to loopback by
 * default, and lets running requests finish before it stops.
 *
 * @example
 * ```ts ignore
 * import { McpServer } from "@mooring/mcp";
 * import { serve } from "@mooring/mcp/bun";
 *
 * const running = await serve(new McpServer({ name: "demo", version: "1.0.0" }));
 * await running.finished;
 * ```
 *
 * @module
 */
import type { McpHandlerOptions } from "../handler/types.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import { type Listener, type ListenInit, run, type RunningServer } from "./running_server.ts";
import { internalError } from "./error_responses.ts";
import { bareHostname, type ServeOptions } from "./serve_options.ts";

export type { LogOptions } from "./error_log.ts";
export type { RunningServer } from "./running_server.ts";
export type { ServeOptions } from "./serve_options.ts";

interface BunServer {
  readonly port: number;
  stop(closeActiveConnections?: boolean): Promise<void>;
}

/** The part of Bun's global that is used here: Bun's types exist only on Bun. */
declare const Bun: {
  serve(options: {
    readonly hostname: string;
    readonly port: number;
    readonly idleTimeout: number;
    readonly development: boolean;
    readonly reusePort: boolean;
    fetch(request: Request, server: BunServer): Promise<Response>;
    error(error: unknown): Response;
  }): BunServer;
};

/**
 * The idle timeout of connections, in seconds: Bun's maximum. Bun's default of 10 seconds is shorter
 * than the time between two keep-alive comments.
 */
const IDLE_TIMEOUT_S = 255;

/**
 * Serves a dispatcher over HTTP until it is closed or, unless `signals` is off, SIGINT or SIGTERM.
 *
 * @param source The dispatcher: an `McpServer`, a gateway, or an implementation of your own
 * @param options Options for the server, and those of `createMcpHandler`; `path` is `"/mcp"` by default,
 * and `allowedHosts` the loopback names if bound to loopback
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 * @throws {Error} If it can't listen at the address: says what to do, and has the `code` of Bun's error,
 * such as `EADDRINUSE`
 */
export function serve(
  source: Dispatcher,
  options: ServeOptions & McpHandlerOptions = {},
): Promise<RunningServer> {
  return run(listen, source, options);
}

async function listen(
  { hostname, port, reusePort = false, fetch, failed }: ListenInit,
): Promise<Listener> {
  const server = Bun.serve({
    hostname: bareHostname(hostname),
    port,
    idleTimeout: IDLE_TIMEOUT_S,
    // In development mode Bun sends errors with source code to clients.
    development: false,
    // By default Bun shares the port with the next process that binds to it.
    reusePort,
    fetch,
    error(error) {
      failed(error);
      return internalError();
    },
  });
  return {
    port: server.port,
    stop: () => server.stop(),
    kill: () => void server.stop(true).catch(failed),
  };
}
