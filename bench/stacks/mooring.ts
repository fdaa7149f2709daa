/**
 * This project, with everything on that a public endpoint has on.
 *
 * @module
 */
import { createMcpHandler, type McpHandlerOptions, McpServer } from "../../mod.ts";
import { bearer } from "../../src/auth/bearer.ts";
import { KIND_NAMES } from "../kinds.ts";
import { PRINCIPALS } from "../messages.ts";
import { toolsFor } from "../tools.ts";
import type { Listening, Stack, StackInit, StackModule } from "./types.ts";

const principals = new Map(
  PRINCIPALS.map(({ id, authorization }) => [authorization.slice("Bearer ".length), { id }]),
);

function serverOf({ tools }: StackInit): McpServer {
  const server = new McpServer({ name: "bench", version: "1.0.0" });
  for (const { name, description, input, run } of toolsFor(tools)) {
    server.registerTool(name, { description, inputSchema: input }, (args, ctx) => {
      return run(args, ctx.progress);
    });
  }
  return server;
}

/** What all nodes of one endpoint know each other by. */
const KEYS = ["a secret of a benchmark that nobody needs to keep"];

/** Returns the options of an endpoint that is open to the internet. */
export function optionsOf({ tools, room, clock, store }: StackInit): McpHandlerOptions {
  return {
    authenticate: bearer({ verify: (token) => principals.get(token) }),
    allowedOrigins: ["https://app.example"],
    requests: {
      timeoutMs: 60_000,
      maxTimeoutMs: 600_000,
      ...store !== undefined && { stateKeys: KEYS },
    },
    limits: {
      page: Math.max(100, tools),
      // Without room for what is measured there would be nothing to measure.
      sessions: Math.max(10_000, room),
      sessionsPerPrincipal: Math.max(1_000, room),
      streams: Math.max(1_000, room),
      streamsPerPrincipal: Math.max(100, room),
    },
    ...clock !== undefined && { clock },
    ...store !== undefined && { store },
  };
}

/** What observes an endpoint. */
export type Observers = Pick<McpHandlerOptions, "middleware" | "onEvent">;

/** Makes Mooring, and what observes it. */
export function makeObserved(init: StackInit, observers: Observers): Stack {
  return make(init, { ...optionsOf(init), ...observers });
}

function make(init: StackInit, options = optionsOf(init)): Stack {
  const handler = createMcpHandler(serverOf(init), options);
  return {
    answer: handler,
    notify: (session) =>
      handler.notify(session, {
        method: "notifications/message",
        params: { level: "info", data: "News" },
      }),
  };
}

/** Makes Mooring, which sends one notification to everybody. */
function makeBroadcasting(init: StackInit): Stack {
  const server = serverOf(init);
  return {
    answer: createMcpHandler(server, optionsOf(init)),
    broadcast: () => server.sendToolListChanged(),
  };
}

/** Makes Mooring, which has no room for an event. */
function makeWithoutLog(init: StackInit): Stack {
  const options = optionsOf(init);
  return make(init, { ...options, limits: { ...options.limits, totalEventBytes: 1 } });
}

async function listen(init: StackInit, observers: Observers = {}): Promise<Listening> {
  const { serve } = await adapter();
  const options = { ...optionsOf(init), ...observers };
  return await serve(serverOf(init), { ...options, port: 0, signals: false });
}

/** What serves on this runtime: each has an adapter of its own, which only that runtime can load. */
export function adapter(): Promise<Pick<typeof import("../../src/adapters/node.ts"), "serve">> {
  if ("Deno" in globalThis) return import("../../src/adapters/deno.ts");
  if ("Bun" in globalThis) return import("../../src/adapters/bun.ts");
  return import("../../src/adapters/node.ts");
}

/** Mooring behind what its users have anyway: on Node `@hono/node-server`, else the runtime's server. */
export const mooringHosted: StackModule = {
  title: "Mooring, without its adapter",
  kinds: ["http"],
  make: (init) => make(init),
};

/** Mooring, where a client can't resume a stream. */
export const mooringWithoutLog: StackModule = {
  title: "Mooring, without a log",
  kinds: [],
  make: makeWithoutLog,
};

/** Mooring, where a change is told to all streams at once. */
export const mooringBroadcasting: StackModule = {
  title: "Mooring, to all streams",
  kinds: [],
  make: makeBroadcasting,
};

/** Mooring, with a function that gets every event. */
export const mooringObserved: StackModule = {
  title: "Mooring, observed",
  kinds: ["http"],
  make: (init) => makeObserved(init, { onEvent() {} }),
  listen: (init) => listen(init, { onEvent() {} }),
};

/** Mooring. */
export const mooring: StackModule = {
  title: "Mooring",
  kinds: KIND_NAMES,
  make: (init) => make(init),
  listen: (init) => listen(init),
};
