/**
 * Shares for each principal that count at all handlers of a store together.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tokenBucket } from "../../src/http/gates/token_bucket.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { Cluster, type TestNode } from "../support/cluster.ts";
import { ModernPeer } from "../support/modern.ts";
import { RemoteQuotas } from "../support/quotas.ts";
import { settle } from "../support/settle.ts";
import { as, initialize, type Peer, refused, textOf } from "../support/wire.ts";

const JSON_ONLY = "application/json";

/** Three handlers whose store counts on another machine. */
function three(options: McpHandlerOptions & { readonly pinned?: boolean } = {}) {
  const cluster = new Cluster(options);
  const quotas = cluster.store.remote = new RemoteQuotas(cluster.clock);
  const nodes = [cluster.add(), cluster.add(), cluster.add()] as const;
  const modern = (node: TestNode, who = "alice", accept = JSON_ONLY) =>
    new ModernPeer(node.handler, { headers: as(who), accept });
  return { cluster, quotas, nodes, modern };
}

/** Lets the time pass for which a request waits for a slot. */
async function soon<T>(cluster: Cluster, response: Promise<T>): Promise<T> {
  await cluster.advance(300);
  return await response;
}

/** The sum of what all handlers do. */
function running(nodes: readonly TestNode[]): number {
  return nodes.reduce((sum, { handler }) => sum + handler.stats().requests, 0);
}

/** Alice's client at each of some handlers. */
async function alices(nodes: readonly TestNode[], who = "alice"): Promise<Peer[]> {
  const [first = assert.fail(), ...others] = nodes;
  const peer = await initialize(first.handler, { headers: as(who) });
  return [peer, ...others.map(({ handler }) => peer.with({ fetch: handler }))];
}

