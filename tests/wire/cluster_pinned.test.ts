/**
 * Sessions whose live state is in one process: whichever handler a request reaches, that process
 * answers it, or nobody does.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Authorize } from "../../src/auth/authorize.ts";
import { isObject } from "../../src/protocol/jsonrpc.ts";
import { alice, Cluster, type TestNode } from "../support/cluster.ts";
import { settle } from "../support/settle.ts";
import {
  as,
  initialize,
  isPending,
  logData,
  logMessage,
  Peer,
  refused,
  seen,
  soon,
  text,
  textOf,
} from "../support/wire.ts";

function pair(options: ConstructorParameters<typeof Cluster>[0] = {}) {
  const cluster = new Cluster({ pinned: true, ...options });
  const [a, b] = [cluster.add(), cluster.add()];
  return { cluster, a, b };
}

function methods({ stub }: TestNode): string[] {
  return stub.exchanges.map(({ method }) => method);
}

const NOTHING = { sessions: 0, streams: 0, requests: 0, questions: 0, listens: 0 };

describe("pinned: where requests are answered", () => {
  test("[CLU-5] a request that lands elsewhere is answered by the node that holds the session", async () => {
    const { cluster, a, b } = pair();
    const { here, there } = await alice(a, b);
    assert.equal(textOf(await there.result(await there.call(1, "hello"))), "Hello");
    assert.equal(textOf(await here.result(await here.call(2, "hello"))), "Hello");
    assert.deepEqual(methods(a), ["initialize", "tools/call", "tools/call"]);
    assert.deepEqual(methods(b), []);
    assert.deepEqual(b.handler.stats(), { ...NOTHING, sessions: 1 });
    await cluster.close();
  });

  test("[CLU-5] each node holds what began at it", async () => {
    const { cluster, a, b } = pair();
    const one = await alice(a, b);
    const two = await alice(b, a);
    for (const peer of [one.here, one.there, two.here, two.there]) {
      await peer.result(await peer.call(1, "hello"));
    }
    assert.deepEqual(methods(a), ["initialize", "tools/call", "tools/call"]);
    assert.deepEqual(methods(b), ["initialize", "tools/call", "tools/call"]);
    await cluster.close();
  });

  test("[CLU-5] notifications and replies go to the node that holds the session", async () => {
    const { cluster, a, b } = pair();
    const { here, there } = await alice(a, b, { ready: false });
    await there.notify("notifications/initialized");
    assert.deepEqual(a.stub.notifications.map(({ method }) => method), [
      "notifications/initialized",
    ]);
    assert.equal(b.stub.notifications.length, 0);
    const call = here.frames(await here.call(1, "ask"));
    const question = await call.message();
    await there.reply(question?.id, { roots: [{ uri: "file:///there" }] });
    assert.match(String(textOf((await call.message())?.result)), /there/);
    await cluster.close();
  });

  test("[CLU-2, CLU-5] a cancellation that lands elsewhere stops the call", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, { accept: "application/json" });
    const call = there.call(1, "block");
    await a.blocker.running();
    await there.cancel(1, "from afar");
    assert.equal((await soon(call)).status, 202);
    assert.match(String(a.blocker.reasons[0]), /from afar/);
    assert.deepEqual(a.handler.stats(), { ...NOTHING, sessions: 1 });
    assert.deepEqual(b.handler.stats(), { ...NOTHING, sessions: 1 });
    await cluster.close();
  });

  test("[CLU-5] a DELETE that lands elsewhere ends the session, and only its node's backend is told", async () => {
    const { cluster, a, b } = pair();
    const { here, there } = await alice(a, b);
    assert.deepEqual(await seen(await there.delete()), { status: 204, headers: [], body: "" });
    await refused(await here.request(1, "ping"), 404, -32001);
    await refused(await there.request(1, "ping"), 404, -32001);
    assert.deepEqual(a.stub.ended.map(({ reason }) => reason), ["deleted"]);
    assert.equal(b.stub.ended.length, 0);
    await cluster.close();
  });

  test("[CLU-5] a session that another node ends has its live state end where it is", async () => {
    const { cluster, a, b } = pair();
    const { here } = await alice(a, b);
    assert.equal(await b.handler.sessions.end(String(here.sessionId)), true);
    await settle();
    assert.deepEqual(a.stub.ended.map(({ reason }) => reason), ["ended"]);
    assert.equal(b.stub.ended.length, 0);
    await cluster.close();
  });

  test("[CLU-5, SES-4] so has one whose expiry another node notices", async () => {
    const { cluster, a, b } = pair({ sessions: { idleMs: 1_000 } });
    const { there } = await alice(a, b);
    await cluster.advance(1_000);
    await refused(await there.request(1, "ping"), 404, -32001);
    await settle();
    assert.deepEqual(a.stub.ended.map(({ reason }) => reason), ["idle"]);
    assert.equal(b.stub.ended.length, 0);
    await cluster.close();
  });

  test("[CLU-5, SES-8] what was opened by hand is held where it was opened", async () => {
    const { cluster, a, b } = pair();
    const peer = new Peer(b.handler, { headers: as("alice") });
    peer.sessionId = await a.handler.sessions.open();
    await peer.result(await peer.call(1, "hello"));
    assert.deepEqual(methods(a), ["tools/call"]);
    await refused(
      await peer.with({ headers: as("mallory") }).request(1, "ping"),
      404,
      -32001,
    );
    await cluster.close();
  });

  test("[CLU-5, END-1] a stream that another node answers goes on while both shut down", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b);
    const call = there.frames(await there.call(1, "speak"));
    assert.equal(logData(await call.message()), 1);
    // Slower than the time that a node takes to leave.
    cluster.store.latencyMs = 700;
    const closed = Promise.all([b, a].map(({ handler }) => handler.close({ graceMs: 10_000 })));
    await cluster.advance(1_000);
    assert.equal(logData(await call.message()), 2);
    a.finish.open("said");
    await cluster.advance(5_000);
    assert.equal(logData(await call.message()), 3);
    assert.equal(textOf((await call.message())?.result), "said");
    assert.equal(await call.message(), undefined);
    await closed;
    await cluster.close();
  });

  test("[CLU-5] a batch is answered as a whole", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, { version: "2025-03-26", accept: "application/json" });
    there.version = "2025-03-26";
    const call = (id: number) => ({ jsonrpc: "2.0", id, method: "ping" });
    const response = await there.post([call(1), call(2)]);
    assert.deepEqual(JSON.parse(await response.text()), [
      { jsonrpc: "2.0", id: 1, result: {} },
      { jsonrpc: "2.0", id: 2, result: {} },
    ]);
    assert.deepEqual(methods(a), ["initialize", "ping", "ping"]);
    await cluster.close();
  });
});

describe("pinned: who asks", () => {
  test("[CLU-5] the sender is authenticated where the request lands, and nowhere else", async () => {
    const { cluster, a } = pair();
    let asked = 0;
    const b = cluster.add({
      authenticate(request) {
        asked++;
        assert.equal(request.headers.get("authorization"), "Bearer alice");
        return { id: "alice", scopes: ["read"], expiresAt: Infinity, claims: { team: "x" } };
      },
    });
    const c = cluster.add({ authenticate: () => assert.fail("asked again") });
    void c;
    const here = await initialize(b.handler, { headers: as("alice") });
    asked = 0;
    // What lands at `a` is authenticated by `a` alone, though `b` answers it.
    const there = here.with({ fetch: a.handler });
    await there.result(await there.call(1, "hello", {}, { "x-custom": "ü".normalize("NFKD")[0] }));
    assert.equal(asked, 0);
    const back = await alice(a, b);
    await back.there.result(await back.there.call(1, "hello", {}, { "x-custom": "kept" }));
    assert.equal(asked, 1);
    const exchange = a.stub.exchanges.at(-1);
    assert.deepEqual(exchange?.principal, {
      id: "alice",
      scopes: ["read"],
      claims: { team: "x" },
    });
    assert.equal(exchange?.request.headers.get("x-custom"), "kept");
    assert.equal(exchange?.request.headers.get("authorization"), "Bearer alice");
    assert.equal(exchange?.request.url, "http://localhost/mcp");
    await cluster.close();
  });

  test("[CLU-5, AUTH-3] a principal whose fields are getters has its session on other nodes too", async () => {
    const { cluster, a } = pair();
    class User {
      readonly #id: string;
      constructor(id: string) {
        this.#id = id;
      }
      get id(): string {
        return this.#id;
      }
      get issuer(): string {
        return "https://as.example";
      }
      get scopes(): readonly string[] {
        return ["read"];
      }
    }
    const authenticate = () => new User("alice");
    const b = cluster.add({ authenticate });
    const c = cluster.add({ authenticate });
    const here = await initialize(b.handler, { headers: as("alice") });
    const there = here.with({ fetch: c.handler });
    await there.result(await there.call(1, "hello"));
    const { principal } = b.stub.exchanges.at(-1) ?? {};
    assert.deepEqual(principal, { id: "alice", issuer: "https://as.example", scopes: ["read"] });
    void a;
    await cluster.close();
  });

  test("[CLU-5, OWN-2] a stranger is refused where it asks: nothing is handed on", async () => {
    const { cluster, a, b } = pair();
    const { here, there } = await alice(a, b);
    const before = cluster.store.texts.length;
    const mallory = there.with({ headers: as("mallory") });
    const unknown = here.with({ headers: as("mallory") });
    unknown.sessionId = "x".repeat(32);
    for (const verb of ["POST", "GET", "DELETE"] as const) {
      const send = (peer: Peer) =>
        verb === "POST" ? peer.request(1, "ping") : verb === "GET" ? peer.get() : peer.delete();
      assert.deepEqual(await seen(await send(mallory)), await seen(await send(unknown)));
    }
    assert.equal(cluster.store.texts.length, before);
    await cluster.close();
  });

  test("[CLU-5, CLU-6] a request that is delivered again, while it runs or later, runs once", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b, { accept: "application/json" });
    const { store } = cluster;
    const again = store.inside.bus.join("again", () => {});
    /** Delivers everything that has been sent to one node once more. */
    const deliverAgain = async () => {
      for (const { to, text } of [...store.texts]) if (to !== undefined) await again.send(to, text);
      await settle();
    };
    const call = there.call(1, "block");
    await a.blocker.running();
    await deliverAgain();
    a.blocker.gate.open("done");
    assert.equal(textOf(await there.result(await call)), "done");
    for (let i = 0; i < 3; i++) {
      await deliverAgain();
      // Longer than an envelope is fresh in the end; other nodes' messages come meanwhile.
      await cluster.advance(15_000);
    }
    assert.equal(a.blocker.runs.length, 1);
    const reasons = a.events.of("message-ignored").map(({ reason }) => reason);
    assert.ok(reasons.includes("replayed"));
    assert.ok(reasons.every((reason) => reason === "replayed" || reason === "stale"));
    assert.equal(a.handler.stats().requests, 0);
    await cluster.close();
  });

  test("[CLU-5, CLU-12] nothing of a call is to be read on the way", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b);
    await there.result(await there.call(1, "hello", {}, { cookie: "session=hunter2" }));
    const all = cluster.store.texts.map(({ text }) => text).join("\n");
    assert.ok(all.length > 0);
    assert.doesNotMatch(all, /Bearer|hunter2|tools|hello|alice|forward|jsonrpc/);
    await cluster.close();
  });

  test("[CLU-5, AUTH-5] what the principal may not know of isn't there, wherever it asks", async () => {
    const { cluster, a, b } = pair({
      authorize: (_principal, { params }) => params.name !== "hello",
    });
    const { here, there } = await alice(a, b);
    const near = await seen(await here.call(1, "hello"));
    assert.deepEqual(await seen(await there.call(1, "hello")), near);
    assert.equal(a.stub.exchanges.length, 1);
    await cluster.close();
  });
});

