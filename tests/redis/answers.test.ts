/**
 * Calls with a key, of two nodes that share a Redis.
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { McpServer } from "../../src/server/server.ts";
import { KEY } from "../support/cluster.ts";
import { ModernPeer } from "../support/modern.ts";
import { CLIENTS, deleteKeys, noRedis, uniquePrefix, useServer } from "../support/redis.ts";
import { as, byToken, Gate } from "../support/wire.ts";

const OPTIONS = { authenticate: byToken, requests: { stateKeys: [KEY] } };

if (noRedis !== false) {
  test("answers are kept in Redis", { skip: noRedis }, () => {});
} else {
  for (const { name, connect } of CLIENTS) {
    describe(`ONCE: two nodes on one Redis, ${name}`, () => {
      test("[ONCE-10] [ONCE-13] a repeat at the other node waits, and has the answer", async () => {
        const redis = await useServer();
        const connection = await connect(redis.url);
        const prefix = uniquePrefix();
        const finish = new Gate<string>();
        const begun = new Gate();
        let runs = 0;
        const server = new McpServer({ name: "test", version: "1.0.0" });
        server.registerTool("work", { answerOnce: true }, async () => {
          runs++;
          begun.open();
          return await finish.promise;
        });
        const { client } = connection;
        const node = () =>
          createMcpHandler(server, { ...OPTIONS, store: redisStore({ client, prefix }) });
        try {
          await using one = node();
          await using two = node();
          const call = (handler: typeof one): Promise<JsonObject> => {
            const peer = new ModernPeer(handler, {
              headers: as("ada"),
              accept: "application/json",
            });
            const _meta = { "mooring/callKey": "secret-key" };
            return peer.ask("tools/call", { name: "work", arguments: {}, _meta });
          };
          const first = call(one);
          await begun.promise;
          const repeat = call(two);
          finish.open("secret-answer");
          const result = await first;
          assert.deepEqual(await repeat, result);
          assert.deepEqual(await call(two), result);
          assert.ok(isObject(result));
          assert.equal(runs, 1);
          const written = JSON.stringify(connection.sent);
          assert.ok(written.includes("answers"));
          assert.doesNotMatch(written, /secret-/);
        } finally {
          await deleteKeys(connection, prefix);
          connection.sent.length = 0;
          await connection.close();
          await redis.stop();
        }
      });
    });
  }
}
