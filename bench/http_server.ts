/**
 * A process that serves one server over HTTP on loopback, on a port that it tells.
 *
 * @module
 */
import process from "node:process";
import { cpuTime } from "./cpu_time.ts";
import { tell } from "./serving.ts";
import { type Rung, rungOf } from "./stacks/ladder.ts";
import { loadStack, type StackName } from "./stacks/mod.ts";
import type { Listening, Stack, StackInit } from "./stacks/types.ts";

/** What it is started with. */
export interface ServerInit {
  readonly stack: StackName;
  /** A rung of the ladder, which takes the stack's place. */
  readonly rung?: Rung;
}

/** What it answers to whatever it is told. */
export interface Serving {
  readonly port: number;
  /** Milliseconds of processor time that it has used so far. */
  readonly cpuMs: number;
}

declare const Deno: {
  serve(
    options: { hostname: string; port: number; onListen(): void },
    handler: (request: Request) => Response | Promise<Response>,
  ): { readonly addr: Listening };
};
declare const Bun: {
  serve(options: {
    readonly hostname: string;
    readonly port: number;
    fetch(request: Request): Response | Promise<Response>;
  }): Listening;
};

/** Puts a server behind what the runtime has for this. */
async function listen(stack: Stack): Promise<Listening> {
  const hostname = "127.0.0.1";
  const answer = (request: Request) => stack.answer(request);
  if ("Deno" in globalThis) return Deno.serve({ hostname, port: 0, onListen() {} }, answer).addr;
  if ("Bun" in globalThis) return Bun.serve({ hostname, port: 0, fetch: answer });
  const { serve } = await import("@hono/node-server");
  return await new Promise((resolve) => {
    serve({ fetch: answer, hostname, port: 0 }, resolve);
  });
}

const { stack, rung }: ServerInit = JSON.parse(process.argv[2] ?? "null");
const module = rung === undefined ? await loadStack(stack) : rungOf(rung);
const init: StackInit = { kind: "http", tools: 3, room: 0 };
const { port } = await (module.listen?.(init) ?? listen(await module.make(init)));
await tell((): Serving => ({ port, cpuMs: cpuTime() }));
