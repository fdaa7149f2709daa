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
import type { HandlerLimits, McpHandlerOptions } from "../../../src/handler/types.ts";
import { type Clock, systemClock } from "../../../src/internal/clock.ts";
import type { Dispatcher } from "../../../src/protocol/exchange.ts";
import { tokenBucket } from "../../../src/http/gates/token_bucket.ts";
import { redisStore } from "../../../src/redis/mod.ts";
import { serve } from "../../runtimes/runtime.ts";
import { liveTools } from "./live_tools.ts";
import { METERED, meteredTools, SPENDER } from "./metered_tools.ts";
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
  /** Whether it serves the endpoint `metered` too. */
  readonly metered?: boolean;
  /** Whether it serves the endpoint `long` too, which answers calls early: the tools of `shared`. */
  readonly long?: boolean;
}

/** What a node says. */
export type Noted =
  /** It serves. */
  | { readonly ports: Ports }
  /** A tool began, was stopped, or has said this much. */
  | { readonly what: "ran" | "stopped" | "said"; readonly call: string }
  /** A call began and ended to use what is counted, or used it up: when, in milliseconds since the epoch. */
  | Timed;

/** What was used of a share, and when. */
export interface Timed {
  readonly what: "began" | "ended" | "spent";
  readonly call: string;
  readonly at: number;
}

/** The endpoints of a node. */
export type EndpointName = "shared" | "pinned" | "metered" | "long";

/** Where its endpoints are. */
export type Ports = Readonly<Partial<Record<EndpointName, number>>>;

/** Takes down what a tool does, before anything else can happen to the process. */
export type Note = (what: "ran" | "stopped" | "said", call: string) => void;

const init: NodeInit = JSON.parse(process.argv[2] ?? "{}");
const { name, redis: url, prefix, limits, pace = 1, graceMs = 1_000 } = init;
const { metered = false, long = false } = init;

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

const storeOf = (endpoint: EndpointName) => redisStore({ client, prefix: `${prefix}:${endpoint}` });

async function begin(endpoint: EndpointName, tools: Dispatcher, options: McpHandlerOptions = {}) {
  return await serve(tools, {
    port: 0,
    graceMs,
    signals: false,
    store: storeOf(endpoint),
    requests: { stateKeys: ["a secret that is long enough for all of them"] },
    streams: { sseAfterMs: 200 },
    ...limits && { limits },
    ...pace !== 1 && { clock },
    authenticate(request) {
      const [, id] = /^Bearer (\w+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
      if (id === undefined) throw new Unauthorized();
      return { id };
    },
    ...options,
  });
}

const tools = sharedTools(name, note);
const shared = await begin("shared", tools.server);
tools.served(shared.handler);
const pinned = await begin("pinned", liveTools(name, note));
const servers = [shared, pinned];
const ports: { -readonly [Name in keyof Ports]: Ports[Name] } = {
  shared: shared.port,
  pinned: pinned.port,
};
if (metered) {
  const { requestsPerPrincipal, perSecond, burst } = METERED;
  const store = storeOf("metered");
  const timed = meteredTools((what, call) => write({ what, call, at: Date.now() }));
  const server = await begin("metered", timed, {
    store,
    limits: { requestsPerPrincipal },
    principalRateLimit: tokenBucket({
      store,
      perSecond,
      burst,
      key: (_request, _context, principal) => principal?.id === SPENDER ? SPENDER : undefined,
    }),
  });
  servers.push(server);
  ports.metered = server.port;
}
if (long) {
  const { server } = sharedTools(name, note);
  const running = await begin("long", server, { longCalls: { afterMs: 1_500 } });
  servers.push(running);
  ports.long = running.port;
}
write({ ports });
// Whoever started it is gone: so is the node, whatever became of the test.
process.stdin.on("end", () => process.exit(1)).resume();
process.on("SIGTERM", async () => {
  await Promise.all(servers.map((server) => server.close()));
  client.destroy();
  process.exit(0);
});
