/**
 * A process that serves the shop: without a protocol, or as an MCP server.
 *
 * @module
 */
import cluster from "node:cluster";
import { readFileSync } from "node:fs";
import process from "node:process";
import { createClient } from "redis";
import { z } from "zod";
import { bearer } from "../../src/auth/bearer.ts";
import type { Store } from "../../src/cluster/types.ts";
import type { MaybePromise } from "../../src/internal/types.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { McpServer } from "../../src/server/server.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { PRINCIPALS } from "../messages.ts";
import { tell } from "../serving.ts";
import { textResult } from "../tools.ts";
import { type ShopInit, type ShopTool, shopTools } from "./tools.ts";

/** The servers that are compared. */
export const SHOPS = [
  "plain",
  "mooring",
  "mooring-sqlite",
  "mooring-redis",
  "mooring-processes",
  "mcp-lite",
  "sdk-v1",
] as const;

/** The name of a server. */
export type ShopName = (typeof SHOPS)[number];

/** What a process is started with. */
export interface ShopServerInit extends ShopInit {
  readonly name: ShopName;
  /** The folder for files. */
  readonly folder: string;
  /** The number of processes of `mooring-processes`. */
  readonly processes: number;
}

/** What a process answers to any order. */
export interface ShopState {
  readonly port: number;
  /** The processor time of all its processes so far, in milliseconds. */
  readonly cpuMs: number;
  /** The memory of all its processes, in MiB. */
  readonly memoryMib: number;
}

type Answer = (request: Request) => MaybePromise<Response>;

/** The processor time in a tick of `/proc`, in milliseconds: Linux has 100 a second. */
const TICK_MS = 10;
const SECRET = "a secret that is long enough for all of them";
const INFO = { name: "shop", version: "1.0.0" };

const principals = new Map(
  PRINCIPALS.map(({ id, authorization }) => [authorization.slice("Bearer ".length), { id }]),
);

/** Answers `GET /tools` and `POST /tools/NAME`, as somebody would who has never heard of MCP. */
function plain(tools: readonly ShopTool[]): Answer {
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  const list = JSON.stringify(tools.map(({ name, description, input }) => {
    return { name, description, input: z.toJSONSchema(input) };
  }));
  const json = { "content-type": "application/json" };
  return async (request) => {
    const token = request.headers.get("authorization")?.slice("Bearer ".length) ?? "";
    if (!principals.has(token)) return new Response(null, { status: 401 });
    if (request.method === "GET") return new Response(list, { headers: json });
    const tool = byName.get(new URL(request.url).pathname.slice("/tools/".length));
    if (tool === undefined) return new Response(null, { status: 404 });
    const { success, data } = tool.input.safeParse(await request.json());
    if (!success) return new Response(null, { status: 400 });
    return new Response(JSON.stringify({ text: await tool.run(data) }), { headers: json });
  };
}

function mooring(tools: readonly ShopTool[]): McpServer {
  const server = new McpServer(INFO);
  for (const { name, description, input, run } of tools) {
    server.registerTool(name, { description, inputSchema: input }, run);
  }
  return server;
}

async function mcpLite(tools: readonly ShopTool[]): Promise<Answer> {
  const { InMemorySessionAdapter, McpServer, StreamableHttpTransport } = await import("mcp-lite");
  const server = new McpServer({
    ...INFO,
    schemaAdapter: (schema) => z.toJSONSchema(schema as z.ZodType), // all schemas here are zod's
  });
  for (const { name, description, input, run } of tools) {
    const handler = async (args: unknown) => textResult(await run(args));
    server.tool(name, { description, inputSchema: input, handler });
  }
  const sessionAdapter = new InMemorySessionAdapter({ maxEventBufferSize: 256 });
  const answer = new StreamableHttpTransport({ sessionAdapter }).bind(server);
  return (request) => answer(request);
}

