/**
 * What the servers of these tests serve: a dispatcher with a few tools that take their time.
 *
 * @module
 */
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { Dispatcher, Exchange } from "../../src/protocol/exchange.ts";
import { routing } from "../support/routes.ts";

/** A dispatcher whose tools the test can hold and let go. */
export interface TestTools extends Dispatcher {
  /** Lets every waiting `steps` and `large` call go on. */
  release(): void;
}

/** The tools: `echo`, `wait`, `large`, `hang`, `quiet` and `steps`. `called` is told of each call. */
export function testTools(called: (name: string) => void = () => {}): TestTools {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();

  async function callTool(exchange: Exchange): Promise<JsonObject> {
    const { name, arguments: args } = exchange.params as {
      name: string;
      arguments: { text?: string; ms?: number };
    };
    called(name);
    if (name === "echo") return content(args.text ?? "");
    if (name === "wait") await pause(args.ms ?? 0, exchange.signal);
    if (name === "large") {
      await released;
      return content(`${"x".repeat(3_000_000)} whole`);
    }
    if (name === "hang") await new Promise<never>(() => {});
    if (name === "quiet") {
      say(exchange, "first");
      await pause(args.ms ?? 0, exchange.signal);
    }
    if (name === "steps") {
      say(exchange, "first");
      await released;
      say(exchange, "second");
    }
    return content("done");
  }

  return {
    release,
    route: routing((exchange) => {
      if (exchange.method === "tools/call") return callTool(exchange);
      return {
        protocolVersion: exchange.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "runtimes", version: "1.0.0" },
      };
    }),
  };
}

function content(text: string): JsonObject {
  return { content: [{ type: "text", text }] };
}

function say(exchange: Exchange, data: string): void {
  exchange.notify({ method: "notifications/message", params: { level: "info", data } });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop);
  });
}
