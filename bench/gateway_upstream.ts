/**
 * A process that serves the server behind gateways over HTTP on loopback, as the documentation of the
 * official SDK does: with sessions, on a port that it tells.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { cpuTime } from "./cpu_time.ts";
import { tell } from "./serving.ts";
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
await tell((): Serving => ({ port, cpuMs: cpuTime() }));
