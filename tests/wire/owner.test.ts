import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { FakeClock } from "../support/clock.ts";
import {
  as,
  Blocker,
  byToken,
  Events,
  initialize,
  isPending,
  logData,
  logMessage,
  Peer,
  refused,
  seen,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";

function endpoint(options: McpHandlerOptions = {}) {
  const clock = new FakeClock();
  const events = new Events();
  const blocker = new Blocker();
  const stub = new Stub({
    block: blocker.act,
    async chat(exchange) {
      exchange.notify(logMessage("hi"));
      await Promise.resolve();
      return text("bye");
    },
    ask: async (exchange) => text(JSON.stringify(await exchange.ask("roots/list", {}))),
  });
  const handler = createMcpHandler(stub, {
    clock,
    authenticate: byToken,
    onEvent: events.onEvent,
    ...options,
  });
  return { clock, events, blocker, stub, handler };
}

const ALICE = { headers: as("alice"), capabilities: { roots: {} } };

describe("OWN: checked before anything else", () => {
  test("[OWN-1] who initialized owns it, and nothing of the session shows before that is checked", async () => {
    const { handler, events, blocker } = endpoint({ limits: { requests: 1, streams: 0 } });
    const alice = await initialize(handler, ALICE);
    const mallory = alice.with({ headers: as("mallory") });
    const unknown = new Peer(handler, { headers: as("mallory") });
    unknown.sessionId = "U".repeat(32);
    const call = alice.call(1, "block", {}, { accept: "application/json" });
    await blocker.running();
    const reference = await seen(await unknown.request(1, "ping"));
    assert.equal(reference.status, 404);
    // Neither a wrong version, nor a server that is full, nor a batch tells that there is a session.
    const wrong = { "mcp-protocol-version": "2025-03-26" };
    for (const extra of [{}, wrong, { "mcp-protocol-version": "1999-01-01" }]) {
      assert.deepEqual(await seen(await mallory.request(1, "ping", undefined, extra)), reference);
      assert.deepEqual(await seen(await mallory.get(undefined, extra)), reference);
      assert.deepEqual(await seen(await mallory.delete(extra)), reference);
      assert.deepEqual(
        await seen(await mallory.post([{ jsonrpc: "2.0", id: 1, method: "ping" }], extra)),
        reference,
      );
    }
    const foreign = events.refusals.filter((reason) => reason === "session-foreign");
    assert.equal(foreign.length, 12, "the operator is told the true reason");
    blocker.gate.open("done");
    assert.equal(textOf(await alice.result(await call)), "done");
    await handler.close();
  });
});

describe("OWN: sessions of one principal are apart", () => {
  test("[OWN-3, CAN-2] a cancellation stays in its session", async () => {
    const { handler, blocker } = endpoint();
    const mine = await initialize(handler, ALICE);
    const other = await initialize(handler, ALICE);
    const call = mine.call(1, "block", {}, { accept: "application/json" });
    await blocker.running();
    await other.cancel(1);
    assert.equal(await isPending(call), true);
    assert.deepEqual(blocker.reasons, []);
    blocker.gate.open("done");
    assert.equal(textOf(await mine.result(await call)), "done");
    await handler.close();
  });

  test("[OWN-3, ASK-1] a reply stays in its session", async () => {
    const { handler, events } = endpoint();
    const mine = await initialize(handler, ALICE);
    const other = await initialize(handler, ALICE);
    const call = mine.frames(await mine.call(1, "ask"));
    const question = await call.message();
    await other.reply(question?.id, { roots: [{ uri: "file:///wrong" }] });
    assert.equal(handler.stats().questions, 1);
    assert.equal(events.of("reply-unmatched").length, 1);
    await mine.reply(question?.id, { roots: [] });
    assert.equal(textOf((await call.message())?.result), '{"roots":[]}');
    await handler.close();
  });

  test("[OWN-3, STR-7] a stream is resumed in its session alone", async () => {
    const { handler, events } = endpoint();
    const mine = await initialize(handler, ALICE);
    const other = await initialize(handler, ALICE);
    const first = await mine.frames(await mine.call(1, "chat")).next();
    const stream = await other.listen(first?.id);
    assert.equal((await stream.next())?.id, "s.0");
    await handler.notify(String(other.sessionId), logMessage("own"));
    assert.equal(logData(await stream.message()), "own");
    assert.deepEqual(events.of("resume-failed").map(({ reason }) => reason), ["unknown"]);
    const again = await (await mine.listen(first?.id)).messages();
    assert.deepEqual(again.map(({ id }) => id), [undefined, 1]);
    await handler.close();
  });

  test("[OWN-3, SES-6] ending one ends nothing of the other", async () => {
    const { handler, blocker } = endpoint();
    const mine = await initialize(handler, ALICE);
    const other = await initialize(handler, ALICE);
    const stream = await mine.listen();
    const call = mine.call(1, "block", {}, { accept: "application/json" });
    await blocker.running();
    assert.equal((await other.delete()).status, 204);
    blocker.gate.open("done");
    assert.equal(textOf(await mine.result(await call)), "done");
    await handler.notify(String(mine.sessionId), logMessage("here"));
    assert.equal(logData(await stream.message()), "here");
    await handler.close();
  });
});

describe("OWN: how long the claim lasts", () => {
  test("[OWN-4] a stream that closes frees nothing", async () => {
    const { handler } = endpoint();
    const alice = await initialize(handler, ALICE);
    const mallory = alice.with({ headers: as("mallory") });
    for (let i = 0; i < 3; i++) {
      const stream = await alice.listen();
      await stream.next();
      await stream.cancel();
      await refused(await mallory.get(), 404, -32001);
      await refused(await mallory.get("s.0"), 404, -32001);
    }
    await alice.result(await alice.request(1, "ping"));
    await handler.close();
  });

  test("[OWN-4] after DELETE, expiry and eviction the id is nobody's, not even its owner's", async () => {
    const { handler, clock } = endpoint({
      sessions: { idleMs: 1_000 },
      limits: { sessionsPerPrincipal: 1 },
    });
    const deleted = await initialize(handler, ALICE);
    await deleted.delete();
    const evicted = await initialize(handler, ALICE);
    const expired = await initialize(handler, ALICE);
    await clock.advance(1_000);
    for (const peer of [deleted, evicted, expired]) {
      for (const who of [peer, peer.with({ headers: as("mallory") })]) {
        await refused(await who.request(1, "ping"), 404, -32001);
        await refused(await who.get(), 404, -32001);
        await refused(await who.delete(), 404, -32001);
      }
      // Bringing it to initialize doesn't bring it back.
      const response = await peer.post(peer.initializeRequest());
      assert.notEqual(response.headers.get("mcp-session-id"), peer.sessionId);
      await response.body?.cancel();
      await refused(await peer.request(1, "ping"), 404, -32001);
    }
    await handler.close();
  });

  test("[OWN-4] a call that outlives its session can't bring it back", async () => {
    const { handler, blocker, events } = endpoint();
    const alice = await initialize(handler, ALICE);
    const call = alice.call(1, "block", {}, { accept: "application/json" });
    await blocker.running();
    await alice.delete();
    await refused(await call, 404, -32001, 1);
    const [run] = blocker.runs;
    run?.notify(logMessage("from beyond"));
    await run?.session?.state.set("key", "value");
    assert.equal(await run?.session?.subscribe("test://a"), "gone");
    assert.equal(await handler.notify(String(alice.sessionId), logMessage(1)), false);
    blocker.gate.open("done");
    await refused(await alice.request(2, "ping"), 404, -32001);
    assert.equal(handler.stats().sessions, 0);
    assert.deepEqual(events.of("message-dropped").map(({ reason }) => reason), ["finished"]);
    await handler.close();
  });
});