describe("a principal's share of all handlers", () => {
  test("[CLU-14, STR-15] running requests: three handlers give one share, not three", async () => {
    const { cluster, nodes, modern } = three({ limits: { requestsPerPrincipal: 2 } });
    const [a, b, c] = nodes;
    const calls = [modern(a).call("block"), modern(b).call("block")];
    await settle();
    assert.equal(running(nodes), 2);
    const third = await soon(cluster, modern(c).call("hello"));
    assert.equal(third.status, 503);
    assert.equal(third.headers.get("retry-after"), "1");
    assert.deepEqual(c.events.refusals, ["principal-request-limit"]);
    assert.equal((await modern(c, "bob").call("hello")).status, 200);
    a.blocker.gate.open("done");
    await calls[0];
    assert.equal((await modern(c).call("hello")).status, 200);
    b.blocker.gate.open("done");
    await Promise.all(calls);
    await cluster.close();
  });

  test("[CLU-14] a share of 1: calls one after the other run at any handler, none is refused", async () => {
    const { cluster, nodes, modern } = three({ limits: { requestsPerPrincipal: 1 } });
    const peers = await alices(nodes);
    for (let i = 0; i < 30; i++) {
      const peer = peers[i % 3] ?? assert.fail();
      await peer.result(await peer.call(i, "hello"));
      const response = await modern(nodes[(i + 1) % 3] ?? assert.fail()).call("hello");
      assert.equal(response.status, 200);
    }
    // Of many at once one runs.
    const burst = nodes.flatMap((node) => [1, 2].map(() => modern(node).call("block")));
    await cluster.advance(300);
    assert.equal(running(nodes), 1);
    for (const { blocker } of nodes) blocker.gate.open("done");
    const statuses = await Promise.all(burst.map(async (response) => (await response).status));
    assert.deepEqual(statuses.sort(), [200, 503, 503, 503, 503, 503]);
    await cluster.close();
  });

  test("[CLU-14, STR-15] 2025: calls, initialize and batches take from the one share", async () => {
    const { cluster, nodes } = three({ limits: { requestsPerPrincipal: 3 } });
    const [a, b, c] = nodes;
    const peer = await initialize(a.handler, { version: "2025-03-26", headers: as("alice") });
    const call = peer.call(1, "block", {}, { accept: JSON_ONLY });
    await a.blocker.running();
    const there = peer.with({ fetch: b.handler });
    const ping = (id: number) => ({ jsonrpc: "2.0", id, method: "ping" });
    await refused(await soon(cluster, there.post([ping(1), ping(2), ping(3)])), 503, -32000);
    assert.equal((await there.post([ping(1), ping(2)])).status, 200);
    const more = [2, 3].map((id) => there.call(id, "block", {}, { accept: JSON_ONLY }));
    await b.blocker.running(2);
    const other = peer.with({ fetch: c.handler });
    await refused(await soon(cluster, other.post(other.initializeRequest(7))), 503, -32000, 7);
    for (const { blocker } of nodes) blocker.gate.open("done");
    await Promise.all([call, ...more]);
    await initialize(c.handler, { headers: as("alice") });
    assert.equal(running(nodes), 0);
    await cluster.close();
  });

  test("[CLU-14, STR-11] streams: as many GET streams as one handler would give", async () => {
    const { cluster, nodes } = three({ limits: { streamsPerPrincipal: 2 } });
    const peers: Peer[] = [];
    for (const { handler } of nodes) {
      peers.push(await initialize(handler, { headers: as("alice") }));
    }
    const [a = assert.fail(), b = assert.fail(), c = assert.fail()] = peers;
    const first = await a.get();
    assert.deepEqual([first.status, (await b.get()).status], [200, 200]);
    await refused(await soon(cluster, c.get()), 503, -32000);
    await first.body?.cancel();
    assert.equal((await c.get()).status, 200);
    // A session's stream may move: the one that it replaces makes room, at another handler too.
    const moved = b.with({ fetch: nodes[0].handler });
    assert.equal((await soon(cluster, moved.get())).status, 200);
    await cluster.close();
  });

  test("[CLU-14, STR-11] the stream of a response takes from it, and is JSON without one", async () => {
    const { cluster, nodes } = three({ limits: { streamsPerPrincipal: 1 } });
    const [a, b] = nodes;
    const [here = assert.fail(), there = assert.fail()] = await alices(nodes);
    const streamed = await here.call(1, "speak");
    assert.equal(streamed.headers.get("content-type"), "text/event-stream");
    const json = soon(cluster, there.call(2, "speak"));
    await cluster.advance(300);
    b.finish.open("bye");
    assert.equal((await json).headers.get("content-type"), "application/json");
    a.finish.open("bye");
    assert.equal(textOf(await here.result(streamed)), "bye");
    const again = await there.call(3, "speak");
    assert.equal(again.headers.get("content-type"), "text/event-stream");
    await there.result(again);
    await cluster.close();
  });

  test("[CLU-14, ERA-5] listens: as many subscriptions as one handler would give", async () => {
    const { cluster, nodes, modern } = three({ limits: { listensPerPrincipal: 2 } });
    const listen = (node: TestNode, who?: string) =>
      modern(node, who, "text/event-stream, application/json")
        .request("subscriptions/listen", { notifications: {} });
    const [a, b, c] = nodes;
    const first = await listen(a);
    assert.deepEqual([first.status, (await listen(b)).status], [200, 200]);
    assert.equal((await soon(cluster, listen(c))).status, 503);
    assert.equal((await listen(c, "bob")).status, 200);
    await first.body?.cancel();
    assert.equal((await listen(c)).status, 200);
    await cluster.close();
  });

  test("[CLU-14, CLU-5] a forwarded call counts once", async () => {
    const { cluster, nodes } = three({ pinned: true, limits: { requestsPerPrincipal: 1 } });
    const [a, b] = nodes;
    const [here = assert.fail(), there = assert.fail()] = await alices(nodes);
    await there.result(await there.call(1, "hello"));
    const call = there.call(2, "block", {}, { accept: JSON_ONLY });
    await a.blocker.running();
    await refused(await soon(cluster, here.call(3, "hello")), 503, -32000, 3);
    a.blocker.gate.open("done");
    await there.result(await call);
    assert.equal(running([a, b]), 0);
    await cluster.close();
  });

  test("[CLU-14] without authenticate nobody has a share of the requests", async () => {
    const options = { authenticate: undefined, limits: { requests: 2 } };
    const { cluster, nodes, quotas, modern } = three(options);
    const calls = nodes.flatMap((node) => [1, 2].map(() => modern(node).call("block")));
    await settle();
    assert.equal(running(nodes), 6);
    for (const { blocker } of nodes) blocker.gate.open("done");
    await Promise.all(calls);
    assert.equal(quotas.commands, 0);
    await cluster.close();
  });

  test("[CLU-14] a share that is as large as the limit of a handler counts for all handlers too", async () => {
    const { cluster, nodes, modern } = three({ limits: { requests: 3, requestsPerPrincipal: 3 } });
    const calls = nodes.flatMap((node) => [1, 2].map(() => modern(node).call("block")));
    await cluster.advance(300);
    assert.equal(running(nodes), 3);
    for (const { blocker } of nodes) blocker.gate.open("done");
    await Promise.all(calls);
    await cluster.close();
  });

  test("[CLU-14] a handler that closes leaves its part to the others", async () => {
    const { cluster, nodes, modern } = three({ limits: { requestsPerPrincipal: 2 } });
    const [a, b] = nodes;
    const calls = [1, 2].map(() => modern(a).call("block"));
    await a.blocker.running(2);
    await cluster.close([a]);
    await Promise.all(calls);
    assert.equal((await modern(b).call("hello")).status, 200);
    await cluster.close([b, nodes[2]]);
  });

  test("[CLU-14] a request for which the handler asks while it closes gets 503, and no slot is lost", async () => {
    const { cluster, nodes, modern, quotas } = three({ limits: { requestsPerPrincipal: 2 } });
    const [a, b] = nodes;
    quotas.latencyMs = 100;
    const call = modern(a).call("hello");
    const closed = a.handler.close();
    await cluster.advance(1_000);
    assert.equal((await call).status, 503);
    await closed;
    const calls = [1, 2].map(() => modern(b).call("block"));
    await cluster.advance(1_000);
    assert.equal(running([b]), 2);
    b.blocker.gate.open("done");
    await Promise.all(calls);
    const all = cluster.close([b, nodes[2]]);
    await cluster.advance(1_000);
    await all;
  });

  test("[CLU-14] a session that ends while its call waits for a slot runs nothing", async () => {
    const { cluster, nodes, quotas } = three({ limits: { requestsPerPrincipal: 2 } });
    const [a] = nodes;
    const [here = assert.fail()] = await alices(nodes);
    const runs = a.stub.exchanges.length;
    quotas.latencyMs = 100;
    const call = here.call(1, "hello");
    await settle();
    await a.handler.sessions.end(here.sessionId ?? "");
    await refused(await soon(cluster, call), 404, -32001);
    assert.equal(a.stub.exchanges.length, runs);
    assert.equal(a.handler.stats().requests, 0);
    const closed = cluster.close();
    await cluster.advance(1_000);
    await closed;
  });
});

