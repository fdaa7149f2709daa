// Calls the handler of a bundle.
import process from "node:process";

const { default: handler } = await import(process.argv[2]);
const response = await handler(
  new Request("http://localhost/mcp", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "consumer", version: "1.0.0" },
      },
    }),
  }),
);
const { result } = await response.json();
if (result?.serverInfo?.name !== "edge") throw new Error(`Status ${response.status}`);
process.exit();
