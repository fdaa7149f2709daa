/**
 * Redis Cluster, and servers other than Redis: every contract, by the clients of both packages.
 */
import { after, describe, test } from "node:test";
import { contracts } from "../contracts/redis_contracts.ts";
import { CLIENTS, OwnServer } from "../support/redis.ts";
import { BINARIES, CLUSTER_CLIENTS, ServerCluster } from "../support/redis_fleet.ts";

for (const { name: binary, skip } of BINARIES) {
  if (skip !== false) {
    test(`[RDS-1] ${binary} keeps every contract`, { skip }, () => {});
    continue;
  }
  const server = await OwnServer.startAs(binary);
  const cluster = await ServerCluster.start(binary);
  after(async () => {
    await Promise.all([server.close(), cluster.close()]);
  });
  // One redis-server has a file of its own.
  for (const { name, connect } of binary === "redis-server" ? [] : CLIENTS.slice(0, 1)) {
    const connection = await connect(server.url);
    describe(`${binary}, ${name}`, () => {
      contracts(`[RDS-1] ${binary}`, connection);
      after(() => connection.close());
    });
  }
  for (const { name, connect } of CLUSTER_CLIENTS.slice(binary === "redis-server" ? 0 : 1)) {
    const connection = await connect(cluster);
    describe(`${binary} as a cluster, ${name}`, () => {
      contracts(`[RDS-1] ${binary} as a cluster`, connection, false);
      after(() => connection.close());
    });
  }
}