describe("pinned: what is reported", () => {
  test("[CLU-5, AUTH-5] what is hidden and forwarded is reported once", async () => {
    const authorize: Authorize = (_, { method, params }) =>
      method !== "tools/call" || params.name !== "hello";
    const cluster = new Cluster({ pinned: true, authorize });
    const [a, b] = [cluster.add(), cluster.add()];
    const { there } = await alice(a, b);
    await there.json(await there.call(1, "hello"));
    assert.deepEqual([...a.events.refusals, ...b.events.refusals], ["hidden"]);
    await cluster.close();
  });

  test("[CLU-5, STR-11] what the other node refuses is reported there, once", async () => {
    const { cluster, a, b } = pair({ limits: { requests: 1 } });
    const { here, there } = await alice(a, b, { accept: "application/json" });
    const call = here.call(1, "block");
    await a.blocker.running();
    await refused(await there.call(2, "hello"), 503, -32000, 2);
    assert.deepEqual(a.events.refusals, ["request-limit"]);
    assert.deepEqual(b.events.refusals, []);
    a.blocker.gate.open("done");
    await here.result(await call);
    await cluster.close();
  });

  test("[CLU-5] a node that forwards is known to be alive, however new it is", async () => {
    const { cluster, a, b } = pair({});
    const { there } = await alice(a, b);
    await there.result(await there.call(1, "hello"));
    const forwarding = cluster.store.texts.find(({ to }) => to !== undefined)?.from;
    assert.ok(await cluster.store.inside.nodes.find(String(forwarding)));
    await cluster.close();
  });

  test("[CLU-5, SES-1] a session that could not begin is claimed by nobody", async () => {
    const { cluster, a } = pair();
    const { sessions, claims } = cluster.store.inside;
    const claimed: string[] = [];
    const { claim } = claims;
    Object.assign(sessions, {
      create() {
        throw new Error("The store is away");
      },
    });
    Object.assign(claims, {
      claim(session: string, node: string, ttlMs: number) {
        claimed.push(session);
        return claim.call(claims, session, node, ttlMs);
      },
    });
    const peer = new Peer(a.handler, { headers: as("alice") });
    assert.equal((await peer.post(peer.initializeRequest())).status, 503);
    await assert.rejects(a.handler.sessions.open(), /The store is away/);
    await settle();
    assert.equal(claimed.length, 2);
    for (const session of claimed) assert.equal(await claims.holder(session), undefined);
    await cluster.close();
  });

  test("[CLU-5, STR-1] the answer is in the form that the client reads", async () => {
    const { cluster, a, b } = pair();
    for (const accept of ["application/json", "text/event-stream"]) {
      const { there } = await alice(a, b, { accept });
      const response = await there.call(1, "hello");
      assert.equal(response.headers.get("content-type"), accept);
      await there.result(response);
    }
    await cluster.close();
  });

  test("[ASK-1, CLU-2] a late reply stays where its question was asked", async () => {
    const cluster = new Cluster();
    const a = cluster.add();
    const { here } = await alice(a, a);
    const stream = here.frames(await here.call(1, "ask"));
    const question = await stream.message();
    await here.cancel(1);
    await here.reply(question?.id, { roots: [] });
    await settle();
    assert.equal(a.events.of("reply-unmatched").length, 1);
    assert.deepEqual(cluster.store.texts.filter(({ to }) => to !== undefined), []);
    await cluster.close();
  });
});

