/**
 * A server of the official SDK, version 2, which speaks both eras.
 *
 * @module
 */
import { inputRequired, McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";

/** Makes it. */
export function sdkV2Server(): McpServer {
  const server = new McpServer({ name: "sdk-v2", version: "1.0.0" }, {
    capabilities: {
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
    },
  });
  const text = (text: string) => ({ content: [{ type: "text" as const, text }] });
  server.registerTool(
    "echo",
    { inputSchema: z.object({ text: z.string() }) },
    ({ text: said }) => text(said),
  );
  server.registerTool("ask", {}, (ctx) => {
    const answer = ctx.mcpReq.inputResponses?.name;
    if (answer !== undefined) return text(JSON.stringify(answer));
    return inputRequired({
      inputRequests: {
        name: inputRequired.elicit({
          message: "Name?",
          requestedSchema: { type: "object", properties: { name: { type: "string" } } },
        }),
      },
    });
  });
  server.registerTool("more", {}, () => {
    server.registerTool("new", {}, () => text("new"));
    return text("done");
  });
  return server;
}
