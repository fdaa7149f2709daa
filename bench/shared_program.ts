/**
 * What it saves that many sessions use one program: memory and start time of a program for each, as
 * multiples of one program for all.
 *
 *     deno task bench:shared --sessions 20
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { parseArgs } from "node:util";
import { createMcpHandler } from "../mod.ts";
import { gateway, stdio } from "../src/gateway/mod.ts";
import { connect } from "../src/testing/mod.ts";
import { binary } from "../tests/gateway/children.ts";
import { median } from "./pairs.ts";

const PASSES = 3;
const PROGRAMS = ["mcp-server-everything", "mcp-server-memory"];

/** What the sessions cost. */
interface Cost {
  readonly processes: number;
  /** Memory of the programs, shared pages counted once, in MiB. */
  readonly mib: number;
  /** From the first session's start until each has its tools, in milliseconds. */
  readonly ms: number;
}

/** Opens sessions at once, one user each, lists their tools, and closes them. */
async function costOf(program: string, share: "session" | "all", sessions: number): Promise<Cost> {
  const upstream = stdio({ command: binary(program), share });
  const limits = { programs: sessions };
  const gw = gateway({
    upstreams: { it: upstream },
    limits,
    openTimeoutMs: 120_000,
    listWaitMs: 120_000,
  });
  const handler = createMcpHandler(gw, {
    authenticate: (request) => ({ id: request.headers.get("authorization") ?? "" }),
  });
  const before = new Set(descendants());
  const begun = performance.now();
  const clients = await Promise.all(
    Array.from({ length: sessions }, async (_, nth) => {
      const client = await connect(handler, { headers: { authorization: `user-${nth}` } });
      const tools = await client.listTools();
      if (tools.length === 0) throw new Error(`No tools in session ${nth}`);
      return client;
    }),
  );
  const ms = performance.now() - begun;
  const own = descendants().filter((pid) => !before.has(pid));
  const mib = own.reduce((sum, pid) => sum + memoryOf(pid), 0) / 1024;
  const { programs } = gw.stats();
  await Promise.all(clients.map((client) => client.close()));
  await handler.close();
  await gw.close();
  return { processes: programs, mib, ms };
}

/** Returns the processes that this one has started, and those that they have. */
function descendants(): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      parents.set(Number(entry), Number(parent));
    } catch {
      // It has ended.
    }
  }
  const isOwn = (pid: number): boolean => {
    for (let at = parents.get(pid); at !== undefined; at = parents.get(at)) {
      if (at === process.pid) return true;
    }
    return false;
  };
  return [...parents.keys()].filter(isOwn);
}

/** Returns a process's memory in KiB, with its part of the pages that it has with others. */
function memoryOf(pid: number): number {
  try {
    return Number(
      /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0,
    );
  } catch {
    return 0;
  }
}

const { values } = parseArgs({ options: { sessions: { type: "string", default: "20" } } });
const sessions = Number(values.sessions);
if (!Number.isSafeInteger(sessions) || sessions < 1) throw new Error("Give --sessions a number");
for (const program of PROGRAMS) {
  const memory: number[] = [];
  const time: number[] = [];
  for (let pass = 0; pass < PASSES; pass++) {
    const own = await costOf(program, "session", sessions);
    const all = await costOf(program, "all", sessions);
    memory.push(own.mib / all.mib);
    time.push(own.ms / all.ms);
    console.log(
      `${program}: ${own.processes} programs ${own.mib.toFixed(0)} MiB, ${own.ms.toFixed(0)} ms; ` +
        `${all.processes} program ${all.mib.toFixed(0)} MiB, ${all.ms.toFixed(0)} ms`,
    );
  }
  console.log(
    `${program}, ${sessions} sessions: ${median(memory).toFixed(1)} times the memory and ` +
      `${median(time).toFixed(1)} times the start time without sharing`,
  );
}