describe("pinned: streams", () => {
  test("[CLU-5] an answer streams back as it comes", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b);
    const stream = there.frames(await there.call(1, "speak"));
    assert.equal(logData(await stream.message()), 1);
    assert.equal(logData(await stream.message()), 2);
    const next = stream.message();
    assert.equal(await isPending(next), true);
    a.finish.open("done");
    assert.equal(logData(await next), 3);
    assert.equal(textOf((await stream.message())?.result), "done");
    assert.equal(await stream.next(), undefined);
    assert.deepEqual(b.handler.stats(), { ...NOTHING, sessions: 1 });
    await cluster.close();
  });

  test("[CLU-4, CLU-5] the GET stream reaches the client through any node, and is one", async () => {
    const { cluster, a, b } = pair();
    const { here, there } = await alice(a, b);
    const id = String(here.sessionId);
    const first = await there.listen();
    await first.next();
    for (const [n, { handler }] of [a, b].entries()) {
      assert.equal(await handler.notify(id, logMessage(n)), true);
      assert.equal(logData(await first.message()), n);
    }
    const second = await here.listen();
    assert.deepEqual(await first.messages(), []);
    await settle();
    assert.equal(b.handler.stats().streams, 0);
    await b.handler.notify(id, logMessage("newest"));
    assert.equal(logData(await second.message()), "newest");
    await cluster.close();
  });

  test("[CLU-5, STR-9] a stream that the tool lets go is resumed through another node", async () => {
    const { cluster, a, b } = pair({
      tools: {
        async release(exchange) {
          exchange.notify(logMessage(1));
          exchange.closeStream({ retryMs: 7 });
          exchange.notify(logMessage(2));
          await a.finish.promise;
          return text("released");
        },
      },
    });
    const c = cluster.add();
    const { there } = await alice(a, b);
    const first = there.frames(await there.call(1, "release"));
    const frames = await first.rest();
    assert.equal(frames.at(-1)?.retry, 7);
    const [cursor] = frames.filter(({ message }) => message !== undefined);
    assert.equal(logData(cursor?.message), 1);
    const elsewhere = there.with({ fetch: c.handler });
    const second = await elsewhere.listen(cursor?.id);
    assert.equal(logData(await second.message()), 2);
    a.finish.open("");
    assert.equal(textOf((await second.message())?.result), "released");
    assert.equal(await second.next(), undefined);
    await cluster.close();
  });

  test("[CLU-5, STR-6] a client that goes away is gone at both nodes, and its call runs on", async () => {
    const { cluster, a, b } = pair();
    const { here, there } = await alice(a, b);
    const stream = there.frames(await there.call(1, "speak"));
    await stream.next();
    const one = await stream.messageFrame();
    assert.deepEqual([a.handler.stats().streams, b.handler.stats().requests], [1, 1]);
    await stream.cancel();
    await settle();
    assert.deepEqual([a.handler.stats().streams, b.handler.stats().requests], [0, 0]);
    a.finish.open("done");
    const rest = await (await here.listen(one?.id)).messages();
    assert.deepEqual(rest.map((message) => logData(message) ?? textOf(message.result)), [
      2,
      3,
      "done",
    ]);
    await cluster.close();
  });

  test("[CLU-5, STR-10] a client that doesn't read has no more on its way than the window", async () => {
    const { cluster, a, b } = pair({
      tools: { large: () => text("😀".repeat(1_000_000)) },
    });
    const { there } = await alice(a, b, { accept: "application/json" });
    const before = cluster.store.texts.length;
    const response = await there.call(1, "large");
    await settle();
    const parts = cluster.store.texts.slice(before).filter(({ opened }) =>
      opened.includes('"forward-part"')
    );
    assert.equal(parts.length, 8);
    assert.ok(parts.every(({ opened }) => opened.length < 2 * 64 * 1024));
    assert.equal(textOf(await there.result(response)), "😀".repeat(1_000_000));
    await cluster.close();
  });

  test("[CLU-5] many are handed on at a time, and none waits for another", async () => {
    const { cluster, a, b } = pair({
      tools: {
        async number({ params }) {
          const { n } = isObject(params.arguments) ? params.arguments : {};
          if (n === 0) await a.finish.promise;
          return text(String(n));
        },
      },
    });
    const { there } = await alice(a, b, { accept: "application/json" });
    const calls = Array.from({ length: 50 }, (_, n) => there.call(n, "number", { n }));
    const first = calls[0] ?? assert.fail();
    const others = await Promise.all(
      calls.slice(1).map(async (call) => textOf(await there.result(await call))),
    );
    assert.deepEqual(others, Array.from({ length: 49 }, (_, n) => String(n + 1)));
    assert.equal(await isPending(first), true);
    a.finish.open("");
    assert.equal(textOf(await there.result(await first)), "0");
    await cluster.close();
  });

  test("[CLU-5, STR-11] what is handed on takes a place here as well", async () => {
    const { cluster, a } = pair({ limits: { requests: 100 } });
    const b = cluster.add({ limits: { requests: 1, streams: 1 } });
    const { there } = await alice(a, b, { accept: "application/json" });
    const call = there.call(1, "block");
    await a.blocker.running();
    await refused(await there.call(2, "hello"), 503, -32000, 2);
    // What is busy can be cancelled all the same.
    await there.cancel(1);
    assert.equal((await soon(call)).status, 202);
    await there.result(await there.call(3, "hello"));
    const stream = await there.listen();
    await refused(await there.get(), 503, -32000);
    await stream.cancel();
    await settle();
    await (await there.listen()).cancel();
    await cluster.close();
  });
});