describe("while the store can't count", () => {
  test("[CLU-15, CLU-8] a small share gets 503 and comes back by itself, a large one its allowance", async () => {
    const { cluster, nodes: [a, b], quotas, modern } = three({
      limits: { listensPerPrincipal: 1 },
    });
    const listen = (node: TestNode) =>
      modern(node, "alice", "text/event-stream, application/json")
        .request("subscriptions/listen", { notifications: {} });
    quotas.away = true;
    for (let i = 0; i < 20; i++) assert.equal((await modern(a).call("hello")).status, 200);
    const response = await listen(b);
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("retry-after"), "1");
    assert.deepEqual(b.events.refusals, ["store-failed"]);
    // 5 of 100 run at each handler without asking.
    const calls = Array.from({ length: 6 }, () => modern(b).call("block"));
    assert.equal((await calls[5])?.status, 503);
    assert.equal(b.handler.stats().requests, 5);
    quotas.away = false;
    assert.equal((await listen(b)).status, 200);
    assert.equal((await modern(b).call("hello")).status, 200);
    b.blocker.gate.open("done");
    await Promise.all(calls);
    await cluster.close();
  });
});

describe("what counting costs", () => {
  test("[CLU-17] calls of a principal far below its limits cost no command, in both eras", async () => {
    const { cluster, nodes, quotas, modern } = three();
    const peers = await alices(nodes);
    for (let i = 0; i < 60; i++) {
      const peer = peers[i % 3] ?? assert.fail();
      const node = nodes[i % 3] ?? assert.fail();
      await peer.result(await peer.call(i, "hello"));
      await peer.result(await peer.call(`s${i}`, "hello", {}, { accept: "text/event-stream" }));
      assert.equal((await modern(node, "bob", "text/event-stream").call("hello")).status, 200);
    }
    assert.equal(quotas.commands, 0);
    await cluster.close();
  });
});

describe("tokenBucket({ store })", () => {
  test("[CLU-16, AUTH-8] three handlers let one rate through, and say when to come again", async () => {
    const cluster = new Cluster();
    const { clock, store } = cluster;
    const quotas = store.remote = new RemoteQuotas(clock);
    // Each process makes its own.
    const limiter = () =>
      tokenBucket({
        store,
        clock,
        name: "calls",
        perSecond: 1,
        burst: 3,
        key: (_request, _context, principal) => principal?.id,
      });
    const nodes = [1, 2, 3].map(() => cluster.add({ principalRateLimit: limiter() }));
    const modern = (node: TestNode | undefined, who = "alice") =>
      new ModernPeer((node ?? assert.fail()).handler, { headers: as(who) });
    const statuses: number[] = [];
    for (let i = 0; i < 6; i++) statuses.push((await modern(nodes[i % 3]).call("hello")).status);
    assert.deepEqual(statuses, [200, 200, 200, 429, 429, 429]);
    assert.equal((await modern(nodes[0], "bob").call("hello")).status, 200);
    await cluster.advance(1_000);
    const later = [];
    for (const node of nodes) later.push(await modern(node).call("hello"));
    assert.deepEqual(later.map(({ status }) => status), [200, 429, 429]);
    assert.equal(later[2]?.headers.get("retry-after"), "1");
    // As of every rate limiter that fails
    quotas.away = true;
    await cluster.advance(5_000);
    assert.equal((await modern(nodes[1]).call("hello")).status, 429);
    assert.equal(nodes[1]?.events.of("error").at(-1)?.during, "rate-limit");
    quotas.away = false;
    assert.equal((await modern(nodes[1]).call("hello")).status, 200);
    await cluster.close();
  });
});
