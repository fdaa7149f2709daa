import { after, describe, test } from "node:test";
import assert from "node:assert/strict";
import { makeNodes } from "../redis/nodes.ts";
import { CLIENTS, connectIoRedis, noBinary, noRedis, useServer } from "../support/redis.ts";
import { ServerCluster } from "../support/redis_fleet.ts";
import { contracts, stores } from "./redis_contracts.ts";

if (noRedis !== false) {
  test("Redis keeps every contract", { skip: noRedis }, () => {});
} else {
  for (const { name, connect } of CLIENTS) {
    const server = await useServer();
    const connection = await connect(server.url);
    describe(name, () => {
      contracts("Redis", connection);
      after(async () => {
        await connection.close();
        await server.stop();
      });
    });
  }
}

// A cluster of one server that has all slots refuses a script whose keys are in more than one of them.
if (noBinary !== false) {
  test("Redis Cluster finds the keys of each script in one slot", { skip: noBinary }, () => {});
} else {
  const cluster = await ServerCluster.start("redis-server", 1);
  const connection = await connectIoRedis(cluster.urls[0] ?? "");
  describe("Redis Cluster", () => {
    stores("[CLU-1] Redis Cluster", connection);
    test("[CLU-5] nobody is sure there that a node hears nothing", async () => {
      const { node, close } = makeNodes(connection);
      const member = node().bus.join("a", () => {});
      assert.equal(await member.send("nobody", "text"), true);
      member.leave();
      await close();
    });
    after(async () => {
      await connection.close();
      await cluster.close();
    });
  });
}
