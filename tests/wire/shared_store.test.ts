/**
 * Two handlers with one store are one endpoint: whichever of them a request reaches, it does the same.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { PinnedStub } from "../support/cluster.ts";
import { ModernPeer } from "../support/modern.ts";
import {
  as,
  Blocker,
  byToken,
  Events,
  Gate,
  initialize,
  isPending,
  logData,
  logMessage,
  Peer,
  refused,
  soon,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";

const ALICE = { headers: as("alice"), capabilities: { roots: {} } };

/** Two handlers with one store, each with its own dispatcher. */
function pair(options: McpHandlerOptions = {}) {
  const clock = new FakeClock();
  const store = memoryStore();
  const node = () => {
    const events = new Events();
    const blocker = new Blocker();
    const finish = new Gate<string>();
    const stub = new Stub({
      hello: () => text("Hello"),
      block: blocker.act,
      async speak(exchange) {
        exchange.notify(logMessage(1));
        exchange.notify(logMessage(2));
        const said = await finish.promise;
        exchange.notify(logMessage(3));
        return text(said);
      },
      ask: async (exchange) => text(JSON.stringify(await exchange.ask("roots/list", {}))),
    }, {
      "resources/subscribe": async ({ session, params }) => {
        await session?.subscribe(String(params.uri));
        return {};
      },
    });
    const onEvent = events.onEvent;
    const settings = { clock, store, authenticate: byToken, onEvent, ...options };
    return { stub, events, blocker, finish, handler: createMcpHandler(stub, settings) };
  };
  const [a, b] = [node(), node()];
  const close = () =>
    Promise.all([a.handler.close({ graceMs: 0 }), b.handler.close({ graceMs: 0 })]);
  return { clock, a, b, close };
}

/** A client of one handler, and itself at the other. */
async function client({ a, b }: ReturnType<typeof pair>, accept?: string) {
  const here = await initialize(a.handler, { ...ALICE, ...accept && { accept } });
  return { here, there: here.with({ fetch: b.handler }) };
}

