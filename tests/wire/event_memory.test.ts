/**
 * What an endpoint keeps so that clients can resume: bounded for each principal and in all, and the
 * responses last.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { MemoryEventLog } from "../../src/streams/memory_log.ts";
import { FakeClock, flush } from "../support/clock.ts";
import {
  as,
  byToken,
  Events,
  Gate,
  initialize,
  logData,
  logMessage,
  openStore,
  type Peer,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";
import { growthBy } from "./memory.ts";

const MIB = 1024 * 1024;
const LONG = { timeout: 60_000 };

function endpoint(options: McpHandlerOptions = {}, watched = true) {
  const clock = new FakeClock();
  const events = new Events();
  const store = openStore();
  const gate = new Gate<string>();
  const stub = new Stub(
    {
      async large(exchange) {
        exchange.notify(logMessage("hi"));
        await flush();
        return text("x".repeat(3_900_000));
      },
      async burst(exchange) {
        exchange.notify(logMessage(0));
        const said = await gate.promise;
        for (let n = 1; n <= 400; n++) exchange.notify(logMessage(n));
        return text(said);
      },
      async shout(exchange) {
        exchange.notify(logMessage("x".repeat(2 * MIB)));
        await flush();
        return text("done");
      },
    },
    {},
    ["notifications/tools/list_changed"],
  );
  stub.noting = watched;
  const handler = createMcpHandler(stub, {
    authenticate: byToken,
    clock,
    store,
    onEvent: watched ? events.onEvent : undefined,
    ...options,
  });
  const log = () => {
    const { log } = store.backplane();
    assert.ok(log instanceof MemoryEventLog);
    return log;
  };
  return { clock, events, store, gate, stub, handler, log };
}

/** Calls the tool with the long answer in a session of its own, and reads it. */
async function callLarge(handler: ReturnType<typeof endpoint>["handler"], who: string) {
  const peer = await initialize(handler, { headers: as(who) });
  const body = await (await peer.call(1, "large")).text();
  const id = /^id: ([\w-]+\.1)$/m.exec(body)?.[1];
  assert.ok(id !== undefined && body.length > 3_900_000);
  return { peer, id };
}

/** Whether a client that has the first event still gets the answer. */
async function isAnswered({ peer, id }: { readonly peer: Peer; readonly id: string }) {
  const response = await peer.get(id);
  const frames = peer.frames(response);
  await frames.next();
  const frame = await frames.messageFrame().catch(() => undefined);
  await frames.cancel();
  return frame?.message !== undefined && "result" in frame.message;
}

describe("event memory: shares", () => {
  test(
    "[STR-14] 60 sessions of one answer of 3.9 MB each keep a principal's share, and nobody else's",
    LONG,
    async () => {
      const { handler, log, store } = endpoint({}, false);
      const bob = await callLarge(handler, "bob");
      let last: Awaited<ReturnType<typeof callLarge>> | undefined;
      const grown = await growthBy(async () => {
        for (let i = 0; i < 60; i++) last = await callLarge(handler, "mallory");
      }, 64 * MIB);
      assert.ok(grown < 64 * MIB, `${grown} bytes more`);
      assert.ok(log().bytes < 20 * MIB, `${log().bytes} bytes are kept`);
      assert.equal(await isAnswered(bob), true);
      assert.equal(last !== undefined && await isAnswered(last), true);
      for (const id of [...await store.backplane().sessions.ids()]) await handler.sessions.end(id);
      assert.equal(log().bytes, 0);
      await handler.close();
    },
  );

  test("[STR-14] limits.totalEventBytes holds for all principals together", LONG, async () => {
    const { handler, log } = endpoint({ limits: { totalEventBytes: 20 * MIB } }, false);
    for (let i = 0; i < 12; i++) await callLarge(handler, `user${i}`);
    assert.ok(log().bytes <= 20 * MIB);
    assert.ok(log().bytes > 10 * MIB, "what fits is kept");
    await handler.close();
  });

  test(
    "[STR-14] without authenticate everybody is one principal, whose share is all",
    LONG,
    async () => {
      const { handler, log } = endpoint({
        authenticate: undefined,
        limits: { totalEventBytes: 20 * MIB },
      }, false);
      for (let i = 0; i < 8; i++) await callLarge(handler, "anybody");
      assert.ok(log().bytes > 15 * MIB && log().bytes <= 20 * MIB, `${log().bytes} bytes are kept`);
      await handler.close();
    },
  );

  test("[STR-14] the limits are checked", () => {
    for (const value of [0, -1, 1.5]) {
      for (const name of ["totalEventBytes", "eventBytesPerPrincipal"]) {
        assert.throws(
          () => createMcpHandler(new Stub(), { limits: { [name]: value } }),
          RangeError,
        );
      }
    }
  });

  test(
    "[STR-14] an event over limits.eventBytes reaches the call's own client, as does the rest",
    LONG,
    async () => {
      const { handler } = endpoint();
      const peer = await initialize(handler, { headers: as("ann") });
      const messages = await peer.frames(await peer.call(1, "shout")).messages();
      assert.deepEqual(
        messages.map((message) => String(logData(message) ?? textOf(message.result)).length),
        [
          2 * MIB,
          4,
        ],
      );
      await handler.close();
    },
  );
});

