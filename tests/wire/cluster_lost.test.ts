/**
 * Nodes that die, close or fall silent while they hold sessions: nothing runs twice, nobody gets a
 * wrong answer, and nothing is left over.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { alice, Cluster, type TestNode } from "../support/cluster.ts";
import { settle } from "../support/settle.ts";
import {
  as,
  initialize,
  isPending,
  logData,
  Peer,
  refused,
  soon,
  textOf,
} from "../support/wire.ts";

function pair(options: ConstructorParameters<typeof Cluster>[0] = {}) {
  const cluster = new Cluster({ pinned: true, ...options });
  const [a, b] = [cluster.add(), cluster.add()];
  return { cluster, a, b };
}

/** How often the tools of a node were called. */
function calls({ stub }: TestNode): number {
  return stub.exchanges.filter(({ method }) => method === "tools/call").length;
}

/** The id of the node that holds a client's session. */
async function holder(cluster: Cluster, { sessionId }: Peer): Promise<string> {
  return String(await cluster.store.inside.claims.holder(String(sessionId)));
}

const JSON_ONLY = { accept: "application/json" };

describe("pinned: what is handed on runs once or not at all", () => {
  test("[CLU-5] what provably wasn't delivered is sent again", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    let refusals = 2;
    cluster.store.fate = (text) =>
      text.includes('"forward"') && refusals-- > 0 ? "refused" : "arrives";
    const call = there.call(1, "hello");
    await cluster.advance(250);
    await cluster.advance(250);
    assert.equal(textOf(await there.result(await call)), "Hello");
    assert.equal(calls(a), 1);
    await cluster.close();
  });

  test("[CLU-5] what can't be delivered is refused, to be tried again by the client", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    cluster.store.fate = () => "refused";
    const call = there.call(7, "hello");
    await settle();
    for (let i = 0; i < 3; i++) await cluster.advance(250);
    const response = await call;
    assert.equal(response.headers.get("retry-after"), "1");
    await refused(response, 503, -32000, 7);
    assert.deepEqual(b.events.refusals.at(-1), "node-unreachable");
    assert.equal(calls(a), 0);
    assert.equal(b.handler.stats().requests, 0);
    cluster.store.fate = () => "arrives";
    await there.result(await there.call(8, "hello"));
    await cluster.close();
  });

  for (const fate of ["lost", "fails", "stuck"] as const) {
    test(`[CLU-5] what may have been delivered is not sent again (${fate})`, async () => {
      const { cluster, a, b } = pair();
      const { there } = await alice(a, b, JSON_ONLY);
      let sent = 0;
      cluster.store.fate = (text) => {
        if (!text.includes('"forward"')) return "arrives";
        sent++;
        return fate;
      };
      const call = there.call("id", "hello");
      await settle();
      await cluster.advance(5_000);
      const { message } = await refused(await soon(call), 504, -32603, "id");
      assert.match(message, /may have been carried out/);
      await cluster.advance(60_000);
      assert.deepEqual([sent, calls(a), b.handler.stats().requests], [1, 0, 0]);
      assert.equal(b.events.refusals.at(-1), "node-silent");
      await cluster.close();
    });
  }

  test("[CLU-5] nor is what was delivered when the other node's words get lost", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    const node = await holder(cluster, there);
    cluster.store.fate = (_text, to) => to === undefined || to === node ? "arrives" : "lost";
    const call = there.call(1, "hello");
    await cluster.advance(5_000);
    await refused(await soon(call), 504, -32603, 1);
    assert.equal(calls(a), 1);
    await cluster.close();
  });

  test("[CLU-5] an answer that gets lost is missed at the next check", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    cluster.store.fate = (text) => text.includes('"forward-head"') ? "lost" : "arrives";
    const call = there.call(1, "hello");
    await cluster.advance(5_000);
    assert.equal(await isPending(call), true);
    await cluster.advance(5_000);
    await refused(await soon(call), 504, -32603, 1);
    assert.deepEqual([calls(a), b.handler.stats().requests], [1, 0]);
    await cluster.close();
  });

  test("[CLU-5, STR-6] a part that gets lost breaks the stream off, and coming back brings it", async () => {
    const { cluster, a, b } = pair();
    const { here, there } = await alice(a, b);
    const stream = there.frames(await there.call(1, "speak"));
    await stream.next();
    const one = await stream.messageFrame();
    assert.equal(logData(await stream.message()), 2);
    let parts = 0;
    cluster.store.fate = (text) =>
      text.includes('"forward-part"') && parts++ === 0 ? "lost" : "arrives";
    a.finish.open("done");
    assert.deepEqual(await stream.messages(), []);
    cluster.store.fate = () => "arrives";
    const rest = await (await here.listen(one?.id)).messages();
    assert.equal(rest.length, 3);
    assert.deepEqual([a.handler.stats().streams, b.handler.stats().requests], [0, 0]);
    await cluster.close();
  });

  test("[CLU-5] that a client is gone is known at the next check, should the word of it get lost", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b);
    const stream = await there.listen();
    await stream.next();
    cluster.store.fate = (text) => text.includes('"forward-gone"') ? "lost" : "arrives";
    const other = await there.call(1, "speak");
    await stream.cancel();
    await settle();
    assert.equal(a.handler.stats().streams, 2);
    await cluster.advance(10_000);
    assert.equal(a.handler.stats().streams, 1);
    await other.body?.cancel();
    await cluster.close();
  });

  test("[CLU-5, CLU-8] a node that an emptied store has forgotten is not taken for dead", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b);
    const stream = there.frames(await there.call(1, "speak"));
    await stream.next();
    assert.equal(logData(await stream.message()), 1);
    assert.equal(logData(await stream.message()), 2);
    await cluster.advance(9_000);
    for (const text of cluster.store.texts) await cluster.store.inside.nodes.leave(text.from);
    await cluster.advance(1_000);
    for (const text of cluster.store.texts) await cluster.store.inside.nodes.leave(text.from);
    a.finish.open("done");
    assert.equal(textOf((await stream.messages()).at(-1)?.result), "done");
    for (const { events } of [a, b]) assert.deepEqual(events.of("node-lost"), []);
    await cluster.close();
  });

  test("[CLU-5, CLU-7] a node that is unknown and unreachable is dead at the next check", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    const node = await holder(cluster, there);
    const call = there.call(1, "block");
    await a.blocker.running();
    // The confirmation is on its way: without it the request would time out on its own.
    await settle();
    cluster.store.dead.add(node);
    await cluster.store.inside.nodes.leave(node);
    await cluster.advance(10_000);
    await refused(await soon(call), 504, -32603, 1);
    assert.equal(b.events.of("node-lost").length, 1);
    await cluster.close();
  });

  test("[CLU-5] a store that fails while a session's node is looked up hands nothing on", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    const { claims } = cluster.store.inside;
    const { holder } = claims;
    Object.assign(claims, { holder: () => Promise.reject(new Error("away")) });
    await refused(await there.call(1, "hello"), 503, -32603);
    Object.assign(claims, { holder });
    await there.result(await there.call(2, "hello"));
    assert.equal(calls(a), 1);
    await cluster.close();
  });

  test("[CLU-5, CLU-8] a heartbeat that failed is tried again with the next request", async () => {
    const { cluster, a } = pair();
    const c = cluster.add();
    const { there } = await alice(a, c);
    const { nodes } = cluster.store.inside;
    const { beat } = nodes;
    Object.assign(nodes, { beat: () => Promise.reject(new Error("away")) });
    await refused(await there.call(1, "hello"), 503, -32603);
    Object.assign(nodes, { beat });
    await there.result(await there.call(2, "hello"));
    assert.equal(calls(a), 1);
    await cluster.close();
  });

  test("[CLU-5] a store that stalls while a session's node is looked up hands nothing on", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    const { claims } = cluster.store.inside;
    const { holder } = claims;
    let fail = () => {};
    Object.assign(claims, {
      holder: () => new Promise((_, reject) => fail = () => reject(new Error("timed out"))),
    });
    const call = there.call(1, "hello");
    await settle();
    assert.equal(await isPending(call), true);
    Object.assign(claims, { holder });
    fail();
    await refused(await call, 503, -32603);
    assert.deepEqual([calls(a), b.handler.stats().requests], [0, 0]);
    await cluster.close();
  });

  test("[CLU-5] what was handed on is never handed on again", async () => {
    const { cluster, a, b } = pair();
    const c = cluster.add();
    const near = await alice(a, b, JSON_ONLY);
    const far = await alice(c, b, JSON_ONLY);
    const { claims } = cluster.store.inside;
    const { holder } = claims;
    // To the node in between it looks as though the session were at the first.
    const wrong = await holder.call(claims, String(near.here.sessionId));
    let asked = 0;
    Object.assign(claims, {
      holder: (session: string) => asked++ === 0 ? wrong : holder.call(claims, session),
    });
    await refused(await far.there.call(1, "hello"), 404, -32001);
    assert.deepEqual([calls(a), calls(c), asked], [0, 0, 2]);
    await far.there.result(await far.there.call(2, "hello"));
    assert.equal(calls(c), 1);
    await cluster.close();
  });

  test("[CLU-5] no session begins that can't be claimed", async () => {
    const { cluster, a, b } = pair();
    const { claims, nodes } = cluster.store.inside;
    const { claim } = claims;
    Object.assign(claims, { claim: () => "another" });
    const peer = new Peer(a.handler, { headers: as("alice") });
    const response = await peer.post(peer.initializeRequest());
    assert.equal(response.headers.get("mcp-session-id"), null);
    Object.assign(claims, { claim: () => Promise.reject(new Error("away")) });
    await refused(await peer.post(peer.initializeRequest()), 503, -32603);
    Object.assign(claims, { claim });
    Object.assign(nodes, { beat: () => Promise.reject(new Error("away")) });
    await assert.rejects(cluster.add().handler.sessions.open());
    assert.equal(a.handler.stats().sessions, 0);
    assert.equal(b.stub.exchanges.length, 0);
    await cluster.close();
  });
});

