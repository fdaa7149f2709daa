/**
 * The official SDK, version 1: a server and a transport for each session.
 *
 * @module
 */
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import type { ServerNotification, ServerRequest } from "@modelcontextprotocol/sdk/types.js";
import type { KindName } from "../kinds.ts";
import { textResult, toolsFor } from "../tools.ts";
import { NEWS, perSession } from "./per_session.ts";
import type { StackInit, StackModule } from "./types.ts";

/** What stacks with a server object for each session can do, in the memory that there is. */
export const SESSIONFUL: readonly KindName[] = [
  "json",
  "sse",
  "initialize",
  "list-1",
  "list-100",
  "list-1000",
  "progress",
  "notify",
  "live-10000",
  "http",
  "session-heap",
  "stream-heap",
];

/** Kinds for which the server is set to answer with a stream. */
export function streams(kind: KindName): boolean {
  return kind === "sse" || kind === "progress";
}

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** The server object of one session. */
export function sdkServer({ tools }: StackInit): McpServer {
  const server = new McpServer({ name: "bench", version: "1.0.0" }, {
    capabilities: { logging: {} },
  });
  for (const { name, description, input, run } of toolsFor(tools)) {
    const call = async (args: unknown, extra: Extra) => {
      const progressToken = extra._meta?.progressToken ?? 0;
      const text = await run(args, (progress, total) =>
        extra.sendNotification({
          method: "notifications/progress",
          params: { progressToken, progress, total },
        }));
      return textResult(text);
    };
    server.registerTool(name, { description, inputSchema: input.shape }, call);
  }
  return server;
}

/** `@modelcontextprotocol/sdk`. */
export const sdkV1: StackModule = {
  title: "SDK v1",
  kinds: SESSIONFUL,
  acceptSse: "application/json, text/event-stream",
  make: (init) =>
    perSession(async (begun) => {
      const server = sdkServer(init);
      const transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: () => crypto.randomUUID(),
        onsessioninitialized: begun,
        enableJsonResponse: !streams(init.kind),
      });
      await server.connect(transport);
      return {
        handle: (request) => transport.handleRequest(request),
        notify: () => server.server.notification(NEWS),
      };
    }),
};
