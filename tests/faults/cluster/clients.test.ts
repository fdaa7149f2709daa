/**
 * The official clients behind a proxy, while the nodes that they speak to die.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import type { ClientKind } from "../../clients/client.ts";
import { sdkV1 } from "../../clients/sdk_v1.ts";
import { sdkV2 } from "../../clients/sdk_v2.ts";
import { noRedis, type Server, useServer } from "../../support/redis.ts";
import { as } from "../../support/wire.ts";
import { numbers } from "./checks.ts";
import { Cluster, type ClusterNode, until } from "./cluster.ts";
import { Front } from "./front.ts";
import type { EndpointName } from "./node.ts";

const KINDS: readonly ClientKind[] = [sdkV1, sdkV2];
const ENDPOINTS: readonly EndpointName[] = ["shared", "pinned"];

describe("clients of others", { skip: noRedis }, () => {
  let redis: Server;
  let cluster: Cluster;
  let works: ClusterNode;
  let streams: ClusterNode;
  let remains: ClusterNode;

  before(async () => {
    redis = await useServer();
    cluster = await Cluster.start(redis.url, 2);
  });

  beforeEach(async () => {
    streams = await cluster.add();
    [works = assert.fail(), remains = assert.fail()] = cluster.nodes;
  });

  after(async () => {
    await cluster?.stop();
    await redis?.stop();
  });

  for (const { name, connect } of KINDS) {
    for (const endpoint of ENDPOINTS) {
      test(`[CLU-3, CLU-5] ${name} gets the whole of a call although the node that streams dies (${endpoint})`, async () => {
        // What has live state is handed on from the beginning.
        const via = endpoint === "shared" ? works : streams;
        const front = await Front.before([works.target(endpoint)]);
        const client = await connect({ url: front.url, headers: as("alice") });
        try {
          const call = `${name} ${endpoint}`;
          front.targets = [via.target(endpoint)];
          const said = () => client.told.map(({ params }) => params?.data);
          const answer = client.call("count", { call, to: 60, everyMs: 40, ms: 40 }, {
            timeoutMs: 30_000,
          });
          if (endpoint === "shared") {
            await until(() => said().length >= 5, "the beginning");
            front.targets = [streams.target(endpoint)];
            front.cut();
          }
          await until(() => said().length >= 20, "the middle");
          front.targets = [remains.target(endpoint)];
          await streams.kill();
          assert.equal((await answer).text, "counted to 60");
          assert.deepEqual(said(), numbers(1, 60));
          assert.equal(cluster.count("ran", call), 1);
          assert.equal(
            (await client.call("whoami")).text,
            endpoint === "shared" ? remains.name : works.name,
          );
        } finally {
          await client.close();
          await front.close();
        }
      });
    }
  }
});