describe("pinned: nodes that die", () => {
  test("[CLU-7] a dead node's sessions are gone: 404, and ended in the store", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    cluster.store.dead.add(await holder(cluster, there));
    await cluster.advance(29_999);
    const early = there.call(1, "hello");
    await settle();
    assert.equal(await isPending(early), true);
    for (let i = 0; i < 3; i++) await cluster.advance(250);
    await refused(await early, 503, -32000, 1);
    await refused(await there.call(2, "hello"), 404, -32001);
    assert.equal(b.handler.stats().sessions, 0);
    assert.deepEqual(b.events.of("session-ended").map(({ reason }) => reason), ["lost"]);
    await refused(await there.call(3, "hello"), 404, -32001);
    const again = await initialize(b.handler, { headers: as("alice") });
    await again.result(await again.call(1, "hello"));
    assert.equal(calls(a), 0);
    await cluster.close();
  });

  test("[CLU-5, CLU-7] who waits for a dead node is told so, and streams break off", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b);
    const json = there.with({});
    const call = json.call(1, "block", {}, JSON_ONLY);
    await a.blocker.running();
    const stream = there.frames(await there.call(2, "speak"));
    assert.equal(logData(await stream.message()), 1);
    assert.equal(logData(await stream.message()), 2);
    cluster.store.dead.add(await holder(cluster, there));
    const rest = stream.messages();
    await cluster.advance(20_000);
    assert.deepEqual([await isPending(call), await isPending(rest)], [true, true]);
    await cluster.advance(20_000);
    await refused(await soon(call), 504, -32603, 1);
    assert.deepEqual(await rest, []);
    assert.equal(b.handler.stats().requests, 0);
    assert.equal(b.events.of("node-lost").length, 1);
    await cluster.close();
  });

  test("[CLU-5, CLU-7] a node that the bus can't reach either is dead at once", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    const call = there.call(1, "block");
    await a.blocker.running();
    await settle();
    cluster.store.dead.add(await holder(cluster, there));
    await cluster.advance(30_000);
    await refused(await soon(call), 504, -32603, 1);
    await cluster.close();
  });

  for (const back of [false, true]) {
    const what = back ? "lives when it says so again" : "is dead at the next check";
    test(`[CLU-5, CLU-7] a node that the store forgot, but the bus may reach, ${what}`, async () => {
      const { cluster, a, b } = pair();
      const { there } = await alice(a, b, JSON_ONLY);
      const call = there.call(1, "block");
      await a.blocker.running();
      await settle();
      const node = await holder(cluster, there);
      const { nodes } = cluster.store.inside;
      const { beat } = nodes;
      Object.assign(nodes, {
        beat: (facts: { readonly id: string }, ttlMs: number) =>
          facts.id === node ? undefined : beat.call(nodes, facts, ttlMs),
      });
      cluster.store.fate = (_text, to) => to === node ? "lost" : "arrives";
      await nodes.leave(node);
      await cluster.advance(10_000);
      assert.equal(await isPending(call), true);
      if (back) await beat.call(nodes, { id: node }, 30_000);
      await cluster.advance(10_000);
      assert.equal(await isPending(call), back);
      assert.equal(b.events.of("node-lost").length, back ? 0 : 1);
      cluster.store.fate = () => "arrives";
      a.blocker.gate.open("done");
      await cluster.advance(0);
      if (back) await there.result(await soon(call));
      else await refused(await soon(call), 504, -32603, 1);
      await cluster.close();
    });
  }

  test("[CLU-5] a node frees what it does for a dead one", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b);
    const stream = await there.listen();
    await stream.next();
    assert.equal(a.handler.stats().streams, 1);
    const own = await initialize(b.handler, { headers: as("bob") });
    cluster.store.dead.add(await holder(cluster, own));
    await cluster.advance(40_000);
    assert.equal(a.handler.stats().streams, 0);
    await stream.cancel();
    await cluster.close();
  });

  test("[CLU-5] a session is held for as long as it lasts, however long nobody uses it", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b);
    await cluster.advance(29 * 60_000);
    await there.result(await there.call(1, "hello"));
    assert.equal(calls(a), 1);
    await cluster.close();
  });

  test("[CLU-5, SES-6] a node that doesn't hear that its session ended finds out, once", async () => {
    const { cluster, a, b } = pair();
    const { here } = await alice(a, b);
    cluster.store.fate = () => "lost";
    await b.handler.sessions.end(String(here.sessionId));
    await settle();
    assert.equal(a.stub.ended.length, 0);
    await cluster.advance(120_000);
    assert.deepEqual(a.stub.ended.map(({ reason }) => reason), ["lost"]);
    await cluster.close();
  });
});

