/**
 * What one handler of many is told, and all go by.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import { SealedDocuments } from "../../src/cluster/documents/sealed_documents.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { alice, Cluster, KEY, type TestNode } from "../support/cluster.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { settle } from "../support/settle.ts";
import { as, Gate, initialize, Peer, refused, Stub } from "../support/wire.ts";

/** Has a node go by a document, and notes what it is told. */
function follow({ stub }: TestNode, name = "upstreams") {
  const heard: { readonly value: JsonObject; readonly version: number }[] = [];
  const shared = stub.host?.openDocument?.(name, (value, version) => {
    heard.push({ value, version });
    if (value.bad === true) throw new Error("can't");
  });
  return { heard, shared: shared ?? assert.fail() };
}

describe("cluster: subscriptions of the 2026 era", () => {
  test("[CLU-2, ERA-5] a notification of one node reaches those who listen at another, once", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add()];
    const method = "notifications/tools/list_changed";
    Object.assign(b.stub, { listChanged: [method], resourceUpdates: true });
    const modern = new ModernPeer(b.handler, { headers: as("alice") });
    const resourceSubscriptions = ["test://a"];
    const frames = await modern.listen({ toolsListChanged: true, resourceSubscriptions });
    await frames.message();
    a.stub.host?.broadcast({ method });
    a.stub.host?.resourceUpdated("test://a");
    a.stub.host?.resourceUpdated("test://b");
    await cluster.advance(250);
    const closed = cluster.close();
    const methods = (await frames.messages()).map(({ method }) => method);
    assert.deepEqual(methods, [method, "notifications/resources/updated", undefined]);
    await closed;
  });
});

describe("cluster: shared documents", () => {
  test("[CLU-9] a change at one node reaches all, and one that joins later", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add()].map((node) => follow(node));
    assert.equal(await a?.shared.put({ list: [1] }), 1);
    await settle();
    const first = { value: { list: [1] }, version: 1 };
    assert.deepEqual([a?.heard, b?.heard], [[first], [first]]);
    const c = follow(cluster.add());
    await settle();
    assert.deepEqual(c.heard, [first]);
    assert.equal(await c.shared.put({ list: [2] }), 2);
    await settle();
    for (const { heard } of [a, b, c].flatMap((each) => each ?? [])) {
      assert.deepEqual(heard.at(-1), { value: { list: [2] }, version: 2 });
    }
    await cluster.close();
  });

  test("[CLU-9] within two seconds, although the word of it gets lost", async () => {
    const cluster = new Cluster();
    const nodes = [cluster.add(), cluster.add()];
    const [a, b] = nodes.map((node) => follow(node));
    await settle();
    cluster.store.fate = () => "lost";
    await a?.shared.put({ n: 1 });
    await settle();
    assert.deepEqual(b?.heard, []);
    await cluster.advance(1_000);
    assert.deepEqual(b?.heard.map(({ version }) => version), [1]);
    for (const newest of [2, 3]) {
      await a?.shared.put({ n: newest });
      await cluster.advance(1_000);
      assert.equal(b?.heard.map(({ version }) => version).at(-1), newest);
    }
    await cluster.close();
    assert.equal(cluster.clock.pending, 0);
  });

  test("[CLU-9, END-2] a closed node looks for no change any more", async () => {
    const cluster = new Cluster();
    const node = cluster.add();
    follow(node);
    await settle();
    await node.handler.close({ graceMs: 0 });
    assert.equal(cluster.clock.pending, 0);
  });

  test("[CLU-9] who can't honour it says so, until there is something that it can", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add()];
    const shared = a.stub.host?.openDocument?.("upstreams", () => {}) ?? assert.fail();
    follow(b);
    await shared.put({ bad: true });
    await settle();
    assert.equal(a.handler.stats().unapplied, undefined);
    assert.equal(b.handler.stats().unapplied, 1);
    assert.deepEqual(b.events.of("error").map(({ during }) => during), ["applying upstreams"]);
    await cluster.advance(5_000);
    assert.equal(b.events.of("error").length, 1);
    await shared.put({ bad: false });
    await settle();
    assert.equal(b.handler.stats().unapplied, undefined);
    await cluster.close();
  });

  test("[CLU-9] versions are applied one at a time, and only the newest of many", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add()];
    const gate = new Gate();
    const order: string[] = [];
    b.stub.host?.openDocument?.("upstreams", async (_value, version) => {
      order.push(`begin ${version}`);
      await gate.promise;
      order.push(`end ${version}`);
    });
    const { shared } = follow(a);
    for (let n = 1; n <= 5; n++) {
      await shared.put({ n });
      await settle();
    }
    assert.equal(b.handler.stats().unapplied, 1);
    gate.open();
    await settle();
    assert.deepEqual(order, ["begin 1", "end 1", "begin 5", "end 5"]);
    assert.equal(b.handler.stats().unapplied, undefined);
    await cluster.close();
  });

  test("[CLU-9] of two that change the same version one does", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add()].map((node) => follow(node));
    await a?.shared.put({ n: 0 });
    const versions = await Promise.all([a?.shared.put({ n: 1 }, 1), b?.shared.put({ n: 2 }, 1)]);
    assert.deepEqual(versions.toSorted(), [2, undefined]);
    // What counts is the JSON, not what is made of it to keep it secret.
    const longest = 1024 * 1024 - '{"text":""}'.length;
    await assert.rejects(a?.shared.put({ text: "x".repeat(longest + 1) }) ?? assert.fail(), {
      name: "RangeError",
    });
    assert.equal(await a?.shared.put({ text: "x".repeat(longest) }), 3);
    await cluster.close();
  });

  test("[CLU-9] a document is gone by once, and no longer than wanted", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add()];
    const { shared, heard } = follow(a);
    assert.throws(() => follow(a), { name: "TypeError" });
    shared.close();
    const other = follow(b);
    await other.shared.put({ n: 1 });
    await settle();
    assert.deepEqual(heard, []);
    assert.equal(follow(a).heard.length, 0);
    await cluster.close();
  });

  test("[CLU-8, CLU-9] a store that fails is asked again", async () => {
    const cluster = new Cluster();
    const node = cluster.add();
    const { documents } = cluster.store.inside;
    const { get } = documents;
    Object.assign(documents, { get: () => Promise.reject(new Error("away")) });
    const { shared, heard } = follow(node);
    await settle();
    assert.ok(node.events.of("error").length > 0);
    Object.assign(documents, { get });
    const sealed = new SealedDocuments([KEY]);
    await documents.put("upstreams", await sealed.seal("upstreams", { number: 1, value: {} }));
    await cluster.advance(1_000);
    assert.equal(heard.length, 1);
    Object.assign(documents, { put: () => Promise.reject(new Error("away")) });
    await assert.rejects(shared.put({}), /away/);
    await cluster.close();
  });
});

