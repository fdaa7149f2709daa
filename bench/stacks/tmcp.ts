/**
 * `tmcp` with its HTTP transport: one server object for both eras. It answers every call with a
 * stream.
 *
 * @module
 */
import { ZodJsonSchemaAdapter } from "@tmcp/adapter-zod";
import { HttpTransport } from "@tmcp/transport-http";
import { McpServer } from "tmcp";
import { textResult, toolsFor } from "../tools.ts";
import type { StackModule } from "./types.ts";

/** `tmcp`. */
export const tmcp: StackModule = {
  title: "tmcp",
  kinds: [
    "json",
    "sse",
    "modern",
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
  make({ tools }) {
    const server = new McpServer({ name: "bench", version: "1.0.0", description: "Benchmark" }, {
      adapter: new ZodJsonSchemaAdapter(),
      capabilities: { tools: { listChanged: true } },
    });
    for (const { name, description, input, run } of toolsFor(tools)) {
      server.tool({ name, description, schema: input }, async (args) => {
        return textResult(await run(args, (done, total) => server.progress(done, total)));
      });
    }
    const transport = new HttpTransport(server, { path: "/mcp", allowedOrigins: [] });
    return {
      answer: async (request) => await transport.respond(request) ?? new Response(null),
    };
  },
};
