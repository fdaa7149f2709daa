/**
 * The official SDK, version 2, with sessions of 2025: a server and a transport for each.
 *
 * @module
 */
import { McpServer, WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/server";
import { textResult, toolsFor } from "../tools.ts";
import { NEWS, perSession } from "./per_session.ts";
import { SESSIONFUL, streams } from "./sdk_v1.ts";
import type { StackInit, StackModule } from "./types.ts";

/** The server object of one session or request. */
export function sdk2Server({ tools }: StackInit): McpServer {
  const server = new McpServer({ name: "bench", version: "1.0.0" }, {
    capabilities: { logging: {} },
  });
  for (const { name, description, input, run } of toolsFor(tools)) {
    server.registerTool(name, { description, inputSchema: input }, async (args, ctx) => {
      const progressToken = ctx.mcpReq._meta?.progressToken ?? 0;
      const text = await run(args, (progress, total) =>
        ctx.mcpReq.notify({
          method: "notifications/progress",
          params: { progressToken, progress, total },
        }));
      return textResult(text);
    });
  }
  return server;
}

/** `@modelcontextprotocol/server`, its sessionful transport. */
export const sdkV2Sessions: StackModule = {
  title: "SDK v2 sessions",
  kinds: SESSIONFUL,
  acceptSse: "application/json, text/event-stream",
  make: (init) =>
    perSession(async (begun) => {
      const server = sdk2Server(init);
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