describe("cluster: documents of strangers", () => {
  test("[CLU-12] nothing of a document can be read, and none is applied without the key", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add()];
    const [one, two] = [follow(a), follow(b)];
    follow(a, "other");
    const { documents } = cluster.store.inside;
    await one.shared.put({ secret: "marker" });
    await settle();
    const stored = await documents.get("upstreams");
    assert.ok(stored);
    assert.doesNotMatch(stored.text, /marker|secret/);
    const foreign = await new SealedDocuments(["x".repeat(32)])
      .seal("upstreams", { number: Date.now() * 2, value: { n: 1 } });
    const forged = [
      '{"n":1}',
      "",
      "AAAA",
      stored.text.slice(0, -4),
      `A${stored.text.slice(1)}`,
      `B${stored.text.slice(1)}`,
      foreign,
    ].filter((text) => text !== stored.text);
    for (const text of forged) {
      await documents.put("upstreams", text);
      await cluster.advance(1_000);
      assert.equal(b.handler.stats().unapplied, 1, text);
    }
    // A document under another name is as good as forged.
    await documents.put("other", stored.text);
    await cluster.advance(1_000);
    assert.equal(a.handler.stats().unapplied, 2);
    assert.equal(one.heard.length, 1);
    assert.equal(two.heard.length, 1);
    const reasons = b.events.of("message-ignored").map(({ reason }) => reason);
    assert.deepEqual(reasons, forged.map(() => "foreign"));
    await two.shared.put({ n: 2 });
    await settle();
    assert.deepEqual(one.heard.at(-1)?.value, { n: 2 });
    assert.equal(b.handler.stats().unapplied, undefined);
    await cluster.close();
  });

  test("[CLU-12] an older document that is put back is not applied, so nothing is undone", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add()];
    const [one, two] = [follow(a), follow(b)];
    const { documents } = cluster.store.inside;
    await one.shared.put({ allowed: true });
    const old = await documents.get("upstreams");
    await one.shared.put({ allowed: false });
    await settle();
    await documents.put("upstreams", old?.text ?? assert.fail());
    await cluster.advance(1_000);
    for (const { heard } of [one, two]) assert.deepEqual(heard.at(-1)?.value, { allowed: false });
    for (const { events, handler } of [a, b]) {
      assert.deepEqual(events.of("message-ignored").map(({ reason }) => reason), ["replayed"]);
      assert.equal(handler.stats().unapplied, 1);
    }
    await two.shared.put({ allowed: false, again: true });
    await settle();
    assert.deepEqual(one.heard.at(-1)?.value, { allowed: false, again: true });
    await cluster.close();
  });

  test("[CLU-9, CLU-12] a document of a stranger counts as the one in whose place it is", async () => {
    const cluster = new Cluster();
    const [one, two] = [follow(cluster.add()), follow(cluster.add())];
    const { documents } = cluster.store.inside;
    await documents.put("upstreams", "x");
    await cluster.advance(1_000);
    assert.equal(await one.shared.put({ n: 0 }, 1), undefined);
    assert.equal(await one.shared.put({ n: 1 }, 0), 2);
    await settle();
    await documents.put("upstreams", "x");
    await cluster.advance(1_000);
    assert.equal(await two.shared.put({ n: 2 }, 3), undefined);
    // Of two nodes that replace the last one that both have applied, one does.
    const versions = await Promise.all([one.shared.put({ n: 3 }, 2), two.shared.put({ n: 3 }, 2)]);
    assert.deepEqual(versions.toSorted(), [4, undefined]);
    await settle();
    for (const { heard } of [one, two]) assert.deepEqual(heard.at(-1)?.value, { n: 3 });
    await cluster.close();
  });

  test("[CLU-12] a document is applied although another text had its version before", async () => {
    const cluster = new Cluster();
    const [one, two] = [follow(cluster.add()), follow(cluster.add())];
    const { documents } = cluster.store.inside;
    await one.shared.put({ n: 1 });
    await one.shared.put({ n: 2 });
    await settle();
    // Another program puts the first version back, and its number.
    const { get, put } = documents;
    let stored = { version: 1, text: "x" };
    Object.assign(documents, {
      get: () => stored,
      put: (_name: string, text: string) =>
        (stored = { version: stored.version + 1, text }).version,
    });
    assert.equal(await one.shared.put({ n: 3 }), 2);
    await settle();
    assert.deepEqual(two.heard.at(-1), { value: { n: 3 }, version: 2 });
    Object.assign(documents, { get, put });
    await cluster.close();
  });
});

