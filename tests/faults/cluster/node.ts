/**
 * One node of a cluster, in a process of its own: an `McpServer` that any node may serve, and an
 * endpoint with live state, whose sessions are pinned. Takes {@linkcode NodeInit} as JSON; each line
 * that it writes is one {@linkcode Noted}.
 *
 * @module
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { createClient } from "redis";
import { Unauthorized } from "../../../src/auth/errors.ts";
import type { HandlerLimits } from "../../../src/handler/types.ts";
import { type Clock, systemClock } from "../../../src/internal/clock.ts";
import type { Dispatcher } from "../../../src/protocol/exchange.ts";
import { redisStore } from "../../../src/redis/mod.ts";
import { serve } from "../../runtimes/runtime.ts";
import { liveTools } from "./live_tools.ts";
import { sharedTools } from "./shared_tools.ts";

/** What a node is told. */
export interface NodeInit {
  readonly name: string;
  /** Where it reaches Redis. */
  readonly redis: string;
  readonly prefix: string;
  readonly limits?: HandlerLimits;
  /** How fast its clock runs: 10 makes a lease of 30 seconds last for 3. */
  readonly pace?: number;
  /** How long running calls may take when it ends, in milliseconds; a second when left out. */
  readonly graceMs?: number;
}

/** What a node says. */
export type Noted =
  /** It serves. */
  | { readonly ports: Readonly<Record<EndpointName, number>> }
  /** A tool began, was stopped, or has said this much. */
  | { readonly what: "ran" | "stopped" | "said"; readonly call: string };

/** The endpoints of a node. */
export type EndpointName = "shared" | "pinned";

/** Takes down what a tool does, before anything else can happen to the process. */
export type Note = (what: "ran" | "stopped" | "said", call: string) => void;

const init: NodeInit = JSON.parse(process.argv[2] ?? "{}");
const { name, redis: url, prefix, limits, pace = 1, graceMs = 1_000 } = init;

function write(noted: Noted): void {
  writeSync(1, `${JSON.stringify(noted)}\n`);
}

const clock: Clock = {
  now: () => Date.now() * pace,
  timer: (ms, callback) => systemClock.timer(ms / pace, callback),
};

const note: Note = (what, call) => write({ what, call });

const client = createClient({
  url,
  socket: { reconnectStrategy: () => 50, connectTimeout: 1_000 },
});
client.on("error", () => {});
await client.connect();

async function begin(endpoint: EndpointName, tools: Dispatcher) {
  return await serve(tools, {
    port: 0,
    graceMs,
    signals: false,
    store: redisStore({ client, prefix: `${prefix}:${endpoint}` }),
    requests: { stateKeys: ["a secret that is long enough for all of them"] },
    streams: { sseAfterMs: 200 },
    ...limits && { limits },
    ...pace !== 1 && { clock },
    authenticate(request) {
      const [, id] = /^Bearer (\w+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
      if (id === undefined) throw new Unauthorized();
      return { id };
    },
  });
}

const tools = sharedTools(name, note);
const shared = await begin("shared", tools.server);
tools.served(shared.handler);
const pinned = await begin("pinned", liveTools(name, note));
write({ ports: { shared: shared.port, pinned: pinned.port } });
// Whoever started it is gone: so is the node, whatever became of the test.
process.stdin.on("end", () => process.exit(1)).resume();
process.on("SIGTERM", async () => {
  await Promise.all([shared, pinned].map((server) => server.close()));
  client.destroy();
  process.exit(0);
});
