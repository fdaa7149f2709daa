/**
 * Redis has no memory left: requests that must write are refused, and nothing stays half-written.
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { strings } from "../../src/redis/replies.ts";
import { CLIENTS, noBinary, OwnServer, uniquePrefix } from "../support/redis.ts";
import { ask } from "../support/redis_fleet.ts";
import { as, byToken, initialize, refused, Stub, text, textOf } from "../support/wire.ts";

const STATE_KEY = "0123456789abcdef0123456789abcdef";

describe("maxmemory", { skip: noBinary }, () => {
  for (const { name, connect } of CLIENTS) {
    test(`[RDS-4] ${name}: full: 503 and nothing half-written; room again: everything goes on`, async () => {
      const server = await OwnServer.start("--maxmemory-policy", "noeviction");
      const connection = await connect(server.url);
      const { client } = connection;
      let ran = 0;
      const handler = createMcpHandler(
        new Stub({
          count: () => text(String(++ran)),
        }),
        {
          store: redisStore({ client, prefix: uniquePrefix() }),
          authenticate: byToken,
          limits: { sessions: 3 },
          requests: { stateKeys: [STATE_KEY] },
        },
      );
      const full = async (yes: boolean) =>
        await ask(server, "CONFIG", "SET", "maxmemory", yes ? "1" : "0");
      const names = async (part: string) =>
        strings(await ask(server, "KEYS", `*${part}*`), "keys").sort();
      /** All that sessions and streams keep. */
      const contents = async (): Promise<unknown> => {
        // A node's sign of life comes when it is time, whatever happens meanwhile.
        const keys = (await names("")).filter((key) => !/\{index\}|:n:\{/.test(key));
        return await Promise.all(keys.map(async (key) => [key, await ask(server, "DUMP", key)]));
      };
      /** The index knows each session in one place: what is noted late may move it, as a whole. */
      const checkIndex = async () => {
        const [owner = ""] = await names("{index}:owner");
        const ids = strings(await ask(server, "HKEYS", owner), "ids").sort();
        const places = await Promise.all(
          ["free", "held", "reserved"].map(async (name) =>
            strings(await ask(server, "ZRANGE", owner.replace("owner", name), "0", "-1"), name)
          ),
        );
        assert.deepEqual(places.flat().sort(), ids);
        assert.equal(await ask(server, "ZCARD", owner.replace("owner", "mine")), places[0]?.length);
        const counts = strings(
          await ask(server, "HVALS", owner.replace("owner", "count")),
          "counts",
        );
        assert.equal(counts.reduce((sum, count) => sum + Number(count), 0), ids.length);
      };
      try {
        const peer = await initialize(handler, {
          headers: as("alice"),
          accept: "application/json",
        });
        const leaving = await initialize(handler, { headers: as("alice") });
        assert.equal(textOf(await peer.result(await peer.call(1, "count"))), "1");
        await handler.notify(peer.sessionId ?? "", {
          method: "notifications/message",
          params: { level: "info", data: 1 },
        });
        const before = await contents();
        await full(true);
        for (let i = 0; i < 5; i++) {
          const { status, body, headers } = await peer.call(2 + i, "count");
          assert.equal(status, 503);
          assert.ok(headers.has("retry-after"));
          assert.ok(!(await new Response(body).text()).includes("OOM"));
          const stranger = peer.with({});
          stranger.sessionId = undefined;
          const begun = await stranger.post(stranger.initializeRequest());
          assert.equal(begun.status, 503);
          await begun.body?.cancel();
        }
        assert.equal(ran, 1);
        assert.deepEqual(await contents(), before);
        await checkIndex();
        assert.equal((await leaving.delete()).status, 503);
        await full(false);
        assert.equal((await leaving.delete()).status, 204);
        await refused(await leaving.request(3, "ping"), 404, -32001);
        assert.equal(textOf(await peer.result(await peer.call(9, "count"))), "2");
        // No place is lost: as many sessions begin as there is room for.
        for (let i = 0; i < 2; i++) {
          await initialize(handler, { headers: as(`user${i}`), accept: "application/json" });
        }
        assert.equal(await handler.sessions.size, 3);
        assert.equal(textOf(await peer.result(await peer.call(10, "count"))), "3");
        await checkIndex();
      } finally {
        await handler.close({ graceMs: 0 });
        await connection.close();
        await server.close();
      }
    });
  }
});
