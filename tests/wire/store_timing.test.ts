/**
 * Sessions over a store that answers late, or fails at the worst moment.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { type FaultKind, FaultyStore } from "../faults/faulty_store.ts";
import { FakeClock, flush } from "../support/clock.ts";
import {
  accepted,
  as,
  byToken,
  Events,
  initialize,
  isPending,
  logData,
  logMessage,
  Peer,
  refused,
  Stub,
} from "../support/wire.ts";

const MINUTE = 60_000;
const READY = { jsonrpc: "2.0", method: "notifications/initialized" };

function endpoint(options: McpHandlerOptions = {}) {
  const clock = new FakeClock();
  const store = new FaultyStore();
  const events = new Events();
  const stub = new Stub();
  const onEvent = events.onEvent;
  const handler = createMcpHandler(stub, {
    ...{ clock, store, onEvent, authenticate: byToken },
    ...options,
  });
  /** Has one call of the store go wrong, once: the first of its kind, or a later one. */
  const once = (call: string, kind: FaultKind, nth = 1) => {
    let calls = 0;
    store.fault = (called) => called === call && ++calls === nth ? kind : undefined;
  };
  return { clock, store, events, stub, handler, once };
}

const ALICE = { headers: as("alice") };

describe("a client that says that it is ready", () => {
  test("[SES-9] gets what was pushed while the store noted it", async () => {
    const { handler, store, once } = endpoint();
    const peer = await initialize(handler, { ...ALICE, ready: false });
    const id = String(peer.sessionId);
    await handler.notify(id, logMessage("before"));
    once("sessions.update", "late");
    const ready = peer.post(READY);
    await flush();
    await handler.notify(id, logMessage("meanwhile"));
    assert.equal(await isPending(ready), true);
    store.release();
    await accepted(await ready);
    await handler.notify(id, logMessage("after"));
    const stream = await peer.listen();
    for (const said of ["before", "meanwhile", "after"]) {
      assert.equal(logData(await stream.message()), said);
    }
    await handler.close();
  });

  test("[SES-9, CLU-8] is told if the store can't note it, and may say it again", async () => {
    const { handler, once } = endpoint();
    const peer = await initialize(handler, { ...ALICE, ready: false });
    await handler.notify(String(peer.sessionId), logMessage("queued"));
    for (
      const [call, nth] of [["log.deliver"], ["sessions.update"], ["sessions.update", 2]] as const
    ) {
      once(call, "rejects", nth);
      await refused(await peer.post(READY), 503, -32603);
    }
    await accepted(await peer.post(READY));
    const stream = await peer.listen();
    assert.equal(logData(await stream.message()), "queued");
    await peer.delete();
    assert.deepEqual(await stream.messages(), []);
    await handler.close();
  });

  test("[SES-9] leaves no lease behind, with messages for it or without", async () => {
    const { handler, store } = endpoint();
    for (const count of [0, 2]) {
      const peer = await initialize(handler, { ...ALICE, ready: false });
      for (let n = 0; n < count; n++) await handler.notify(String(peer.sessionId), logMessage(n));
      const taken = store.calls.get("leases.tryTake") ?? 0;
      const released = store.calls.get("lease.release") ?? 0;
      await accepted(await peer.post(READY));
      const took = (store.calls.get("leases.tryTake") ?? 0) - taken;
      assert.equal(took > 0, count > 0);
      assert.equal((store.calls.get("lease.release") ?? 0) - released, took);
    }
    await handler.close();
  });
});

