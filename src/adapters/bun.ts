/**
 * Serves an MCP endpoint on Bun. A handler needs no adapter there: `Bun.serve({ fetch: handler })` and
 * `export default handler` work as they are. {@linkcode serve} adds what these don't do: it binds to
 * this machine alone and drains before it stops.
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

export type { RunningServer } from "./running_server.ts";
export type { ServeOptions } from "./serve_options.ts";

interface BunServer {
  readonly port: number;
  stop(closeActiveConnections?: boolean): Promise<void>;
}

/** The part of Bun's global that is used here; its types are Bun's alone. */
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
 * How long a connection may be quiet, in seconds: the most that Bun counts. Its own 10 seconds are
 * shorter than the pause between two comments of a quiet stream.
 */
const IDLE_TIMEOUT_S = 255;

/**
 * Serves a dispatcher over HTTP, until it is closed or the process is asked to end.
 *
 * @param source What is served: an `McpServer`, a gateway, or anything else that dispatches
 * @param options Where to listen, how to end, and the options of `createMcpHandler`; `path` is
 * `"/mcp"` by default, and `allowedHosts` the loopback names when bound to loopback
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 * @throws {Error} Bun's own error if it can't listen there
 */
export function serve(
  source: Dispatcher,
  options: ServeOptions & McpHandlerOptions = {},
): Promise<RunningServer> {
  return run(listen, source, options);
}

async function listen({ hostname, port, fetch, failed }: ListenInit): Promise<Listener> {
  const server = Bun.serve({
    hostname: bareHostname(hostname),
    port,
    idleTimeout: IDLE_TIMEOUT_S,
    // In development Bun shows errors, with source code, to whoever asks.
    development: false,
    // Outside of development Bun would share the port with whoever binds to it next.
    reusePort: false,
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
