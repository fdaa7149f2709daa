/**
 * All contracts, for nodes on one Redis.
 *
 * @module
 */
import type { RedisClient } from "../../src/redis/mod.ts";
import { makeNodes } from "../redis/nodes.ts";
import type { TestClient } from "../support/redis.ts";
import { busContract } from "./bus.ts";
import { documentsContract } from "./documents.ts";
import { eventLogContract } from "./event_log.ts";
import { leasesContract } from "./leases.ts";
import { nodesContract } from "./nodes.ts";
import { quotasContract } from "./quotas.ts";
import { recordStoreContract } from "./record_store.ts";
import { runsContract } from "./runs.ts";
import { sessionStoreContract } from "./session_store.ts";
import { taskStoreContract } from "./task_store.ts";

/**
 * Runs every contract against the stores of a client.
 *
 * @param certain Whether Redis can tell that nobody has received a message: a Redis Cluster can't
 */
export function contracts(name: string, connection: TestClient<RedisClient>, certain = true): void {
  stores(name, connection);
  busContract(name, () => {
    const { node, ...made } = makeNodes(connection);
    return { ...made, bus: () => node().bus };
  }, certain);
}

/** Runs every contract but that of the bus. */
export function stores(name: string, connection: TestClient<RedisClient>): void {
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

  quotasContract(name, () => makeNodes(connection));

  recordStoreContract(name, () => {
    const { records, ...made } = makeNodes(connection);
    return { ...made, records };
  });

  recordStoreContract(`${name}, the state of users`, () => {
    const { userStates, ...made } = makeNodes(connection);
    return { ...made, records: userStates };
  });

  recordStoreContract(`${name}, kept answers`, () => {
    const { answers, ...made } = makeNodes(connection);
    return { ...made, records: answers };
  });

  taskStoreContract(name, () => {
    const { node, ...made } = makeNodes(connection);
    const [store, other] = [node().tasks, node().tasks];
    if (store === undefined || other === undefined) throw new Error("Redis stores no tasks");
    return { ...made, store, other, now: () => made.clock.now() };
  });

  documentsContract(name, () => {
    const { node, ...made } = makeNodes(connection);
    return { ...made, documents: () => node().documents };
  });
}