describe("event memory: a client that lags behind", () => {
  const BURST = Array.from({ length: 256 }, (_, i) => i + 145);
  const HINT = "notifications/tools/list_changed";

  /** Reads the first event of a call that then says more than is kept, and lets go of it. */
  async function lag(world: ReturnType<typeof endpoint>, ready?: (peer: Peer) => Promise<unknown>) {
    const peer = await initialize(world.handler, { headers: as("ann") });
    await ready?.(peer);
    const frames = peer.frames(await peer.call(1, "burst"));
    const prime = (await frames.next())?.id;
    assert.equal(logData((await frames.next())?.message), 0);
    await frames.cancel();
    return { peer, prime: String(prime) };
  }

  /** Lets a session get more than it may keep. */
  async function flood({ handler }: ReturnType<typeof endpoint>, peer: Peer) {
    for (let i = 0; i < 400; i++) await handler.notify(String(peer.sessionId), logMessage("flood"));
  }

  function told({ events }: ReturnType<typeof endpoint>) {
    return events.of("resume-failed").map(({ reason }) => reason);
  }

  test("[STR-4, STR-7] gets its answer, and what is left before it, when the call has ended", async () => {
    const world = endpoint();
    const { peer, prime } = await lag(world);
    world.gate.open("done");
    await flush();
    const messages = await (await peer.listen(prime)).messages();
    assert.deepEqual(messages.map((message) => logData(message) ?? textOf(message.result)), [
      ...BURST,
      "done",
    ]);
    assert.deepEqual(told(world), ["gap"]);
    await world.handler.close();
  });

  test("[STR-4, STR-7] gets its answer alone when later events took the place of all the others", async () => {
    const world = endpoint({ limits: { eventBytes: 10_000 } });
    const { peer, prime } = await lag(world);
    world.gate.open("x".repeat(50_000));
    await flush();
    await flood(world, peer);
    const messages = await (await peer.listen(prime)).messages();
    assert.deepEqual(messages.map(({ result }) => String(textOf(result)).length), [50_000]);
    assert.deepEqual(told(world), ["gap"]);
    await world.handler.close();
  });

  test("[STR-4, STR-7] gets its answer on the GET stream that opens instead while the call runs", async () => {
    const world = endpoint();
    const { peer, prime } = await lag(world);
    await flood(world, peer);
    const stream = await peer.listen(prime);
    // Both streams have lost events.
    assert.deepEqual(told(world), ["gap", "gap"]);
    let message = await stream.message();
    while (message?.method !== HINT) message = await stream.message();
    world.gate.open("done");
    const frame = await stream.messageFrame();
    assert.equal(textOf(frame?.message?.result), "done");
    assert.equal(frame?.id, undefined, "the client resumes the GET stream");
    // It is sent once, and the call's stream counts as delivered.
    await world.handler.notify(String(peer.sessionId), logMessage("next"));
    assert.equal(logData(await stream.message()), "next");
    await world.clock.advance(60_000);
    await stream.cancel();
    assert.equal(world.log().read(String(peer.sessionId), prime.split(".")[0] ?? "", 0), undefined);
    await world.handler.close();
  });

  test("[STR-4, STR-7] gets its answer on the GET stream that it opens next, if that one broke", async () => {
    const world = endpoint();
    const { peer, prime } = await lag(world);
    await flood(world, peer);
    const broken = await peer.listen(prime);
    await broken.cancel();
    world.gate.open("done");
    await flush();
    const stream = await peer.listen();
    let message = await stream.message();
    while (message !== undefined && !("result" in message)) message = await stream.message();
    assert.equal(textOf(message?.result), "done");
    await stream.cancel();
    await world.handler.close();
  });

  test("[STR-4, STR-7] continues the call's stream while the call runs, if it reads the GET stream too", async () => {
    const world = endpoint();
    let server: Awaited<ReturnType<Peer["listen"]>> | undefined;
    const { peer, prime } = await lag(world, async (peer) => server = await peer.listen());
    for (let i = 0; i < 400; i++) {
      await world.handler.notify(String(peer.sessionId), logMessage("flood"));
      await server?.messageFrame();
    }
    const resumed = await peer.listen(prime);
    assert.deepEqual(told(world), ["gap"]);
    world.gate.open("done");
    const messages = await resumed.messages();
    assert.equal(textOf(messages.at(-1)?.result), "done");
    await server?.cancel();
    await world.handler.close();
  });

  test("[STR-4, STR-7, CLU-1] gets its answer at another node than the one that runs the call", async () => {
    const world = endpoint();
    const other = createMcpHandler(new Stub(), {
      authenticate: byToken,
      clock: world.clock,
      store: world.store,
    });
    const { peer, prime } = await lag(world);
    await flood(world, peer);
    const there = peer.with({ fetch: other });
    const stream = there.frames(await there.get(prime));
    world.gate.open("done");
    let message = await stream.message();
    while (message !== undefined && !("result" in message)) message = await stream.message();
    assert.equal(textOf(message?.result), "done");
    await stream.cancel();
    await Promise.all([world.handler.close(), other.close()]);
  });

  test("[STR-7] a call that is cancelled leaves nothing to wait for", async () => {
    const world = endpoint();
    const { peer, prime } = await lag(world);
    await flood(world, peer);
    const stream = await peer.listen(prime);
    await peer.cancel(1);
    await world.handler.notify(String(peer.sessionId), logMessage("end"));
    const seen: string[] = [];
    for (let message = await stream.message(); message; message = await stream.message()) {
      assert.ok(!("result" in message) && !("error" in message));
      seen.push(String(logData(message)));
      if (seen.at(-1) === "end") break;
    }
    await stream.cancel();
    await world.handler.close();
  });
});
