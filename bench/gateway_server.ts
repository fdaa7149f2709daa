/**
 * A process that serves Mooring's gateway over HTTP on loopback, on a port that it tells.
 *
 * @module
 */
import process from "node:process";
import { Unauthorized } from "../mod.ts";
import { gateway, http, stdio } from "../src/gateway/mod.ts";
import { cpuTime } from "./cpu_time.ts";
import { tell } from "./serving.ts";
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
await tell((): GatewayServing => {
  const { user, system } = process.cpuUsage();
  return { port, cpuMs: cpuTime(), wholeMs: (user + system) / 1e3 };
});
