/**
 * Tasks of nodes that die or are cut off, and tasks that are used at other nodes than their own.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isObject, type JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { NODE_LOST } from "../../../src/protocol/node_loss.ts";
import { ModernPeer } from "../../support/modern.ts";
import { noRedis, type Server, useServer } from "../../support/redis.ts";
import { as, textOf } from "../../support/wire.ts";
import { Cluster, type ClusterNode, to, until } from "./cluster.ts";

const CAPABILITIES = {
  extensions: { "io.modelcontextprotocol/tasks": {} },
  elicitation: { form: {} },
};
/** Longer than a task may be without an end whose node is lost, on a machine that is busy. */
const LOST_MS = 30_000;

/** Alice's client of one node. */
class Client {
  readonly #peer: ModernPeer;

  constructor(node: ClusterNode, who = "alice") {
    this.#peer = new ModernPeer(to(node.target("shared")), {
      headers: as(who),
      capabilities: CAPABILITIES,
      accept: "application/json",
    });
  }

  async send(method: string, params: JsonObject): Promise<JsonObject> {
    const { taskId } = params;
    const headers = typeof taskId === "string" ? { "mcp-name": taskId } : undefined;
    const response = await this.#peer.request(method, params, { headers });
    const { result, error }: JsonObject = await response.json();
    return isObject(result) ? result : { error };
  }

  async begin(name: string, args: JsonObject): Promise<string> {
    const { taskId, ...rest } = await this.send("tools/call", { name, arguments: args });
    assert.ok(typeof taskId === "string", JSON.stringify(rest));
    return taskId;
  }

  get(taskId: string): Promise<JsonObject> {
    return this.send("tasks/get", { taskId });
  }

  /** Polls a task until it has ended. */
  async end(taskId: string, ms = LOST_MS): Promise<JsonObject> {
    let task: JsonObject = {};
    await until(
      async () => {
        task = await this.get(taskId);
        return ["completed", "failed", "cancelled"].includes(String(task.status));
      },
      "the end of the task",
      ms,
    );
    return task;
  }
}

describe("tasks", { skip: noRedis }, () => {
  let redis: Server;
  let cluster: Cluster;
  let clients: readonly Client[];

  before(async () => {
    redis = await useServer();
    cluster = await Cluster.start(redis.url, 4);
    clients = cluster.nodes.map((node) => new Client(node));
  });

  after(async () => {
    await cluster?.stop();
    await redis?.stop();
  });

  test("[CLU-11] at another node: polled, answered, and cancelled, which stops the tool", async () => {
    const [a, b, c] = clients;
    assert.ok(a && b && c);
    const asking = await a.begin("job_ask", { call: "ask" });
    await until(async () => (await b.get(asking)).status === "input_required", "the question");
    const inputResponses = { name: { action: "accept", content: { username: "Ann" } } };
    assert.deepEqual(
      (await c.send("tasks/update", { taskId: asking, inputResponses })).error,
      undefined,
    );
    assert.equal(textOf((await b.end(asking)).result), "accept Ann");
    assert.equal(cluster.count("ran", "ask"), 1);
    const long = await a.begin("job", { call: "cancelled", ms: 60_000 });
    await until(() => cluster.count("ran", "cancelled") === 1, "the tool");
    await b.send("tasks/cancel", { taskId: long });
    assert.equal((await c.get(long)).status, "cancelled");
    await until(() => cluster.count("stopped", "cancelled") === 1, "the tool to stop");
  });

  test("[CLU-11] of a node that dies, and of one that is cut off and comes back", async () => {
    const [dies, cut] = cluster.nodes;
    const [a, b, c, d] = clients;
    assert.ok(dies && cut && a && b && c && d);
    const finished = await a.begin("job", { call: "finished", ms: 0 });
    const running = await a.begin("job", { call: "running", ms: 60_000 });
    const again = await a.begin("job_again", { call: "again", ms: 60_000 });
    const quick = await a.begin("job_again", { call: "quick", ms: 20 });
    const long = await b.begin("job", { call: "long", ms: 60_000 });
    for (const id of [finished, quick]) assert.equal((await c.end(id)).status, "completed");
    await until(() => cluster.count("ran", "again") === 1, "the tools");

    // It ends while its node is cut off
    const late = await b.begin("job", { call: "late", ms: 2_000 });
    cut.line.cut();
    await dies.kill();
    for (const id of [running, late, long]) {
      const { status, error, statusMessage } = await d.end(id);
      assert.deepEqual([status, statusMessage], ["failed", NODE_LOST.message]);
      assert.deepEqual(error, { code: -32603, message: NODE_LOST.message });
    }
    // What has ended is there, and does not run again
    assert.match(textOf((await d.end(finished)).result) as string, /done at/);
    assert.equal((await d.end(quick)).status, "completed");
    assert.equal(cluster.count("ran", "quick"), 1);
    // What may run again does so once, at whichever node is polled first
    await until(
      async () => {
        await Promise.all([c.get(again), d.get(again)]);
        return cluster.count("ran", "again") === 2;
      },
      "the second run",
      LOST_MS,
    );
    for (const client of [c, d, c]) assert.equal((await client.get(again)).status, "working");
    await c.send("tasks/cancel", { taskId: again });
    await until(() => cluster.count("stopped", "again") === 1, "the second run to stop");
    assert.equal(cluster.count("ran", "again"), 2);

    // The node has a result now, which is refused
    cut.line.mend();
    await until(() => cluster.count("stopped", "long") === 1, "the tool to stop", LOST_MS);
    await pause(1_200);
    for (const client of [b, c]) {
      assert.equal((await client.get(late)).statusMessage, NODE_LOST.message);
      assert.equal((await client.get(long)).statusMessage, NODE_LOST.message);
    }
    assert.equal(cluster.count("ran", "late"), 1);
  });
});
