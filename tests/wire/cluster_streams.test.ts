/**
 * Sessions that any handler may serve: what one of them has to know of another's requests, questions
 * and streams reaches it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { makeComponents } from "../../src/handler/components.ts";
import { ERAS } from "../../src/handler/eras.ts";
import { settingsOf } from "../../src/handler/settings.ts";
import type { ClusterOptions } from "../../src/handler/types.ts";
import { Inbound } from "../../src/http/inbound.ts";
import { alice, Cluster, KEY, SharedStore } from "../support/cluster.ts";
import { FakeClock } from "../support/clock.ts";
import { settle } from "../support/settle.ts";
import {
  as,
  initialize,
  isPending,
  logData,
  logMessage,
  refused,
  soon,
  Stub,
  textOf,
} from "../support/wire.ts";

const JSON_ONLY = { accept: "application/json" };

function three(options: ConstructorParameters<typeof Cluster>[0] = {}) {
  const cluster = new Cluster(options);
  const [a, b, c] = [cluster.add(), cluster.add(), cluster.add()];
  return { cluster, a, b, c };
}

describe("cluster: questions", () => {
  test("[CLU-2, ASK-1] a question outside any stream goes to the GET stream, on whatever node that is", async () => {
    const { cluster, a, b, c } = three();
    const { here, there } = await alice(a, b, JSON_ONLY);
    const stream = await there.listen();
    await stream.next();
    const call = here.call(1, "ask");
    const question = await stream.message();
    assert.equal(question?.method, "roots/list");
    // The reply lands on a third node, which has nothing to do with either.
    await here.with({ fetch: c.handler }).reply(question?.id, { roots: [{ uri: "file:///c" }] });
    assert.match(String(textOf(await here.result(await call))), /file:\/\/\/c/);
    for (const { events } of cluster.nodes) assert.deepEqual(events.of("reply-unmatched"), []);
    await cluster.close();
  });

  test("[CLU-2, ASK-1] with no GET stream on any node nobody can be asked", async () => {
    const { cluster, a, b } = three();
    const { here, there } = await alice(a, b, JSON_ONLY);
    const { error } = await here.json(await here.call(1, "ask"));
    assert.match(JSON.stringify(error), /open a GET stream/);
    const stream = await there.listen();
    await stream.next();
    await stream.cancel();
    await settle();
    const after = await here.json(await here.call(2, "ask"));
    assert.match(JSON.stringify(after.error), /open a GET stream/);
    assert.equal(a.handler.stats().questions, 0);
    await cluster.close();
  });

  test("[CLU-2, SES-9] nobody is asked before the client is ready, wherever it says that it is", async () => {
    const { cluster, a, b } = three();
    const { here, there } = await alice(a, b, { ...JSON_ONLY, ready: false });
    const stream = await there.listen();
    await stream.next();
    const early = await here.json(await here.call(1, "ask"));
    assert.match(JSON.stringify(early.error), /open a GET stream/);
    await there.notify("notifications/initialized");
    const call = here.call(2, "ask");
    const question = await stream.message();
    await there.reply(question?.id, { roots: [] });
    await here.result(await call);
    await cluster.close();
  });

  test("[CLU-2, CLU-8] a store that fails meanwhile fails the question, and is told of", async () => {
    const { cluster, a, b } = three();
    const { here, there } = await alice(a, b, JSON_ONLY);
    await (await there.listen()).next();
    Object.assign(cluster.store.inside.leases, { held: () => Promise.reject(new Error("away")) });
    const { error } = await here.json(await here.call(1, "ask"));
    assert.match(JSON.stringify(error), /open a GET stream/);
    assert.equal(a.events.of("error").length, 1);
    await cluster.close();
  });

  test("[CLU-2, ASK-1] a reply that nobody waits for is told of once", async () => {
    const { cluster, a, b } = three();
    const { here, there } = await alice(a, b);
    const call = here.frames(await here.call(1, "ask"));
    const question = await call.message();
    await there.reply(question?.id, { roots: [] });
    await call.messages();
    const unmatched = () => cluster.nodes.map(({ events }) => events.of("reply-unmatched").length);
    assert.deepEqual(unmatched(), [0, 0, 0]);
    // Late: the node that asked knows. Made up: whoever gets it knows.
    await there.reply(question?.id, { roots: [] });
    await settle();
    assert.deepEqual(unmatched(), [1, 0, 0]);
    await there.reply("q-made-up", {});
    await settle();
    assert.deepEqual(unmatched(), [1, 1, 0]);
    // Of a node that is no more, and of one that never was.
    await cluster.close([a]);
    await there.reply(question?.id, { roots: [] });
    await there.reply(`q-${"x".repeat(38)}`, {});
    // It might only hear nothing for a while.
    await cluster.advance(10_000);
    assert.deepEqual(unmatched(), [1, 3, 0]);
    await cluster.close();
  });

  test("[CLU-2, ASK-1] a reply reaches the node that asked once that hears again", async () => {
    const { cluster, a, b } = three();
    const { here, there } = await alice(a, b);
    const call = here.frames(await here.call(1, "ask"));
    const question = await call.message();
    cluster.store.fate = (_text, to) => to === undefined ? "arrives" : "refused";
    await there.reply(question?.id, { roots: [] });
    await cluster.advance(3_000);
    cluster.store.fate = () => "arrives";
    await cluster.advance(1_000);
    assert.equal((await call.messages()).length, 1);
    assert.deepEqual(cluster.nodes.map(({ events }) => events.of("reply-unmatched").length), [
      ...[0, 0, 0],
    ]);
    await cluster.close();
  });

  test("[CLU-2, ASK-1] a reply is sent again when it is unknown whether it has arrived", async () => {
    const { cluster, a, b } = three();
    const { here, there } = await alice(a, b);
    const call = here.frames(await here.call(1, "ask"));
    const question = await call.message();
    cluster.store.fate = (_text, to) => to === undefined ? "arrives" : "fails";
    await there.reply(question?.id, { roots: [] });
    await cluster.advance(1_000);
    cluster.store.fate = () => "arrives";
    await cluster.advance(1_000);
    assert.equal((await call.messages()).length, 1);
    await cluster.close();
  });

  test("[CLU-2, OWN-3] a reply in another session answers nothing, on whatever node", async () => {
    const { cluster, a, b } = three();
    const { here } = await alice(a, b);
    const call = here.frames(await here.call(1, "ask"));
    const question = await call.message();
    const other = await initialize(b.handler, {
      headers: as("alice"),
      capabilities: { roots: {} },
    });
    await other.reply(question?.id, { roots: [] });
    await settle();
    assert.equal(a.handler.stats().questions, 1);
    assert.equal(a.events.of("reply-unmatched").length, 1);
    await here.reply(question?.id, { roots: [] });
    assert.equal((await call.messages()).length, 1);
    await cluster.close();
  });

  test("[CLU-2] a dispatcher asks and tells a session, on whatever node its stream is", async () => {
    const { cluster, a, b, c } = three();
    const { here, there } = await alice(a, b);
    const id = String(here.sessionId);
    const stream = await there.listen();
    await stream.next();
    const { signal } = new AbortController();
    const { host } = a.stub;
    const answer = host?.ask?.(id, "roots/list", {}, signal);
    const question = await stream.message();
    await here.with({ fetch: c.handler }).reply(question?.id, { roots: [] });
    assert.deepEqual(await answer, { roots: [] });
    host?.notify?.(id, logMessage("told"));
    assert.equal(logData(await stream.message()), "told");
    assert.equal(c.stub.host?.ask?.("x".repeat(32), "roots/list", {}, signal), undefined);
    await assert.rejects(host?.ask?.(id, "sampling/createMessage", {}, signal) ?? assert.fail(), {
      name: "MissingCapabilityError",
    });
    const gone = new AbortController();
    const unanswered = host?.ask?.(id, "roots/list", {}, gone.signal) ?? assert.fail();
    gone.abort(new Error("no longer"));
    await assert.rejects(unanswered, /no longer/);
    assert.equal(a.handler.stats().questions, 0);
    await cluster.close();
  });
});

describe("cluster: streams", () => {
  test("[CLU-2, STR-6] coming back to a stream at another node ends the connection that hangs", async () => {
    const { cluster, a, b } = three();
    const { here, there } = await alice(a, b);
    const hanging = here.frames(await here.call(1, "speak"));
    await hanging.next();
    const one = await hanging.messageFrame();
    const resumed = await there.listen(one?.id);
    assert.equal(logData(await resumed.message()), 2);
    assert.equal(logData(await hanging.message()), 2);
    assert.equal(await hanging.next(), undefined);
    assert.deepEqual(a.events.of("stream-closed").map(({ reason }) => reason), ["replaced"]);
    a.finish.open("done");
    assert.equal((await resumed.messages()).length, 2);
    assert.deepEqual(cluster.nodes.map(({ handler }) => handler.stats().streams), [0, 0, 0]);
    await cluster.close();
  });

  test("[CLU-4, STR-8] a GET stream whose lease is lost ends, and the next one is whole", async () => {
    const { cluster, a, b } = three();
    const { leases } = cluster.store.inside;
    const lost: (() => void)[] = [];
    const { take } = leases;
    Object.assign(leases, {
      take: (key: string, onLost: () => void) => {
        lost.push(onLost);
        return take.call(leases, key, onLost);
      },
    });
    const { here, there } = await alice(a, b);
    const first = await here.listen();
    await first.next();
    await a.handler.notify(String(here.sessionId), logMessage(1));
    assert.equal(logData(await first.message()), 1);
    lost[0]?.();
    assert.equal(await first.next(), undefined);
    await a.handler.notify(String(here.sessionId), logMessage(2));
    const second = await there.listen();
    assert.equal(logData(await second.message()), 2);
    await cluster.close();
  });

  test("[CLU-4] of GETs at all nodes at once one stays open, and it gets everything", async () => {
    const { cluster, a, b, c } = three();
    const { here, there } = await alice(a, b);
    const peers = [here, there, here.with({ fetch: c.handler })];
    const streams = await Promise.all([...peers, ...peers].map((peer) => peer.listen()));
    await settle();
    const open = () => cluster.nodes.reduce((sum, { handler }) => sum + handler.stats().streams, 0);
    assert.equal(open(), 1);
    await a.handler.notify(String(here.sessionId), logMessage("one"));
    await settle();
    const ends = streams.map((stream) => stream.messages());
    await here.delete();
    const heard = (await Promise.all(ends)).flat();
    assert.deepEqual(heard.map(logData), ["one"]);
    assert.equal(open(), 0);
    await cluster.close();
  });

  test("[CLU-2, SES-9] what was held until the client is ready is sent once, whoever sends it", async () => {
    const slow = new SharedStore();
    const store = {
      shared: true,
      open(settings: Parameters<SharedStore["open"]>[0]) {
        const { log, sessions, ...rest } = slow.open(settings);
        const later = async <T>(value: T): Promise<T> => {
          await settle();
          return value;
        };
        return {
          ...rest,
          sessions: new Proxy(sessions, {
            get: (target, key) =>
              key === "peek"
                ? async (id: string) => await later(target.peek(id))
                : bound(target, key),
          }),
          log: new Proxy(log, {
            get: (target, key) =>
              key === "read" || key === "append" || key === "delivered"
                ? async (...args: unknown[]) =>
                  await later(Reflect.apply(bound(target, key) as () => unknown, target, args))
                : bound(target, key),
          }),
        };
      },
    };
    const make = () => createMcpHandler(new Stub(), { store, requests: { stateKeys: [KEY] } });
    const [a, b] = [make(), make()];
    const here = await initialize(a, { ready: false });
    const id = String(here.sessionId);
    const there = here.with({ fetch: b });
    const stream = await there.listen();
    await stream.next();
    for (let n = 0; n < 5; n++) await a.notify(id, logMessage(n));
    // Both say that it is ready, while the last one is being told.
    await soon(Promise.all([
      here.notify("notifications/initialized"),
      there.notify("notifications/initialized"),
      a.notify(id, logMessage(5)),
      b.notify(id, logMessage(6)),
    ]));
    const heard: unknown[] = [];
    while (heard.length < 7) heard.push(logData(await stream.message()));
    await settle();
    const rest = stream.messages();
    await soon(Promise.all([a.close({ graceMs: 0 }), b.close({ graceMs: 0 })]));
    assert.deepEqual(await rest, []);
    assert.deepEqual(heard.toSorted(), [0, 1, 2, 3, 4, 5, 6]);
    assert.deepEqual(heard.filter((n) => Number(n) < 5), [0, 1, 2, 3, 4]);
  });
});

describe("cluster: what each node keeps", () => {
  test("[CLU-1] a session that ended while it was looked up stays ended", async () => {
    const { cluster, a, b } = three();
    const { here, there } = await alice(a, b, JSON_ONLY);
    const { sessions } = cluster.store.inside;
    const { use } = sessions;
    let answer = () => {};
    Object.assign(sessions, {
      use: (id: string, owner: string) => {
        const found = use.call(sessions, id, owner);
        return new Promise((resolve) => answer = () => resolve(found));
      },
    });
    const call = there.call(1, "hello");
    await settle();
    Object.assign(sessions, { use });
    assert.equal((await here.delete()).status, 204);
    await settle();
    answer();
    await refused(await call, 404, -32001);
    assert.equal(b.stub.exchanges.length, 0);
    await cluster.close();
  });

  test("[CLU-1] nothing is kept of sessions that are not used here any more", async () => {
    const clock = new FakeClock();
    const store = new SharedStore();
    const requests = { stateKeys: [KEY] };
    const a = createMcpHandler(new Stub(), { clock, store, requests });
    const ids = await Promise.all(Array.from({ length: 1_000 }, () => a.sessions.open()));
    const { sessions, cluster, calls, streams } = makeComponents(
      new Stub(),
      settingsOf({ clock, store, requests }, ERAS),
      { broadcast: () => {}, route: () => assert.fail() },
    );
    const use = (id: string) => {
      const request = new Request("http://localhost/mcp", { headers: { "mcp-session-id": id } });
      const inbound = new Inbound(request);
      inbound.owner = "alice";
      return sessions.find(inbound);
    };
    // It learns nothing of what ends at the other.
    cluster.connection?.messenger.leave();
    for (const id of ids) await use(id);
    assert.equal(sessions.live.size, 1_000);
    for (const id of ids.slice(1)) await a.sessions.end(id);
    await clock.advance(60_000);
    await use(String(ids[0]));
    await clock.advance(60_000);
    assert.equal(sessions.live.size, 1);
    await clock.advance(120_000);
    assert.equal(sessions.live.size, 0);
    assert.equal((await use(String(ids[0]))).kind, "session");
    for (const part of [sessions, cluster, calls, streams]) part.dispose();
    await a.close();
  });

  test("[CLU-1, CAN-2] what runs, asks or is connected here is not forgotten", async () => {
    const { cluster, a, b } = three();
    const { here, there } = await alice(a, b, JSON_ONLY);
    const call = there.call(1, "block");
    await b.blocker.running();
    await cluster.advance(300_000);
    await here.cancel(1);
    assert.equal((await soon(call)).status, 202);
    const asking = there.with({});
    const stream = await here.listen();
    await stream.next();
    const ask = asking.call(2, "ask");
    const question = await stream.message();
    await cluster.advance(240_000);
    assert.equal(await isPending(ask), true);
    await here.reply(question?.id, { roots: [] });
    await here.result(await ask);
    await cluster.advance(300_000);
    await there.delete();
    await settle();
    assert.deepEqual(await stream.messages(), []);
    await cluster.close();
  });
});

describe("cluster: keys", () => {
  const make = (options: Parameters<typeof createMcpHandler>[1]) => () =>
    createMcpHandler(new Stub(), { store: new SharedStore(), ...options });

  test("[CLU-6, ASK-5] a store that other processes have needs requests.stateKeys", async () => {
    const missing = { name: "TypeError", message: /"requests\.stateKeys"/ };
    assert.throws(make({}), missing);
    assert.throws(make({ requests: { stateKeys: [] } }), missing);
    assert.throws(make({ cluster: { keys: [KEY] } }), missing);
    await make({ requests: { stateKeys: [KEY] } })().close();
    await make({ requests: { stateKeys: [KEY] }, cluster: { keys: [`${KEY}.`] } })().close();
  });

  test("[CLU-13] a store that can't connect its handlers is refused, whatever it says it is", () => {
    for (const shared of [true, false]) {
      const inner = new SharedStore();
      const store = {
        shared,
        open(settings: Parameters<SharedStore["open"]>[0]) {
          const { connect: _, ...backplane } = inner.open(settings);
          // A store that was written without types is what is tested.
          return backplane as ReturnType<SharedStore["open"]>;
        },
      };
      const name = "TypeError";
      const message = /connectNodes of @mooring\/mcp\/store.*"connect": undefined/;
      assert.throws(make({ store, requests: { stateKeys: [KEY] } }), { name, message });
    }
  });

  test("[CLU-6] cluster.keys are checked", () => {
    const requests = { stateKeys: [KEY] };
    const wrong = [
      [{ keys: ["short"] }, { name: "RangeError", message: /"cluster\.keys": 5/ }],
      [{ keys: "x".repeat(32) }, { name: "TypeError", message: /"cluster\.keys"/ }],
    ] as const;
    for (const [cluster, error] of wrong) {
      // Wrong types are what is tested.
      assert.throws(make({ requests, cluster: cluster as unknown as ClusterOptions }), error);
    }
  });

  test("[CLU-6] nodes with other keys are strangers to each other", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add({ cluster: { keys: [`${KEY}.`] } })];
    const { here, there } = await alice(a, b, JSON_ONLY);
    const call = here.call(1, "block");
    await a.blocker.running();
    await there.cancel(1);
    await settle();
    assert.equal(await isPending(call), true);
    assert.deepEqual(a.events.of("message-ignored").map(({ reason }) => reason), ["foreign"]);
    await here.cancel(1);
    await soon(call);
    await cluster.close();
  });

  test("[CLU-2] a session's end that nobody announced ends its calls elsewhere", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add()];
    const { here, there } = await alice(a, b, JSON_ONLY);
    cluster.store.fate = (text) => text.includes('"ended"') ? "lost" : "arrives";
    const call = there.call(1, "block");
    const other = await alice(a, b, JSON_ONLY);
    const kept = other.there.call(1, "block");
    await b.blocker.running(2);
    assert.equal((await here.delete()).status, 204);
    await cluster.advance(60_000);
    assert.deepEqual([b.blocker.reasons.length, b.handler.stats().requests], [1, 1]);
    assert.ok(await isPending(kept));
    await cluster.close();
    await Promise.all([soon(call), soon(kept)]);
  });

  test("[CLU-6] a stranger on the bus ends, cancels and answers nothing, nor does a recording", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.add(), cluster.add()];
    const { here, there } = await alice(a, b, JSON_ONLY);
    const stranger = cluster.store.inside.bus.join("stranger", () => {});
    const session = String(here.sessionId);
    const forgeries = [
      { kind: "ended", session, reason: "deleted" },
      { kind: "cancel", session, request: 2 },
    ].map((message) => JSON.stringify(message));
    const first = there.call(1, "block");
    await b.blocker.running();
    await here.cancel(1);
    await soon(first);
    const call = there.call(1, "block");
    const other = there.call(2, "block");
    await b.blocker.running(3);
    const recorded = cluster.store.texts.map(({ text }) => text);
    for (const text of forgeries) {
      stranger.publish(text);
      stranger.publish(`a\n${text}`);
      for (const one of recorded) {
        stranger.publish(`${one.split("\n").slice(0, 2).join("\n")}\n${text}`);
      }
    }
    for (const text of recorded) stranger.publish(text);
    await settle();
    assert.deepEqual([await isPending(call), await isPending(other)], [true, true]);
    assert.ok(b.events.of("message-ignored").length >= 5);
    assert.equal(b.handler.stats().sessions, 1);
    await cluster.close();
    await Promise.all([soon(call), soon(other)]);
  });
});

function bound<T extends object>(target: T, key: string | symbol): unknown {
  const value: unknown = Reflect.get(target, key);
  return typeof value === "function" ? value.bind(target) : value;
}