describe("a GET that opens no stream", () => {
  /** Checks that the session's one GET stream can be had by the next GET. */
  async function assertFree(peer: Peer, held: unknown): Promise<void> {
    assert.equal(held, false);
    await (await peer.listen()).cancel();
  }

  test("[STR-8] gives its lease back if the store fails", async () => {
    const { handler, store, once } = endpoint({ streams: { secondGet: "reject" } });
    const peer = await initialize(handler, ALICE);
    const held = () => store.inside.leases.held(String(peer.sessionId));
    once("log.delivered", "rejects");
    await refused(await peer.get(), 503, -32603);
    await assertFree(peer, await held());
    await handler.close();
  });

  test("[STR-8, STR-11] gives its lease back if all streams are taken", async () => {
    const limits = { streams: 1 };
    const { handler, store } = endpoint({ limits, streams: { secondGet: "reject" } });
    const other = await initialize(handler, { headers: as("bob") });
    const taken = await other.listen();
    const peer = await initialize(handler, ALICE);
    const held = () => store.inside.leases.held(String(peer.sessionId));
    await refused(await peer.get(), 503, -32000);
    await taken.cancel();
    await assertFree(peer, await held());
    await handler.close();
  });

  test("[STR-8] gives its lease back if its session ends meanwhile", async () => {
    const { handler, store, once } = endpoint();
    const peer = await initialize(handler, ALICE);
    once("log.delivered", "unheard");
    const get = peer.get();
    await flush();
    assert.equal(await store.inside.leases.held(String(peer.sessionId)), true);
    assert.equal((await peer.delete()).status, 204);
    store.release();
    await refused(await get, 404, -32001);
    assert.equal(await store.inside.leases.held(String(peer.sessionId)), false);
    await handler.close();
  });

  test("[STR-8, END-1] gives its lease back if the endpoint closes meanwhile", async () => {
    const { handler, store, once } = endpoint();
    const other = createMcpHandler(new Stub(), { store, authenticate: byToken });
    const peer = await initialize(handler, ALICE);
    once("log.delivered", "unheard");
    const get = peer.get();
    await flush();
    await handler.close();
    store.release();
    await refused(await get, 503, -32000);
    assert.equal(await store.inside.leases.held(String(peer.sessionId)), false);
    await other.close();
  });
});

describe("a session that ends", () => {
  test("[SES-6] ends its streams even if the store fails to end it", async () => {
    const { handler, once } = endpoint();
    const peer = await initialize(handler, ALICE);
    const stream = await peer.listen();
    once("log.drop", "rejects");
    await refused(await peer.delete(), 503, -32603);
    assert.deepEqual(await stream.messages(), []);
    assert.equal(handler.stats().streams, 0);
    assert.equal((await peer.delete()).status, 204);
    await handler.close();
  });

  test("[SES-5, STR-7] leaves no events behind when it is evicted, or has expired", async () => {
    const { handler, store, clock } = endpoint({ limits: { sessions: 1 } });
    const evicted = await initialize(handler, ALICE);
    const events = (peer: Peer) => store.inside.log.read(String(peer.sessionId), "s", 0);
    await handler.notify(String(evicted.sessionId), logMessage("for nobody"));
    assert.ok(await events(evicted));
    const expired = await initialize(handler, ALICE);
    assert.equal(await events(evicted), undefined);
    await handler.notify(String(expired.sessionId), logMessage("for nobody"));
    assert.ok(await events(expired));
    await clock.advance(31 * MINUTE);
    assert.equal(handler.stats().sessions, 0);
    assert.equal(await events(expired), undefined);
    await handler.close();
  });

  test("[SES-3] ids that can't be one never reach the store", async () => {
    const { handler, store } = endpoint();
    const peer = new Peer(handler, ALICE);
    for (
      const id of ["x", "B".repeat(31), "B".repeat(33), "B".repeat(31) + "!", "B".repeat(9_999)]
    ) {
      peer.sessionId = id;
      await refused(await peer.request(1, "ping"), 404, -32001);
      await refused(await peer.get(), 404, -32001);
      await refused(await peer.delete(), 404, -32001);
    }
    assert.equal(store.calls.get("sessions.use"), undefined);
    await handler.close();
  });
});

describe("the sweep for expired sessions", () => {
  test("[SES-4, CLU-8] goes on after the store failed", async () => {
    const { handler, clock, once, stub } = endpoint();
    const peer = await initialize(handler, ALICE);
    for (const kind of ["throws", "rejects"] as const) {
      once("sessions.sweep", kind);
      await clock.advance(MINUTE);
    }
    await clock.advance(30 * MINUTE);
    assert.deepEqual(stub.ended, [{ id: peer.sessionId, reason: "idle" }]);
    await handler.close();
  });

  test("[END-2] that is under way when the endpoint closes is the last one", async () => {
    const { handler, clock, store, once } = endpoint();
    const other = createMcpHandler(new Stub(), { clock, store, authenticate: byToken });
    await initialize(handler, ALICE);
    once("sessions.sweep", "unheard");
    await clock.advance(MINUTE);
    await handler.close();
    store.release();
    await flush();
    assert.equal(clock.pending, 0);
    await other.close();
  });
});
