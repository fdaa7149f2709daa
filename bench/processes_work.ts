/**
 * A server in one process or several, with a tool that does nothing and one that works, on Redis. Tells its
 * port, and how much processor time all of its processes have used.
 *
 * @module
 */
import cluster from "node:cluster";
import { readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { createClient } from "redis";
import { redisStore } from "../src/redis/mod.ts";
import { McpServer } from "../src/server/server.ts";

/** What it is started with. */
export interface ProcessesInit {
  readonly processes: number;
  readonly redis: string;
  readonly prefix: string;
}

/** What it answers to any order. */
export interface ProcessesState {
  readonly port: number;
  /** The processor time of all processes so far, in milliseconds. */
  readonly cpuMs: number;
}

/** How long the tool `work` keeps a core busy, in milliseconds. */
export const WORK_MS = 5;
/** The processor time in a tick of `/proc`, in milliseconds: Linux has 100 a second. */
const TICK_MS = 10;

function processorTime(pid: number): number {
  // The name of the program is in parentheses, and may have blanks.
  const [, , ...fields] = readFileSync(`/proc/${pid}/stat`, "utf8").split(")").at(-1)
    ?.split(" ") ?? [];
  const [user = 0, system = 0] = fields.slice(10, 12).map(Number);
  return (user + system) * TICK_MS;
}

async function main({ processes, redis, prefix }: ProcessesInit): Promise<void> {
  const server = new McpServer({ name: "processes", version: "1.0.0" });
  server.registerTool("idle", {}, () => "Done");
  server.registerTool("work", {}, () => {
    const end = process.cpuUsage().user + WORK_MS * 1_000;
    while (process.cpuUsage().user < end);
    return "Done";
  });
  const client = createClient({ url: redis });
  await client.connect();
  const { serve } = "Bun" in globalThis
    ? await import("../src/adapters/bun.ts")
    : await import("../src/adapters/node.ts");
  const { port } = await serve(server, {
    store: redisStore({ client, prefix }),
    requests: { stateKeys: ["a secret that is long enough for all of them"] },
    port: 0,
    processes,
  });
  if (!cluster.isPrimary) return;
  const pids = Object.values(cluster.workers ?? {}).flatMap((worker) => worker?.process.pid ?? []);
  const tell = () => {
    const cpuMs = [process.pid, ...pids].reduce((sum, pid) => sum + processorTime(pid), 0);
    console.log(JSON.stringify({ port, cpuMs } satisfies ProcessesState));
  };
  tell();
  for await (const _order of createInterface({ input: process.stdin })) tell();
}

if (import.meta.main) await main(JSON.parse(process.argv.at(-1) ?? ""));
