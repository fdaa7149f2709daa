// An MCP server on its pipes.
import { McpServer } from "@mooring/mcp";
import { serveStdio } from "@mooring/mcp/stdio";

const server = new McpServer({ name: "piped", version: "1.0.0" });
server.registerTool("count", {}, () => {
  console.log("This is no message");
  return "1";
});
serveStdio(server);
