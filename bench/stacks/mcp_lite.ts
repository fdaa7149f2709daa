/**
 * `mcp-lite`: one server object for all sessions.
 *
 * @module
 */
import { InMemorySessionAdapter, McpServer, StreamableHttpTransport } from "mcp-lite";
import { z } from "zod";
import { textResult, toolsFor } from "../tools.ts";
import type { StackModule } from "./types.ts";

/** `mcp-lite`. */
export const mcpLite: StackModule = {
  title: "mcp-lite",
  kinds: [
    "json",
    "sse",
    "initialize",
    "list-1",
    "list-100",
    "list-1000",
    "progress",
    "live-10000",
    "live-100000",
    "http",
    "session-heap",
    "stream-heap",
  ],
  acceptJson: "application/json",
  make({ tools }) {
    const server = new McpServer({
      name: "bench",
      version: "1.0.0",
      schemaAdapter: (schema) => z.toJSONSchema(schema as z.ZodType), // all schemas here are zod's
    });
    for (const { name, description, input, run } of toolsFor(tools)) {
      server.tool(name, {
        description,
        inputSchema: input,
        handler: async (args, ctx) => {
          const text = await run(args, (progress, total) => ctx.progress?.({ progress, total }));
          return textResult(text);
        },
      });
    }
    const transport = new StreamableHttpTransport({
      sessionAdapter: new InMemorySessionAdapter({ maxEventBufferSize: 256 }),
    });
    const answer = transport.bind(server);
    return { answer: (request) => answer(request) };
  },
};
