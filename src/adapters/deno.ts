/**
 * Serves an MCP endpoint on Deno. A handler also works without this adapter, with `Deno.serve(handler)`
 * or `export default handler` and `deno serve`. {@linkcode serve} also binds to loopback by default, and
 * lets running requests finish before it stops.
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

export type { LogOptions } from "./error_log.ts";
export type { RunningServer } from "./running_server.ts";
export type { ServeOptions } from "./serve_options.ts";

/**
 * Serves a dispatcher over HTTP until it is closed or, unless `signals` is off, SIGINT or SIGTERM.
 *
 * @param source The dispatcher: an `McpServer`, a gateway, or an implementation of your own
 * @param options Options for the server, and those of `createMcpHandler`; `path` is `"/mcp"` by default,
 * and `allowedHosts` the loopback names if bound to loopback
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 * @throws {Error} If it can't listen at the address: says what to do, and has the `code` of Deno's error,
 * such as `EADDRINUSE`
 */
export function serve(
  source: Dispatcher,
  options: ServeOptions & McpHandlerOptions = {},
): Promise<RunningServer> {
  return run(listen, source, options);
}

/**
 * The time for a completed response to be sent, in milliseconds. For Deno a response is completed when
 * it is in the socket's buffer.
 */
const FLUSH_MS = 250;

async function listen(
  { hostname, port, reusePort = false, fetch, failed }: ListenInit,
): Promise<Listener> {
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
    reusePort,
    signal: killer.signal,
    automaticCompression: false,
    // The default writes the address to the console.
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

  // Deno's `shutdown()` waits for clients without a time limit, and can't be aborted.
  async function stop(): Promise<void> {
    while (running > 0) await new Promise<void>((resolve) => wake = resolve);
    const left = lastAnswered + FLUSH_MS - performance.now();
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    killer.abort();
    await server.finished;
  }

  return { port: server.addr.port, stop, kill: () => killer.abort() };
}