describe("shared store: one endpoint", () => {
  test("[SES-1, OWN-1] a session that began at one is known, owned and counted at the other", async () => {
    const world = pair();
    const { here, there } = await client(world);
    assert.equal(textOf(await there.result(await there.call(1, "hello"))), "Hello");
    const mallory = there.with({ headers: as("mallory") });
    await refused(await mallory.request(1, "ping"), 404, -32001);
    assert.equal(world.a.handler.stats().sessions, 1);
    assert.equal(world.b.handler.stats().sessions, 1);
    assert.equal((await here.delete()).status, 204);
    await refused(await there.request(2, "ping"), 404, -32001);
    await world.close();
  });

  test("[SES-5] the caps hold for both together", async () => {
    const world = pair({ limits: { sessionsPerPrincipal: 2 } });
    const { here } = await client(world);
    await initialize(world.b.handler, ALICE);
    await initialize(world.b.handler, ALICE);
    assert.equal(world.a.handler.stats().sessions, 2);
    await refused(await here.request(1, "ping"), 404, -32001);
    await world.close();
  });

  test("[CAN-2] a cancellation reaches the call at the other", async () => {
    const world = pair();
    const { here, there } = await client(world, "application/json");
    const call = here.call(1, "block");
    await world.a.blocker.running();
    await there.cancel("1");
    assert.equal(await isPending(call), true);
    await there.cancel(1, "from afar");
    assert.equal((await soon(call)).status, 202);
    assert.match(String(world.a.blocker.reasons[0]), /from afar/);
    assert.equal(world.a.handler.stats().requests, 0);
    await world.close();
  });

  test("[CAN-2, OWN-2] neither a foreign cancellation nor one of another session does", async () => {
    const world = pair();
    const { here, there } = await client(world, "application/json");
    const call = here.call(1, "block");
    await world.a.blocker.running();
    const mallory = there.with({ headers: as("mallory") });
    const cancelled = {
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: 1 },
    };
    await refused(await mallory.post(cancelled), 404, -32001);
    await (await initialize(world.b.handler, ALICE)).cancel(1);
    assert.equal(await isPending(call), true);
    world.a.blocker.gate.open("done");
    assert.equal(textOf(await here.result(await call)), "done");
    await world.close();
  });

  test("[ASK-1] a reply reaches the question at the other, once", async () => {
    const world = pair();
    const { here, there } = await client(world);
    const call = here.frames(await here.call(1, "ask"));
    const question = await call.message();
    await there.reply(question?.id, { roots: [{ uri: "file:///first" }] });
    await there.reply(question?.id, { roots: [{ uri: "file:///second" }] });
    assert.match(String(textOf((await call.message())?.result)), /first/);
    assert.equal(world.a.handler.stats().questions, 0);
    await world.close();
  });

  test("[SES-6, CAN-7] a DELETE at one ends what runs and streams at the other", async () => {
    const world = pair();
    const { here, there } = await client(world, "application/json");
    const stream = await here.listen();
    const call = here.call(1, "block");
    await world.a.blocker.running();
    assert.equal((await there.delete()).status, 204);
    await refused(await soon(call), 404, -32001, 1);
    assert.deepEqual(await stream.messages(), []);
    await refused(await here.request(2, "ping"), 404, -32001);
    const nothing = { sessions: 0, streams: 0, requests: 0, questions: 0, listens: 0 };
    assert.deepEqual(world.a.handler.stats(), nothing);
    assert.deepEqual(world.b.handler.stats(), nothing);
    await world.close();
  });

  test("[SES-6] of DELETEs at both at once one succeeds", async () => {
    const world = pair();
    const { here, there } = await client(world);
    const responses = await Promise.all([
      here.delete(),
      there.delete(),
      here.delete(),
      there.delete(),
    ]);
    assert.deepEqual(responses.map(({ status }) => status).toSorted(), [204, 404, 404, 404]);
    assert.equal(world.a.stub.ended.length + world.b.stub.ended.length, 1);
    await world.close();
  });

  test("[STR-6] a stream resumes at the other, live, each message once, in order", async () => {
    const world = pair();
    const { here, there } = await client(world);
    const first = here.frames(await here.call(1, "speak"));
    await first.next();
    const one = await first.messageFrame();
    assert.equal(logData(one?.message), 1);
    await first.cancel();
    const resumed = await there.listen(one?.id);
    assert.equal(logData(await resumed.message()), 2);
    world.a.finish.open("done");
    assert.equal(logData(await resumed.message()), 3);
    assert.equal(textOf((await resumed.message())?.result), "done");
    assert.equal(await resumed.next(), undefined);
    await world.close();
  });

  test("[STR-8] there is one GET stream in all: opening it at the other replaces it here", async () => {
    const world = pair();
    const { here, there } = await client(world);
    const first = await here.listen();
    await first.next();
    const second = await there.listen();
    assert.deepEqual(await first.messages(), []);
    await first.cancel();
    await world.a.handler.notify(String(here.sessionId), logMessage("to the newest"));
    assert.equal(logData(await second.message()), "to the newest");
    await world.close();
  });

  test('[STR-8] secondGet: "reject" holds for both together', async () => {
    const world = pair({ streams: { secondGet: "reject" } });
    const { here, there } = await client(world);
    const first = await here.listen();
    await first.next();
    await refused(await there.get(), 409, -32000);
    await first.cancel();
    assert.equal((await (await there.listen()).next())?.id, "s.0");
    await world.close();
  });

  test("[STR-12] notify works at either, for a stream at either", async () => {
    const world = pair();
    const { here, there } = await client(world);
    const id = String(here.sessionId);
    const stream = await here.listen();
    for (const [n, { handler }] of [world.a, world.b].entries()) {
      assert.equal(await handler.notify(id, logMessage(n)), true);
      assert.equal(logData(await stream.message()), n);
    }
    await there.delete();
    assert.equal(await world.a.handler.notify(id, logMessage(1)), false);
    await world.close();
  });

  test("[SRV-6] a log level that is set at one holds at the other", async () => {
    const world = pair();
    const { here, there } = await client(world);
    await here.result(await here.call(1, "hello"));
    await there.result(await there.call(2, "hello"));
    const [at] = world.a.stub.exchanges.slice(-1);
    await at?.session?.setLogLevel("error");
    assert.equal(at?.session?.logLevel, "error");
    await there.result(await there.call(3, "hello"));
    assert.equal(world.b.stub.exchanges.at(-1)?.session?.logLevel, "error");
    await world.close();
  });

  test("[END-1, CLU-1] a stream that nobody has used for long still ends with its node's close", async () => {
    const world = pair();
    const { here, there } = await client(world);
    const stream = await here.listen();
    await world.clock.advance(5 * 60_000);
    await there.result(await there.call(1, "hello"));
    await world.a.handler.close({ graceMs: 0 });
    assert.equal((await stream.rest()).at(-1)?.retry, 1_000);
    assert.equal(world.a.handler.stats().streams, 0);
    await there.result(await there.call(2, "hello"));
    await world.close();
  });

  test("[SES-9] what is pushed at one before the client is ready waits, wherever it says that it is", async () => {
    const world = pair();
    const here = await initialize(world.a.handler, { ...ALICE, ready: false });
    const there = here.with({ fetch: world.b.handler });
    const stream = await there.listen();
    await stream.next();
    await world.a.handler.notify(String(here.sessionId), logMessage("held"));
    const next = stream.message();
    assert.equal(await isPending(next), true);
    await there.notify("notifications/initialized");
    assert.equal(logData(await next), "held");
    await world.close();
  });

  test("[SES-9] what is pushed at the other before the client is ready waits too", async () => {
    const world = pair();
    const here = await initialize(world.a.handler, { ...ALICE, ready: false });
    const stream = await here.listen();
    await stream.next();
    await world.b.handler.notify(String(here.sessionId), logMessage("held"));
    const next = stream.message();
    assert.equal(await isPending(next), true);
    await here.notify("notifications/initialized");
    assert.equal(logData(await next), "held");
    await world.close();
  });

  test("[STR-13] changes told at one reach sessions and subscribers at the other, once", async () => {
    const world = pair();
    const { here, there } = await client(world);
    await there.result(await there.request(1, "resources/subscribe", { uri: "test://a" }));
    const stream = await here.listen();
    world.b.stub.host?.broadcast({ method: "notifications/tools/list_changed" });
    assert.equal((await stream.message())?.method, "notifications/tools/list_changed");
    world.b.stub.host?.resourceUpdated("test://a");
    await world.clock.advance(250);
    assert.equal((await stream.message())?.method, "notifications/resources/updated");
    await here.delete();
    assert.deepEqual(await stream.messages(), []);
    await world.close();
  });

  test("[SES-4] expiry noticed at one is known at the other", async () => {
    const world = pair({ sessions: { idleMs: 1_000 } });
    const { here, there } = await client(world);
    await world.clock.advance(999);
    await there.result(await there.request(1, "ping"));
    await world.clock.advance(999);
    await here.result(await here.request(1, "ping"));
    await world.clock.advance(1_000);
    await refused(await there.request(2, "ping"), 404, -32001);
    await refused(await here.request(2, "ping"), 404, -32001);
    await flush();
    assert.equal(world.a.stub.ended.length + world.b.stub.ended.length, 1);
    await world.close();
  });

  test("[CLU-5] where sessions are held by one handler, the other hands requests on", async () => {
    const clock = new FakeClock();
    const store = memoryStore();
    const node = () => {
      const stub = new PinnedStub({ hello: () => text("Hello") });
      return { stub, handler: createMcpHandler(stub, { clock, store, authenticate: byToken }) };
    };
    const [a, b] = [node(), node()];
    const here = await initialize(a.handler, ALICE);
    const there = here.with({ fetch: b.handler });
    assert.equal(textOf(await there.result(await there.call(1, "hello"))), "Hello");
    assert.deepEqual([a.stub.exchanges.length, b.stub.exchanges.length], [2, 0]);
    assert.equal((await there.delete()).status, 204);
    assert.equal(a.stub.ended.length, 1);
    await Promise.all([a.handler.close({ graceMs: 0 }), b.handler.close({ graceMs: 0 })]);
    assert.equal(clock.pending, 0);
  });

  test("[ASK-5] what one leaves with a client the other takes back, without a key being given", async () => {
    const rounds = () =>
      new Stub({}, {
        "tools/call": async (exchange) => {
          const left = await exchange.openState();
          if (left !== undefined) return text(JSON.stringify(left));
          const requestState = await exchange.sealState({ round: 1 });
          return { resultType: "input_required", inputRequests: {}, requestState };
        },
      });
    const store = memoryStore();
    const [a, b] = [createMcpHandler(rounds(), { store }), createMcpHandler(rounds(), { store })];
    const call = async (fetch: typeof a, more: JsonObject = {}) => {
      const peer = new ModernPeer(fetch, { accept: "application/json" });
      const params = { name: "x", arguments: {}, ...more };
      const { result } = await (await peer.post(peer.message("tools/call", params))).json();
      return result;
    };
    const { requestState } = await call(a);
    assert.equal(textOf(await call(b, { requestState })), '{"round":1}');
    await Promise.all([a.close(), b.close()]);
  });

  test("[SES-8] what one opened, the other lets be claimed, once", async () => {
    const world = pair();
    const id = await world.a.handler.sessions.open();
    const alice = new Peer(world.b.handler, ALICE);
    alice.sessionId = id;
    await alice.result(await alice.request(1, "ping"));
    const mallory = new Peer(world.a.handler, { headers: as("mallory") });
    mallory.sessionId = id;
    await refused(await mallory.request(1, "ping"), 404, -32001);
    await world.close();
  });
});
