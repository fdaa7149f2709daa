import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import assert from "node:assert/strict";
import { makeNodes } from "../redis/nodes.ts";
import {
  CLIENTS,
  connectIoRedis,
  noBinary,
  noRedis,
  OwnServer,
  type TestClient,
  useServer,
} from "../support/redis.ts";
import { busContract } from "./bus.ts";
import { documentsContract } from "./documents.ts";
import { eventLogContract } from "./event_log.ts";
import { runsContract } from "./runs.ts";
import { leasesContract } from "./leases.ts";
import { nodesContract } from "./nodes.ts";
import { sessionStoreContract } from "./session_store.ts";

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
  const server = await OwnServer.start("--cluster-enabled", "yes");
  const connection = await connectIoRedis(server.url);
  await connection.send("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  for (let i = 0; i < 200 && !await isUp(connection); i++) await sleep(25);
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
      await server.close();
    });
  });
}

async function isUp({ send }: TestClient): Promise<boolean> {
  return String(await send("CLUSTER", "INFO")).includes("cluster_state:ok");
}

function contracts(name: string, connection: TestClient): void {
  stores(name, connection);
  busContract(name, () => {
    const { node, ...made } = makeNodes(connection);
    return { ...made, bus: () => node().bus };
  });
}

function stores(name: string, connection: TestClient): void {
  eventLogContract(name, (log) => {
    const { node, ...made } = makeNodes(connection, { log });
    return { ...made, log: node().log };
  });

  runsContract(name, (log) => {
    const { node, ...made } = makeNodes(connection, { log });
    return { ...made, log: () => node().log };
  });

  sessionStoreContract(name, (settings) => {
    const { node, ...made } = makeNodes(connection, settings);
    return { ...made, store: node().sessions, now: () => made.clock.now() };
  });

  leasesContract(name, () => {
    const { node, ...made } = makeNodes(connection);
    return { ...made, leases: () => node().leases, quiet: made.quietLeases };
  });

  nodesContract(name, () => {
    const { node, ...made } = makeNodes(connection);
    return { ...made, nodes: () => node().nodes, claims: () => node().claims };
  });

  documentsContract(name, () => {
    const { node, ...made } = makeNodes(connection);
    return { ...made, documents: () => node().documents };
  });
}
