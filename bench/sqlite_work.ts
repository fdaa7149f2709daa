/**
 * Two handlers in one process, one with its store in memory and one with a SQLite file, which do the same work
 * in turn, called as functions or over HTTP. Does what it is told on its standard input.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { z } from "zod";
import { createMcpHandler, type McpHandler, McpServer } from "../mod.ts";
import { sqliteStore } from "../src/sql/mod.ts";
import { open, type Opened, senderAt } from "./client.ts";
import { CALLERS, PROGRESS } from "./kinds.ts";
import { ENDPOINT, post, request, sessionHeaders } from "./messages.ts";
import { cpuTime } from "./cpu_time.ts";
import { adapter, optionsOf } from "./stacks/mooring.ts";

/** The tools: what answers with JSON, what reports progress in one turn of the event loop, and in one for each. */
export type SqliteWork = "add" | "count" | "turns";

/** What it can be told. */
export interface SqliteOrder {
  readonly work: SqliteWork;
  readonly store: "memory" | "file";
  /** How long to call the handler; only to tell the processor time when left out. */
  readonly ms?: number;
  /** The number of calls at a time. */
  readonly lanes: number;
}

/** What a slice of work came to. */
export interface SqliteSlice {
  readonly ops: number;
  readonly ms: number;
  /** Milliseconds of processor time of the JavaScript thread. */
  readonly cpuMs: number;
}

/** What it says first: where the two listen. */
export interface SqlitePorts {
  readonly memory: number;
  readonly file: number;
}

function serverOf(): McpServer {
  const server = new McpServer({ name: "bench", version: "1.0.0" });
  server.registerTool("add", {
    inputSchema: z.object({ a: z.number(), b: z.number() }),
  }, ({ a, b }) => String(a + b));
  for (const name of ["count", "turns"]) {
    server.registerTool(name, {}, async (_args, ctx) => {
      for (let done = 1; done <= PROGRESS; done++) {
        await ctx.progress(done, PROGRESS);
        if (name === "turns") await new Promise((resolve) => setImmediate(resolve));
      }
      return "Counted";
    });
  }
  return server;
}

const folder = mkdtempSync(join(tmpdir(), "bench-sqlite-"));
process.once("exit", () => rmSync(folder, { recursive: true }));
const path = process.env["BENCH_SQLITE"] ?? join(folder, "data.sqlite");

async function start(store: SqliteOrder["store"]) {
  const options = optionsOf({
    kind: "json",
    tools: 3,
    room: 0,
    ...store === "file" && { store: sqliteStore({ path }) },
  });
  const handler = createMcpHandler(serverOf(), options);
  const { serve } = await adapter();
  const { port } = await serve(serverOf(), { ...options, port: 0, signals: false });
  const callers: Opened[] = [];
  for (let n = 0; n < CALLERS; n++) callers.push(await open({ answer: handler }, senderAt(n)));
  return { handler, port, callers };
}

interface Started {
  readonly handler: McpHandler;
  readonly port: number;
  readonly callers: readonly Opened[];
}
const stacks: Readonly<Record<SqliteOrder["store"], Started>> = {
  memory: await start("memory"),
  file: await start("file"),
};

async function slice({ work, store, ms, lanes }: SqliteOrder): Promise<SqliteSlice> {
  if (ms === undefined) return { ops: 0, ms: 0, cpuMs: cpuTime() };
  const { handler, callers } = stacks[store];
  const body = request("tools/call", {
    name: work,
    arguments: work === "add" ? { a: 2, b: 3 } : {},
    _meta: { progressToken: "token-1" },
  });
  const inits = callers.map(({ session, sender }) => post(body, sender, sessionHeaders(session)));
  let ops = 0;
  const begin = performance.now();
  const cpu = cpuTime();
  await Promise.all(Array.from({ length: lanes }, async (_, lane) => {
    for (let n = lane; performance.now() - begin < ms; n++) {
      const response = await handler(new Request(ENDPOINT, inits[n % inits.length]));
      const text = await response.text();
      assert.equal(response.status, 200, text);
      const events = text.split("notifications/progress").length - 1;
      assert.equal(events, work === "add" ? 0 : PROGRESS);
      assert.ok(text.includes(work === "add" ? '"5"' : "Counted"), text);
      ops++;
    }
  }));
  return { ops, ms: performance.now() - begin, cpuMs: cpuTime() - cpu };
}

const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
say({ ready: true });
const ports: SqlitePorts = { memory: stacks.memory.port, file: stacks.file.port };
for await (const line of createInterface({ input: process.stdin })) {
  const order: SqliteOrder | "ports" = JSON.parse(line);
  say(order === "ports" ? ports : await slice(order));
}
process.exit();