describe("cluster: draining", () => {
  test("[CLU-9] a drain asked of one node has all refuse new sessions, and one that joins later", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add()];
    const { there } = await alice(a, b);
    await a.handler.drain();
    await settle();
    const c = cluster.add();
    await settle();
    for (const { handler } of [a, b, c]) {
      const peer = new Peer(handler, { headers: as("bob") });
      const response = await peer.post(peer.initializeRequest());
      assert.equal(response.headers.get("retry-after"), "30");
      await refused(response, 503, -32000, 0);
      await assert.rejects(handler.sessions.open(), /draining/);
      assert.equal(handler.stats().draining, 1);
      assert.equal(handler.stats().requests, 0);
    }
    await there.result(await there.call(1, "hello"));
    await c.handler.drain(false);
    await settle();
    for (const { handler } of [a, b, c]) {
      await initialize(handler, { headers: as("bob") });
      assert.equal(handler.stats().draining, undefined);
    }
    await cluster.close();
  });

  test("[CLU-9] a handler alone drains too, and needs no timer for it", async () => {
    const clock = new FakeClock();
    for (const store of [undefined, memoryStore()]) {
      const limits = { bodyMs: Infinity };
      const handler = createMcpHandler(new Stub(), { clock, store, limits });
      await handler.drain(true);
      const peer = new Peer(handler);
      await refused(await peer.post(peer.initializeRequest()), 503, -32000, 0);
      assert.equal(clock.pending, 0);
      // Any value may come from JavaScript.
      await assert.rejects(handler.drain("x" as unknown as boolean), { name: "TypeError" });
      await handler.close();
    }
  });
});
