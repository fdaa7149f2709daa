/**
 * Serves an MCP endpoint on Deno. A handler needs no adapter there: `Deno.serve(handler)` and
 * `export default handler` with `deno serve` work as they are. {@linkcode serve} adds what these don't
 * do: it binds to this machine alone and drains before it stops.
 *
 * @example
 * ```ts
 * import { McpServer } from "@mooring/mcp";
 * import { serve } from "@mooring/mcp/deno";
 *
 * const running = await serve(new McpServer({ name: "demo", version: "1.0.0" }), { port: 0 });
 * const response = await fetch(running.url, { method: "POST" });
 * console.assert(response.status === 415);
 * await running.close();
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

/**
 * Serves a dispatcher over HTTP, until it is closed or the process is asked to end.
 *
 * @param source What is served: an `McpServer`, a gateway, or anything else that dispatches
 * @param options Where to listen, how to end, and the options of `createMcpHandler`; `path` is
 * `"/mcp"` by default, and `allowedHosts` the loopback names when bound to loopback
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 * @throws {Error} Deno's own error if it can't listen there
 */
export function serve(
  source: Dispatcher,
  options: ServeOptions & McpHandlerOptions = {},
): Promise<RunningServer> {
  return run(listen, source, options);
}

/**
 * How long an answer may take to leave for its client, in milliseconds. Deno calls an answer completed
 * when it has handed it to the system's side of the connection.
 */
const FLUSH_MS = 250;

async function listen({ hostname, port, fetch, failed }: ListenInit): Promise<Listener> {
  const killer = new AbortController();
  let running = 0;
  let lastAnswered = -Infinity;
  let wake: (() => void) | undefined;
  const answered = (): void => {
    running--;
    lastAnswered = performance.now();
    wake?.();
  };
  const server = Deno.serve({
    hostname: bareHostname(hostname),
    port,
    signal: killer.signal,
    automaticCompression: false,
    // Without this, Deno writes the address to the console.
    onListen() {},
    onError(error) {
      failed(error);
      return internalError();
    },
  }, (request, info) => {
    running++;
    info.completed.then(answered, answered);
    return fetch(request, info);
  });
  server.finished.catch(failed);

  // Deno's own shutdown() waits for clients without a limit, and nothing can end it once it has begun.
  async function stop(): Promise<void> {
    while (running > 0) await new Promise<void>((resolve) => wake = resolve);
    const left = lastAnswered + FLUSH_MS - performance.now();
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    killer.abort();
    await server.finished;
  }

  return { port: server.addr.port, stop, kill: () => killer.abort() };
}
