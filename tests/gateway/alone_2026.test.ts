/**
 * A server that speaks both eras, served alone to a 2026 client: as behind the SDK's own handler.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createMcpHandler as sdkHandler, Server } from "@modelcontextprotocol/server";
import { serveStdio, type ServeStdioOptions } from "@modelcontextprotocol/server/stdio";
import { z } from "zod";
import { createMcpHandler } from "../../mod.ts";
import { sdk } from "../../src/gateway/mod.ts";
import type { Handler } from "./servers.ts";

const Any = z.looseObject({});

function dualServer(): Server {
  const server = new Server({ name: "dual", version: "3.0.0", title: "Dual" }, {
    instructions: "Use it",
    capabilities: { tools: {}, experimental: { "acme/x": { y: 1 } } },
    cacheHints: { "tools/list": { ttlMs: 7000, cacheScope: "public" } },
  });
  server.setRequestHandler("tools/list", () => ({
    tools: [{ name: "one", inputSchema: { type: "object" } }],
    _meta: { "acme/page": 1 },
  }));
  server.setRequestHandler("acme/echo", { params: Any, result: Any }, (params, { mcpReq }) => ({
    params,
    trace: mcpReq._meta?.["acme/trace"],
  }));
  return server;
}

async function script(handler: Handler): Promise<unknown> {
  const client = new Client({ name: "script", version: "1.0.0" }, {
    versionNegotiation: { mode: { pin: "2026-07-28" } },
  });
  const results: unknown[] = [];
  const fetch = async (url: string | URL, init?: RequestInit) => {
    const response = await handler(new Request(url, init));
    const { result, error } = await response.clone().json();
    // The endpoint serves the other era, too.
    if (result !== undefined) delete result.supportedVersions;
    results.push({ status: response.status, result, error });
    return response;
  };
  await client.connect(
    new StreamableHTTPClientTransport(new URL("http://localhost/mcp"), { fetch }),
  );
  assert.equal(client.getNegotiatedProtocolVersion(), "2026-07-28");
  await client.listTools();
  const params = { a: [1], _meta: { "acme/trace": "t" } };
  await client.request({ method: "acme/echo", params }, Any);
  await client.request({ method: "acme/none" }, Any).catch(() => {});
  await client.close();
  return results;
}

test("[GTW-12] a 2026 client sees the server as behind the SDK's own handler", async () => {
  const own = sdkHandler(dualServer);
  const expected = await script((request) => own.fetch(request));
  await own.close();
  const hosted = sdk(() => {
    let handle: ReturnType<typeof serveStdio> | undefined;
    return {
      connect: async (transport: ServeStdioOptions["transport"]) => {
        handle = serveStdio(dualServer, { transport });
      },
      close: () => handle?.close(),
    };
  });
  const handler = createMcpHandler(hosted);
  assert.deepEqual(await script(handler), expected);
  assert.match(JSON.stringify(expected), /"ttlMs":7000.*"cacheScope":"public"/);
  await handler.close();
});
