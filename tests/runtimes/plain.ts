/**
 * Servers without an adapter: the runtime's own one, with a handler as it is.
 *
 * @module
 */
import { createServer } from "node:http";
import { type NodeHandler, toNodeHandler } from "../../src/adapters/node.ts";
import type { RunningServer } from "../../src/adapters/running_server.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import type { ServeOptions } from "../../src/adapters/serve_options.ts";
import type { Serve } from "./cases.ts";
import { runtime } from "./runtime.ts";

/** Answers requests the way a runtime's own server wants it. */
export type Answer = (request: Request, context?: unknown) => Response | Promise<Response>;

interface Plain {
  readonly port: number;
  stop(): Promise<void>;
}

interface PlainBun {
  readonly port: number;
  stop(all: boolean): Promise<void>;
}

/** The part of Bun's global that is used here; its types are Bun's alone. */
declare const Bun: {
  serve(options: { port: number; hostname: string; fetch: Answer }): PlainBun;
};

/** Turns an {@linkcode Answer} into what `node:http` wants. */
export type ToListener = (answer: Answer) => NodeHandler;

const ownListener: ToListener = (answer) =>
  toNodeHandler(async (request, context) => answer(request, context));

/** Starts the runtime's own server on a free port. Node's needs a listener of its own kind. */
export async function startPlain(
  answer: Answer,
  toListener: ToListener = ownListener,
): Promise<Plain> {
  if (runtime === "deno") {
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, answer);
    return { port: server.addr.port, stop: () => server.shutdown() };
  }
  if (runtime === "bun") {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
    return { port: server.port, stop: () => server.stop(true) };
  }
  const server = createServer(toListener(answer));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** A `serve` that only starts the runtime's own server; `mount` may put something around the handler. */
export function plainServe(
  mount: (handler: McpHandler) => Answer = (handler) => handler,
  toListener?: ToListener,
): Serve {
  return async (
    source: Dispatcher,
    { port: _port, ...options }: ServeOptions & McpHandlerOptions = {},
  ): Promise<RunningServer> => {
    const handler = createMcpHandler(source, options);
    const { port, stop } = await startPlain(mount(handler), toListener);
    const finished = Promise.withResolvers<void>();
    const close = async () => {
      await handler.close({ graceMs: 0 });
      await stop();
      finished.resolve();
    };
    return {
      url: `http://127.0.0.1:${port}/mcp`,
      port,
      hostname: "127.0.0.1",
      handler,
      finished: finished.promise,
      close,
      [Symbol.asyncDispose]: close,
    };
  };
}
