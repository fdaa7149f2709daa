/**
 * Upstreams on a port of their own.
 *
 * @module
 */
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { randomUUID } from "node:crypto";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { toNodeHandler } from "../../src/adapters/node.ts";

/** Answers requests. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** A server on a port. */
export interface Listening {
  /** Where its endpoint is. */
  readonly url: string;
  /** How many connections it has. */
  readonly connections: number;
  /** Ends every connection, and takes no new ones. */
  cut(): void;
  close(): Promise<void>;
}

/** Serves a handler over real HTTP. */
export async function listen(handler: Handler): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer(toNodeHandler(async (request) => await handler(request)));
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("No port");
  let closed: Promise<void> | undefined;
  const cut = () => {
    closed ??= new Promise((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${address.port}/mcp`,
    get connections() {
      return sockets.size;
    },
    cut,
    async close() {
      cut();
      await closed;
    },
  };
}

/** A server of the official SDK, version 1, that can be connected. */
export interface SdkServer {
  connect(transport: WebStandardStreamableHTTPServerTransport): Promise<void>;
}

/** Serves servers of the official SDK, one for each session, as its documentation does. */
export function sdkHandler(make: () => SdkServer, enableJsonResponse = false): Handler {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  return async (request) => {
    const id = request.headers.get("mcp-session-id");
    const known = id === null ? undefined : sessions.get(id);
    if (known !== undefined) return await known.handleRequest(request);
    if (id !== null) {
      const error = { code: -32001, message: "Session not found" };
      return Response.json({ jsonrpc: "2.0", error, id: null }, { status: 404 });
    }
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse,
      onsessioninitialized: (own: string) => void sessions.set(own, transport),
      onsessionclosed: (own: string) => void sessions.delete(own),
    });
    await make().connect(transport);
    return await transport.handleRequest(request);
  };
}
