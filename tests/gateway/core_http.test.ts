import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { type Gateway, gateway, http } from "../../src/gateway/mod.ts";
import { connect } from "../../src/testing/mod.ts";
import { contractServer } from "../contracts/upstream_servers.ts";
import { CAPABLE, ModernPeer, questionsOf, stateOf } from "../support/modern.ts";
import { as, byToken } from "../support/wire.ts";
import { textOf } from "./core_support.ts";

type Version = "2025-11-25" | "2026-07-28";

const NAME = { action: "accept", content: { name: "Ada" } } as const;

/** A handler over a gateway over HTTP, of which nothing leaves the process. */
async function behind(
  version: Version,
  work: (fetch: ReturnType<typeof createMcpHandler>["fetch"], gw: Gateway) => Promise<void>,
): Promise<void> {
  const upstream = createMcpHandler(contractServer(), { versions: [version] });
  const up = http({
    url: "http://upstream.example/mcp",
    fetch: (url, init) => upstream.fetch(new Request(url, init)),
  });
  const gw = gateway({ upstreams: { up } });
  const handler = createMcpHandler(gw, { authenticate: byToken });
  try {
    await work(handler.fetch, gw);
  } finally {
    await handler.close({ graceMs: 0 });
    await gw.close();
    await upstream.close({ graceMs: 0 });
  }
}

describe("a gateway over HTTP", () => {
  for (const version of ["2025-11-25", "2026-07-28"] as const) {
    test(`[GTW-10] a 2025 client calls, is asked and hears progress: upstream of ${version}`, () =>
      behind(version, async (fetch) => {
        const client = await connect(fetch, { headers: as("alice"), onElicit: () => NAME });
        assert.match(String(textOf({ ...await client.callTool("up__ask") })), /Ada/);
        const seen: number[] = [];
        await client.callTool("up__progress", { steps: 3 }, {
          onProgress: ({ progress }) => seen.push(progress),
        });
        assert.deepEqual(seen, [1, 2, 3]);
        await client.readResource("test://thing");
        await assert.rejects(client.callTool("up__refuse"), /Refused/);
        await client.close();
      }));

    test(`[GTW-10] a 2026 client calls, is asked and hears progress: upstream of ${version}`, () =>
      behind(version, async (fetch, gw) => {
        const alice = new ModernPeer(fetch, { headers: as("alice"), capabilities: CAPABLE });
        await alice.ask("server/discover");
        await alice.ask("tools/list");
        const first = await alice.say("up__ask");
        const [key = ""] = Object.keys(questionsOf(first));
        assert.equal(gw.stats().held, version === "2025-11-25" ? 1 : 0);
        const second = await alice.say("up__ask", {}, {
          inputResponses: { [key]: NAME },
          requestState: stateOf(first),
        });
        assert.match(String(textOf(second)), /Ada/);
        const _meta = { progressToken: "p" };
        const response = await alice.call("up__progress", { steps: 2 }, { _meta });
        const told = (await alice.frames(response).messages()).map(({ method }) => method);
        assert.deepEqual(told.slice(0, -1), Array(2).fill("notifications/progress"));
        await alice.ask("resources/read", { uri: "test://thing" });
        assert.equal((await alice.error(await alice.call("up__refuse"))).code, -32602);
      }));
  }

  test("[GTW-1] two sessions of one user count for themselves: 5 and 3", () =>
    behind("2025-11-25", async (fetch) => {
      const [a, b] = await Promise.all([
        connect(fetch, { headers: as("alice") }),
        connect(fetch, { headers: as("alice") }),
      ]);
      const count = async (client: typeof a) => textOf({ ...await client.callTool("up__count") });
      for (let n = 1; n <= 5; n++) assert.equal(await count(a), `${n}`);
      for (let n = 1; n <= 3; n++) assert.equal(await count(b), `${n}`);
      await Promise.all([a.close(), b.close()]);
    }));

  test("[GTW-6] gateways that lead to each other come to an end", async () => {
    let posts = 0;
    const gw: Gateway = gateway({
      upstreams: {
        self: http({
          url: "http://gateway.example/mcp",
          versions: ["2025-11-25"],
          fetch: (url, init) => {
            if (init.method === "POST") posts++;
            return handler.fetch(new Request(url, init));
          },
        }),
      },
    });
    const handler = createMcpHandler(gw);
    const client = await connect(handler.fetch, { listen: false });
    await assert.rejects(client.listTools(), /"self" can.t be used now \(rejected\)/);
    assert.ok(posts < 60, `It took ${posts} requests`);
    await client.close();
    await handler.close({ graceMs: 0 });
    await gw.close();
  });
});