/** The official SDK as its examples have it: a server and a transport for each session, and streams. */
async function sdkV1(tools: readonly ShopTool[]): Promise<Answer> {
  const { McpServer } = await import("@modelcontextprotocol/sdk/server/mcp.js");
  const { WebStandardStreamableHTTPServerTransport } = await import(
    "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js"
  );
  const transports = new Map<string, { handleRequest(request: Request): Promise<Response> }>();
  return async (request) => {
    const id = request.headers.get("mcp-session-id");
    const known = id === null ? undefined : transports.get(id);
    if (known !== undefined) return await known.handleRequest(request);
    const server = new McpServer(INFO);
    for (const { name, description, input, run } of tools) {
      const call = async (args: unknown) => textResult(await run(args));
      server.registerTool(name, { description, inputSchema: input.shape }, call);
    }
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (session) => void transports.set(session, transport),
      onsessionclosed: (session) => void transports.delete(session),
    });
    await server.connect(transport);
    return await transport.handleRequest(request);
  };
}

declare const Deno: {
  serve(
    options: { hostname: string; port: number; onListen(): void },
    handler: Answer,
  ): { readonly addr: { readonly port: number } };
};
declare const Bun: {
  serve(options: { hostname: string; port: number; fetch: Answer }): { readonly port: number };
};

/** Puts a server behind what the runtime has for this. */
async function listen(fetch: Answer): Promise<number> {
  const hostname = "127.0.0.1";
  if ("Deno" in globalThis) {
    return Deno.serve({ hostname, port: 0, onListen() {} }, fetch).addr.port;
  }
  if ("Bun" in globalThis) return Bun.serve({ hostname, port: 0, fetch }).port;
  const { serve } = await import("@hono/node-server");
  return await new Promise((resolve) => {
    serve({ fetch, hostname, port: 0 }, ({ port }) => resolve(port));
  });
}

async function storeOf(
  { name, redis, prefix, folder }: ShopServerInit,
): Promise<Store | undefined> {
  if (name === "mooring-sqlite") return sqliteStore({ path: `${folder}/shop.sqlite` });
  if (name === "mooring") return undefined;
  const client = createClient({ url: redis });
  await client.connect();
  return redisStore({ client, prefix: `${prefix}store:` });
}

async function serveMooring(init: ShopServerInit, tools: readonly ShopTool[]): Promise<number> {
  const { serve } = "Deno" in globalThis
    ? await import("../../src/adapters/deno.ts")
    : "Bun" in globalThis
    ? await import("../../src/adapters/bun.ts")
    : await import("../../src/adapters/node.ts");
  const store = await storeOf(init);
  const { port } = await serve(mooring(tools), {
    authenticate: bearer({ verify: (token) => principals.get(token) }),
    port: 0,
    ...store !== undefined && { store, requests: { stateKeys: [SECRET] } },
    ...init.name === "mooring-processes" && { processes: init.processes },
  });
  return port;
}

async function serveShop(init: ShopServerInit): Promise<number> {
  const tools = await shopTools(init);
  switch (init.name) {
    case "plain":
      return await listen(plain(tools));
    case "mcp-lite":
      return await listen(await mcpLite(tools));
    case "sdk-v1":
      return await listen(await sdkV1(tools));
    default:
      return await serveMooring(init, tools);
  }
}

function processorTime(pid: number): number {
  // The name of the program is in parentheses, and may have blanks.
  const [, , ...fields] = readFileSync(`/proc/${pid}/stat`, "utf8").split(")").at(-1)
    ?.split(" ") ?? [];
  const [user = 0, system = 0] = fields.slice(10, 12).map(Number);
  return (user + system) * TICK_MS;
}

function memory(pid: number): number {
  const [, kib = ""] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) / 1024;
}

async function main(init: ShopServerInit): Promise<void> {
  const port = await serveShop(init);
  if (!cluster.isPrimary) return;
  const workers = Object.values(cluster.workers ?? {});
  const pids = [process.pid, ...workers.flatMap((worker) => worker?.process.pid ?? [])];
  const sum = (of: (pid: number) => number) => pids.reduce((sum, pid) => sum + of(pid), 0);
  await tell((): ShopState => ({ port, cpuMs: sum(processorTime), memoryMib: sum(memory) }));
}

if (import.meta.main) await main(JSON.parse(process.argv.at(-1) ?? ""));
