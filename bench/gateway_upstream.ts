/**
 * A process that serves the server behind gateways over HTTP on loopback, as the documentation of the
 * official SDK does: with sessions, on a port that it tells.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { cpuTime } from "./cpu_time.ts";
import { upstreamServer } from "./gateway_tools.ts";
import type { Serving } from "./http_server.ts";

const sessions = new Map<string, StreamableHTTPServerTransport>();
const server = createServer(async (incoming, outgoing) => {
  const known = sessions.get(String(incoming.headers["mcp-session-id"]));
  if (known !== undefined) return await known.handleRequest(incoming, outgoing);
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id: string) => void sessions.set(id, transport),
  });
  await upstreamServer().connect(transport);
  await transport.handleRequest(incoming, outgoing);
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
const { port } = server.address() as AddressInfo; // it listens on a port
const say = (): void => {
  const serving: Serving = { port, cpuMs: cpuTime() };
  process.stdout.write(`${JSON.stringify(serving)}\n`);
};
say();
for await (const _ of createInterface({ input: process.stdin })) say();
process.exit();
