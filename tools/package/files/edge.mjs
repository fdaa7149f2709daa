import { createMcpHandler, McpServer } from "@mooring/mcp";

const server = new McpServer({ name: "edge", version: "1.0.0" });
server.registerTool("hello", { description: "Greets." }, () => "Hello!");

export default createMcpHandler(server);
