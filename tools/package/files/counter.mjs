// An MCP server for `mooring serve --stdio`, without any package.
import { createInterface } from "node:readline";

const ANSWERS = {
  initialize: (params) => ({
    protocolVersion: params.protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: "counter", version: "1.0.0" },
  }),
  "tools/list": () => ({ tools: [{ name: "count", inputSchema: { type: "object" } }] }),
  "tools/call": () => ({ content: [{ type: "text", text: "1" }] }),
  ping: () => ({}),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const answer = ANSWERS[method];
  const body = answer === undefined
    ? { error: { code: -32601, message: "Method not found" } }
    : { result: answer(params) };
  console.log(JSON.stringify({ jsonrpc: "2.0", id, ...body }));
}
