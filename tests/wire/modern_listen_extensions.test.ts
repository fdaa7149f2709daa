import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler, McpServer } from "../../mod.ts";

const TASKS = "io.modelcontextprotocol/tasks";

async function listen(extensions: Record<string, unknown>): Promise<Response> {
  const handler = createMcpHandler(new McpServer({ name: "test", version: "1.0.0" }));
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": { extensions },
  };
  const method = "subscriptions/listen";
  const response = await handler(
    new Request("http://localhost/mcp", {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 7,
        method,
        params: { _meta, notifications: { taskIds: ["a"] } },
      }),
    }),
  );
  await handler.close();
  return response;
}

describe("ERA: subscriptions/listen to an extension's notifications", () => {
  test("[ERA-3][ERA-5] without the extension the client is told what it lacks", async () => {
    const response = await listen({});
    assert.equal(response.status, 400);
    const { id, error } = await response.json();
    assert.equal(id, 7);
    assert.equal(error.code, -32021);
    assert.deepEqual(error.data, { requiredCapabilities: { extensions: { [TASKS]: {} } } });
  });

  test("[ERA-5] with it, what the server doesn't send is left out of the acknowledgement", async () => {
    const response = await listen({ [TASKS]: {} });
    assert.equal(response.status, 200);
    assert.match(await response.text(), /"notifications":\{\}/);
  });
});
