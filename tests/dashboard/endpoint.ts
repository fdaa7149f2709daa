/**
 * An endpoint for tests of the dashboard: a gateway with two upstreams, on one node or several, each behind a
 * real HTTP server, and its dashboard behind another.
 *
 * @module
 */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { z } from "zod";
import { listen } from "../../src/adapters/node_server.ts";
import type { Listener } from "../../src/adapters/running_server.ts";
import { Unauthorized } from "../../src/auth/errors.ts";
import type { Store } from "../../src/cluster/types.ts";
import { createDashboard, type Dashboard, oneTimeLinks } from "../../src/dashboard/mod.ts";
import type { ActRow, DashboardOptions, OneTimeLinks } from "../../src/dashboard/mod.ts";
import { type Gateway, gateway, local } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import { ToolError } from "../../src/server/tool_error.ts";
import { McpServer } from "../../src/server/server.ts";

/** The secret of all nodes of a test. */
const KEY = "a secret that is long enough for all of them";

/** What a user's bearer token begins with: the rest is the user's name. It must show up nowhere. */
export const TOKEN = "tok-5ecret-";
/** A part of every argument that a test sends: it must show up nowhere. */
export const BODY = "b0dy-5ecret";

/** One node, with its servers. */
export interface Node {
  readonly name: string;
  readonly handler: McpHandler;
  readonly gateway: Gateway;
  readonly dashboard: Dashboard;
  readonly links: OneTimeLinks;
  readonly events: McpEvent[];
  readonly acts: ActRow[];
  /** The endpoint's URL. */
  readonly url: string;
  /** The dashboard's URL, without a path. */
  readonly page: string;
  /** Stops answering, as a node does that dies. */
  close(): Promise<void>;
}

/** Makes the servers behind the gateway. `github__export` takes minutes. */
function upstreams(
  random: () => number,
): { readonly github: McpServer; readonly files: McpServer } {
  const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const github = new McpServer({ name: "github", version: "1.0.0" });
  const files = new McpServer({ name: "files", version: "1.0.0" });
  const inputSchema = z.object({ query: z.string() });
  github.registerTool("search_issues", { inputSchema }, async () => {
    await pause(20 + random() * 120);
    return "Found nothing";
  });
  github.registerTool("create_comment", { inputSchema }, async () => {
    await pause(60 + random() * 200);
    if (random() < 0.12) throw new ToolError("The issue is locked");
    return "Done";
  });
  github.registerTool("export", { inputSchema }, async (_args, { signal, progress }) => {
    const pages = 400 + Math.floor(random() * 1_200);
    for (let page = 1; page <= pages && !signal.aborted; page++) {
      progress(page, pages, `Page ${page}`);
      await pause(250);
    }
    return "Exported";
  });
  files.registerTool("read_file", { inputSchema }, async () => {
    if (random() < 0.2) await pause(random() * 30);
    return "A file";
  });
  files.registerTool("write_file", { inputSchema }, async () => {
    await pause(2 + random() * 20);
    if (random() < 0.02) throw new ToolError("The disk is full");
    return "Written";
  });
  return { github, files };
}

/** Starts a node. */
export async function startNode(
  name: string,
  store?: Store,
  options: Partial<DashboardOptions> & { readonly handler?: McpHandlerOptions } = {},
): Promise<Node> {
  const { handler: handlerOptions, ...dashboardOptions } = options;
  const events: McpEvent[] = [];
  const acts: ActRow[] = [];
  // A fixed sequence, so that each run shows much the same.
  let seed = 7;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const { github, files } = upstreams(random);
  const gw = gateway({ upstreams: { github: local(github), files: local(files) } });
  const handler = createMcpHandler(gw, {
    authenticate({ headers }) {
      const [, user] = /^Bearer tok-5ecret-(.+)$/.exec(headers.get("authorization") ?? "") ?? [];
      if (user === undefined) throw new Unauthorized("Send a token");
      return { id: user, issuer: "https://login.example" };
    },
    onEvent: (event) => void events.push(event),
    ...store !== undefined && { store, requests: { stateKeys: [KEY] } },
    ...handlerOptions,
  });
  const links = oneTimeLinks();
  const dashboard = createDashboard(handler, {
    authenticate: links,
    node: name,
    onAct: (act) => void acts.push(act),
    onError(error) {
      throw error;
    },
    ...dashboardOptions,
  });
  const failed = () => {};
  const hostname = "127.0.0.1";
  const listeners: Listener[] = [
    await listen({ hostname, port: 0, fetch: handler, failed }),
    await listen({ hostname, port: 0, fetch: dashboard, failed }),
  ];
  const [port, pagePort] = listeners.map(({ port }) => port);
  return {
    name,
    handler,
    gateway: gw,
    dashboard,
    links,
    events,
    acts,
    url: `http://${hostname}:${port}/mcp`,
    page: `http://${hostname}:${pagePort}/`,
    async close() {
      await dashboard.close();
      await handler.close({ graceMs: 0 });
      await gw.close();
      for (const { kill } of listeners) kill();
      await Promise.all(listeners.map(({ stop }) => stop()));
    },
  };
}

/** Connects a published client as a user. */
export async function connectClient(
  node: Node,
  user: string,
  name = "example-client",
): Promise<Client> {
  const client = new Client({ name, version: "1.4.0" });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(node.url), {
      requestInit: { headers: { authorization: `Bearer ${TOKEN}${user}` } },
    }),
  );
  // As programs do: names that were never listed are unknown to the page.
  await client.listTools();
  return client;
}

/** Calls a tool with an argument that must show up nowhere. */
export async function callTool(
  client: Client,
  name: string,
  signal?: AbortSignal,
): Promise<{ readonly isError?: boolean | undefined }> {
  return await client.callTool({ name, arguments: { query: BODY } }, {
    timeout: 600_000,
    ...signal !== undefined && { signal },
    onprogress: () => {},
  });
}
