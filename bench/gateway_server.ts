/**
 * A process that serves Mooring's gateway over HTTP on loopback, on a port that it tells.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { Unauthorized } from "../mod.ts";
import { gateway, http, stdio } from "../src/gateway/mod.ts";
import { cpuTime } from "./cpu_time.ts";
import type { Serving } from "./http_server.ts";
import { PRINCIPALS } from "./messages.ts";
import { adapter } from "./stacks/mooring.ts";

/** What it is started with: the upstream, over HTTP or as a program. */
export type GatewayInit =
  | { readonly url: string }
  | { readonly command: string; readonly args: readonly string[] };

/** What it answers to whatever it is told. */
export interface GatewayServing extends Serving {
  /** Milliseconds of processor time of the whole process so far. */
  readonly wholeMs: number;
}

const init: GatewayInit = JSON.parse(process.argv[2] ?? "null");
const principals = new Map(PRINCIPALS.map(({ id, authorization }) => [authorization, { id }]));
const gw = gateway({ upstreams: { up: "url" in init ? http(init) : stdio(init) } });
const { serve } = await adapter();
const { port } = await serve(gw, {
  port: 0,
  signals: false,
  authenticate(request) {
    const principal = principals.get(request.headers.get("authorization") ?? "");
    if (principal === undefined) throw new Unauthorized();
    return principal;
  },
});
const say = (): void => {
  const { user, system } = process.cpuUsage();
  const serving: GatewayServing = { port, cpuMs: cpuTime(), wholeMs: (user + system) / 1e3 };
  process.stdout.write(`${JSON.stringify(serving)}\n`);
};
say();
for await (const _ of createInterface({ input: process.stdin })) say();
process.exit();