describe("pinned: a store that lost everything", () => {
  test("[CLU-5, CLU-8] sessions that begin then are held and found at once", async () => {
    const { cluster, a, b } = pair();
    const { here } = await alice(a, b);
    const { claims, nodes } = cluster.store.inside;
    const node = await holder(cluster, here);
    await claims.release(String(here.sessionId), node);
    await nodes.leave(node);
    const { there } = await alice(a, b);
    await there.result(await there.call(1, "hello"));
    assert.equal(calls(a), 1);
    await cluster.close();
  });
});

describe("pinned: nodes that close", () => {
  test("[CLU-7, END-1] a closed node's sessions are gone at once", async () => {
    const { cluster, a, b } = pair();
    const { here, there } = await alice(a, b);
    await cluster.close([a]);
    assert.deepEqual(a.stub.ended.map(({ reason }) => reason), ["shutdown"]);
    await refused(await there.call(1, "hello"), 404, -32001);
    assert.equal(b.handler.stats().sessions, 0);
    assert.equal(await cluster.store.inside.claims.holder(String(here.sessionId)), undefined);
    await cluster.close();
  });

  test("[CLU-7, END-1] a closed node counts as alive no longer", async () => {
    const { cluster, a, b } = pair();
    const { here } = await alice(a, b);
    const node = await holder(cluster, here);
    assert.ok(await cluster.store.inside.nodes.find(node));
    await cluster.close([a]);
    assert.equal(await cluster.store.inside.nodes.find(node), undefined);
    await cluster.close();
  });

  test("[CLU-5, END-1] what was handed on to a node that closes ends as it ends there", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b);
    const call = there.call(1, "block", {}, JSON_ONLY);
    await a.blocker.running();
    const stream = there.frames(await there.call(2, "speak"));
    assert.equal(logData(await stream.message()), 1);
    await cluster.close([a]);
    await refused(await soon(call), 503, -32000, 1);
    const rest = await stream.rest();
    assert.ok(rest.some(({ retry }) => retry === 1_000));
    assert.equal(b.handler.stats().requests, 0);
    await cluster.close();
  });

  test("[CLU-5, END-1] a node that closes lets go of what it handed on, and clients come back elsewhere", async () => {
    const { cluster, a, b } = pair();
    const { here, there } = await alice(a, b);
    const call = there.call(1, "block", {}, JSON_ONLY);
    await a.blocker.running();
    const stream = there.frames(await there.call(2, "speak"));
    await stream.next();
    const one = await stream.messageFrame();
    assert.equal(logData(await stream.message()), 2);
    const server = await there.listen();
    await server.next();
    await cluster.close([b]);
    await refused(await soon(call), 504, -32603, 1);
    assert.deepEqual((await stream.rest()).map(({ retry }) => retry), [1_000]);
    assert.deepEqual((await server.rest()).map(({ retry }) => retry), [1_000]);
    await settle();
    assert.equal(a.handler.stats().streams, 0);
    assert.equal(a.handler.stats().requests, 2);
    a.finish.open("done");
    assert.equal((await (await here.listen(one?.id)).messages()).length, 3);
    await cluster.close();
  });

  test("[CLU-5, END-1] what runs elsewhere may finish while a node closes; a GET stream ends at once", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b);
    const call = there.call(1, "block", {}, JSON_ONLY);
    await a.blocker.running();
    const server = await there.listen();
    await server.next();
    const closed = b.handler.close({ graceMs: 1_000 });
    assert.deepEqual((await server.rest()).map(({ retry }) => retry), [1_000]);
    a.blocker.gate.open("in time");
    assert.equal(textOf(await there.result(await call)), "in time");
    await soon(closed);
    await cluster.close();
  });

  test("[CLU-7, END-1] a store that stalls doesn't keep a node from closing", async () => {
    const { cluster, a, b } = pair();
    await alice(a, b);
    Object.assign(cluster.store.inside.sessions, { end: () => new Promise(() => {}) });
    const closed = a.handler.close({ graceMs: 0 });
    await cluster.advance(500);
    await soon(closed);
    assert.equal(cluster.clock.pending > 0, true);
    await cluster.close([b]);
    assert.equal(cluster.clock.pending, 0);
  });
});
