/**
 * Gateways of several nodes on one store: whoever comes to the wrong one is served all the same.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import type { Store } from "../../src/cluster/types.ts";
import { gateway, local } from "../../src/gateway/mod.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { connect, type TestClient } from "../../src/testing/mod.ts";
import { contractServer } from "../contracts/upstream_servers.ts";
import { CLIENTS, noRedis, uniquePrefix, useServer } from "../support/redis.ts";
import { as, byToken, soon } from "../support/wire.ts";
import { isAlive, tinyChild } from "./children.ts";
import { textOf } from "./core_support.ts";
import { until } from "./e2e_support.ts";

const KEY = "a secret that is long enough for all of them";
const NAME = { action: "accept", content: { name: "Ada" } } as const;

function node(store: Store) {
  const gw = gateway({ upstreams: { child: tinyChild(), near: local(contractServer()) } });
  const handler = createMcpHandler(gw, {
    store,
    authenticate: byToken,
    requests: { stateKeys: [KEY] },
  });
  const close = async () => {
    await handler.close({ graceMs: 0 });
    await gw.close();
  };
  return { gw, handler, close };
}

const said = async (client: TestClient, tool: string) => textOf({ ...await client.callTool(tool) });

/** What two nodes have to do, whatever store they share. */
async function twoNodes(storeOf: () => Store): Promise<void> {
  const [a, b] = [node(storeOf()), node(storeOf())];
  let at = a;
  const programs: number[] = [];
  try {
    const client = await connect((request) => at.handler.fetch(request), {
      headers: as("alice"),
      onElicit: () => NAME,
    });
    assert.equal(await said(client, "child__count"), "1");
    const pid = Number(await said(client, "child__pid"));
    programs.push(pid);
    at = b;
    assert.equal(await said(client, "child__count"), "2");
    assert.equal(Number(await said(client, "child__pid")), pid);
    assert.equal(b.gw.stats().sessions, 0);
    const steps: number[] = [];
    await client.callTool("near__progress", { steps: 3 }, {
      onProgress: ({ progress }) => steps.push(progress),
    });
    assert.deepEqual(steps, [1, 2, 3]);
    assert.match(String(await said(client, "near__ask")), /Ada/);

    const mallory = { headers: { ...as("mallory"), "mcp-session-id": client.sessionId ?? "" } };
    for (const { handler } of [a, b]) {
      const request = new Request("http://localhost/mcp", { method: "DELETE", ...mallory });
      assert.equal((await handler.fetch(request)).status, 404);
    }
    assert.equal(await said(client, "child__count"), "3");

    await soon(client.close(), "the session's end");
    await until(() => !isAlive(pid), "the child's end");
    await until(() => a.gw.stats().sessions === 0, "the end of the upstream sessions");

    at = a;
    const again = await connect((request) => at.handler.fetch(request), { headers: as("alice") });
    const second = Number(await said(again, "child__pid"));
    await a.close();
    assert.ok(!isAlive(second));
    at = b;
    await assert.rejects(again.callTool("child__count"), /Session not found/);
    const anew = await connect((request) => at.handler.fetch(request), { headers: as("alice") });
    assert.equal(await said(anew, "child__count"), "1");
    programs.push(second, Number(await said(anew, "child__pid")));
    await anew.close();
  } finally {
    await Promise.all([a.close(), b.close()]);
  }
  // Those of other files may run in the same process.
  await until(() => !programs.some(isAlive), "the end of all programs");
}

test("[CLU-5, CLU-7] a session works through another node, and ends with its own: in memory", async () => {
  const store = memoryStore();
  await twoNodes(() => store);
});

const [redis] = CLIENTS;
const skip = noRedis || redis === undefined;

test("[CLU-5, CLU-7] a session works through another node, and ends with its own: in Redis", {
  skip,
}, async () => {
  if (redis === undefined) return;
  const server = await useServer();
  const prefix = uniquePrefix();
  const connections = await Promise.all([redis.connect(server.url), redis.connect(server.url)]);
  const clients = connections.map(({ client }) => client);
  try {
    await twoNodes(() => {
      const client = clients.shift();
      assert.ok(client !== undefined);
      return redisStore({ client, prefix });
    });
  } finally {
    await Promise.all(connections.map((each) => each.close()));
    await server.stop();
  }
});
