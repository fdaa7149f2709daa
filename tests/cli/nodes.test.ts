/**
 * Two processes of the command as one endpoint, on Redis.
 *
 * @module
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { noRedis, uniquePrefix, useServer } from "../support/redis.ts";
import { counter, reach, serving, textOf, withConfig } from "./program.ts";

const server = noRedis === false ? await useServer() : undefined;
after(async () => await server?.stop());

const ENV = { CLUSTER_SECRET: "0123456789abcdef0123456789abcdef" };

test("[CLU-5] a session that began at one node goes on at another, in the same program", {
  skip: noRedis,
}, () =>
  withConfig({
    mcpServers: { one: counter("one") },
    redis: { url: server?.url ?? "", prefix: uniquePrefix() },
    secret: "${CLUSTER_SECRET}",
  }, (file) =>
    serving(["--config", file], (_first, here) =>
      serving(["--config", file], async (_second, there) => {
        for (const [path, tool] of [["/mcp", "one__count"], ["/servers/one", "count"]] as const) {
          await using client = await reach(new URL(path, here).href);
          assert.equal(await textOf(client, tool), "1");
          const call = async (endpoint: string): Promise<{ status: number; text: string }> => {
            const response = await fetch(new URL(endpoint, there), {
              method: "POST",
              headers: {
                "content-type": "application/json",
                "accept": "application/json, text/event-stream",
                "mcp-protocol-version": "2025-11-25",
                "mcp-session-id": client.sessionId ?? "",
              },
              body: JSON.stringify({
                jsonrpc: "2.0",
                id: 1,
                method: "tools/call",
                params: { name: tool },
              }),
            });
            return { status: response.status, text: await response.text() };
          };
          const { status, text } = await call(path);
          assert.equal(status, 200);
          assert.match(text, /"text":"2"/);
          assert.equal(await textOf(client, tool), "3");
          const other = path === "/mcp" ? "/servers/one" : "/mcp";
          assert.equal((await call(other)).status, 404);
        }
      }, ENV), ENV)));
