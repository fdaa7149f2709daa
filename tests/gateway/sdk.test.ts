import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { McpServer as SdkV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { McpServer as SdkV2 } from "@modelcontextprotocol/server";
import { z } from "zod";
import { createMcpHandler } from "../../mod.ts";
import { gateway, sdk } from "../../src/gateway/mod.ts";
import { connect } from "../../src/testing/mod.ts";
import { Opened } from "../contracts/upstream.ts";
import type { sdkContractServer } from "../contracts/upstream_servers.ts";
import { as, byToken } from "../support/wire.ts";
import { textOf } from "./core_support.ts";

const said = (text: string) => ({ content: [{ type: "text" as const, text }] });

function version1() {
  const server = new SdkV1({ name: "one", version: "1.0.0" });
  let count = 0;
  server.registerTool("count", {}, () => said(`${++count}`));
  server.registerTool(
    "who",
    {},
    ({ authInfo }: { authInfo?: { clientId: string } }) => said(`${authInfo?.clientId}`),
  );
  return server;
}

function version2() {
  const server = new SdkV2({ name: "two", version: "1.0.0" });
  let count = 0;
  server.registerTool("count", { inputSchema: z.object({}) }, () => said(`${++count}`));
  server.registerTool("ask", { inputSchema: z.object({}) }, async (_args, ctx) => {
    const { action, content } = await ctx.mcpReq.elicitInput({
      message: "Name?",
      requestedSchema: { type: "object", properties: { name: { type: "string" } } },
    });
    return said(JSON.stringify({ action, content }));
  });
  server.registerTool("ask_in_call", { inputSchema: z.object({}) }, async (_args, ctx) => {
    const params = {
      message: "Name?",
      requestedSchema: { type: "object", properties: {} },
    } as const;
    const { content } = await ctx.mcpReq.send({ method: "elicitation/create", params });
    return said(String(content?.name));
  });
  return server;
}

describe("sdk()", () => {
  for (const [version, make] of [["1", version1], ["2", version2]] as const) {
    test(`[GTW-9] hosts servers of version ${version}, one for each session`, async () => {
      let made = 0;
      const up = sdk(() => {
        made++;
        return make();
      });
      const gw = gateway({ upstreams: { up } });
      const handler = createMcpHandler(gw, { authenticate: byToken });
      const [a, b] = await Promise.all([
        connect(handler, { headers: as("alice") }),
        connect(handler, { headers: as("alice") }),
      ]);
      const count = async (client: typeof a) => textOf({ ...await client.callTool("up__count") });
      for (let n = 1; n <= 5; n++) assert.equal(await count(a), `${n}`);
      for (let n = 1; n <= 3; n++) assert.equal(await count(b), `${n}`);
      assert.equal(made, 2);
      await Promise.all([a.close(), b.close()]);
      await handler.close();
      assert.equal(gw.stats().sessions, 0);
      await gw.close();
    });
  }

  test("[GTW-9] a server of version 2 asks the user in the midst of a call", async () => {
    const opened = await Opened.open(sdk(version2));
    assert.match(String(await opened.call("ask")), /Ada/);
    await opened.session.close();
  });

  test("[GTW-9] of two calls at a time, each asks its own client's user", async () => {
    const opened = await Opened.open(sdk(version2));
    const calls = ["Ada", "Ben"].map((name) =>
      opened.call("ask_in_call", {}, {
        ask: async () => ({ action: "accept", content: { name } }),
      })
    );
    assert.deepEqual(await Promise.all(calls), ["Ada", "Ben"]);
    await opened.session.close();
  });

  test("[GTW-9] tools are told who calls, and nothing of its credentials", async () => {
    const gw = gateway({ upstreams: { up: sdk(version1) } });
    const handler = createMcpHandler(gw, { authenticate: byToken });
    const client = await connect(handler, { headers: as("alice") });
    assert.equal(textOf({ ...await client.callTool("up__who") }), "alice");
    await client.close();
    await handler.close();
    await gw.close();
  });

  test("[GTW-9] the server is made for its session, and closed with it", async () => {
    const seen: unknown[] = [];
    let closed = 0;
    const upstream = sdk(({ principal, request }) => {
      seen.push(principal.id, request.url);
      const server = version1();
      server.server.onclose = () => closed++;
      return server;
    });
    const opened = await Opened.open(upstream);
    assert.deepEqual(seen, ["alice", "http://gateway.example/mcp"]);
    await opened.session.close();
    assert.equal(closed, 1);
  });

  test("[GTW-4] what is no factory, or makes no server, is refused", async () => {
    // What JavaScript lets through
    assert.throws(() => sdk(version1() as unknown as typeof version1), TypeError);
    assert.throws(() => sdk(undefined as unknown as typeof version1), TypeError);
    const nothing = sdk(() => ({}) as ReturnType<typeof sdkContractServer>);
    await assert.rejects(Opened.open(nothing), TypeError);
    const broken = sdk(() => {
      throw new Error("No server");
    });
    await assert.rejects(Opened.open(broken), /No server/);
  });

  test("[GTW-3] anything that connects to a transport is a server, and is told of the end", async () => {
    let over = 0;
    interface Bare {
      onmessage?: (message: { id?: number; method: string }) => void;
      onclose?: () => void;
      send(message: unknown): Promise<void>;
    }
    const opened = await Opened.open(sdk(() => ({
      connect: async (transport: Bare) => {
        transport.onclose = () => over++;
        transport.onmessage = ({ id, method }) => {
          if (id === undefined) return;
          const result = method === "initialize"
            ? {
              protocolVersion: "2025-06-18",
              capabilities: {},
              serverInfo: { name: "bare", version: "1" },
            }
            : { echoed: method };
          transport.send({ jsonrpc: "2.0", id, result });
        };
      },
    })));
    assert.equal(opened.session.facts.protocolVersion, "2025-06-18");
    assert.deepEqual(await opened.request("any/thing"), { echoed: "any/thing" });
    await opened.session.close();
    assert.equal(over, 1);
  });
});
