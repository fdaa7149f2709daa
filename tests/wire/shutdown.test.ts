import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, test } from "node:test";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import type { Store } from "../../src/cluster/types.ts";
import { FaultyStore } from "../faults/faulty_store.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { settle } from "../support/settle.ts";
import {
  Blocker,
  BOTH,
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

const JSON_ONLY = { accept: "application/json" };
const NOTHING = { sessions: 0, streams: 0, requests: 0, questions: 0, listens: 0 };

function endpoint(options: McpHandlerOptions = {}) {
  const clock = new FakeClock();
  const events = new Events();
  const blocker = new Blocker();
  const stub = new Stub({
    hello: () => text("Hello"),
    block: blocker.act,
    async chatty(exchange) {
      exchange.notify(logMessage("hi"));
      return await blocker.act(exchange);
    },
  }, {
    async "resources/subscribe"({ session, params }) {
      await session?.subscribe(String(params.uri));
      return {};
    },
  });
  const handler = createMcpHandler(stub, { clock, onEvent: events.onEvent, ...options });
  return { clock, events, blocker, stub, handler };
}

describe("END: close()", () => {
  test("[END-1] new sessions and requests → 503 with Retry-After, while what runs may finish", async () => {
    const { handler, blocker, clock } = endpoint();
    const peer = await initialize(handler, JSON_ONLY);
    const call = peer.call(1, "block");
    await blocker.running();
    const closed = handler.close({ graceMs: 10_000 });
    const late = new Peer(handler);
    const attempts = [
      [late.post(late.initializeRequest(7)), 7],
      [peer.request(8, "ping"), 8],
      [peer.call(9, "hello"), 9],
      [peer.get(), null],
      [peer.get("s.0"), null],
    ] as const;
    for (const [attempt, id] of attempts) {
      const response = await attempt;
      assert.ok(Number(response.headers.get("retry-after")) > 0);
      await refused(response, 503, -32000, id);
    }
    await clock.advance(9_999);
    assert.equal(await isPending(closed), true);
    assert.equal(blocker.reasons.length, 0);
    blocker.gate.open("finished in time");
    assert.equal(textOf(await peer.result(await call)), "finished in time");
    await soon(closed);
    assert.deepEqual(handler.stats(), NOTHING);
    assert.equal(clock.pending, 0);
  });

  test("[END-1] while it waits, a client can still cancel, answer and end its session", async () => {
    const { handler, blocker } = endpoint();
    const peer = await initialize(handler, JSON_ONLY);
    const other = await initialize(handler, JSON_ONLY);
    const calls = [peer.call(1, "block"), other.call(1, "block")];
    await blocker.running(2);
    const closed = handler.close({ graceMs: 10_000 });
    await peer.cancel(1);
    assert.equal((await soon(calls[0] ?? Promise.reject())).status, 202);
    assert.equal((await other.delete()).status, 204);
    await soon(closed);
    assert.deepEqual(blocker.reasons.map((reason) => (reason as { kind: string }).kind), [
      "cancelled",
      "session-ended",
    ]);
  });

  test("[END-1, CAN-7] at the deadline what still runs is cancelled, whatever handlers do", async () => {
    const { handler, blocker, clock, events } = endpoint();
    const json = await initialize(handler, JSON_ONLY);
    const sse = await initialize(handler);
    const call = json.call("j", "block");
    const stream = sse.frames(await sse.call("s", "chatty"));
    await blocker.running(2);
    const closed = handler.close({ graceMs: 2_000 });
    await clock.advance(1_999);
    assert.equal(await isPending(closed), true);
    await clock.advance(1);
    // The handlers ignore their signals.
    await soon(closed);
    const response = await soon(call);
    assert.ok(Number(response.headers.get("retry-after")) > 0);
    await refused(response, 503, -32000, "j");
    const frames = await stream.rest();
    const messages = frames.flatMap(({ message }) => message === undefined ? [] : [message]);
    assert.equal(logData(messages[0]), "hi");
    assert.equal((messages[1]?.error as { code: number }).code, -32000);
    assert.equal(messages[1]?.id, "s");
    assert.equal(frames.at(-1)?.retry, 1_000);
    assert.deepEqual(events.of("request-finished").slice(-2).map(({ outcome }) => outcome), [
      "shutdown",
      "shutdown",
    ]);
    assert.deepEqual(handler.stats(), NOTHING);
    await clock.advance(60_000);
    assert.equal(clock.pending, 0);
  });

  test("[END-1] the server's streams end at once, with retry, so that clients go elsewhere", async () => {
    const { handler, blocker, clock, events } = endpoint({ streams: { retryMs: 777 } });
    const peer = await initialize(handler, JSON_ONLY);
    const stream = await peer.listen();
    await stream.next();
    const call = peer.call(1, "block");
    await blocker.running();
    const closed = handler.close({ graceMs: 1_000 });
    const rest = await stream.rest();
    assert.equal(rest.at(-1)?.retry, 777);
    assert.deepEqual(events.of("stream-closed").map(({ reason }) => reason), ["shutdown"]);
    await clock.advance(1_000);
    await closed;
    assert.equal((await call).status, 503);
  });

  test("[END-1] the backend hears of every session's end once, and a failing backend is no matter", async () => {
    const { handler, stub, events } = endpoint();
    const peers = [];
    for (let i = 0; i < 5; i++) peers.push(await initialize(handler));
    const told: string[] = [];
    stub.sessionEnded = (id, reason) => {
      told.push(`${id} ${reason}`);
      throw new Error("The backend is gone");
    };
    await soon(handler.close());
    assert.deepEqual(
      told.toSorted(),
      peers.map(({ sessionId }) => `${sessionId} shutdown`).toSorted(),
    );
    assert.equal(events.of("error").length, 5);
    assert.deepEqual(handler.stats(), NOTHING);
  });

  test("[END-1] a backend that never answers holds up nothing", async () => {
    const { handler, stub } = endpoint();
    await initialize(handler);
    stub.sessionEnded = () => new Promise<void>(() => {});
    await soon(handler.close());
    const stuck = new Stub({}, { initialize: () => new Promise(() => {}) });
    const clock = new FakeClock();
    const other = createMcpHandler(stuck, { clock });
    const late = new Peer(other);
    const response = late.post(late.initializeRequest());
    while (other.stats().requests === 0) await flush();
    const closed = other.close({ graceMs: 100 });
    await clock.advance(100);
    await soon(closed);
    await refused(await soon(response), 503, -32000, 0);
    assert.deepEqual(other.stats(), NOTHING);
  });

  test("[END-1] an initialize that succeeds during the grace begins no session", async () => {
    const gate = new Gate();
    const stub = new Stub({}, {
      async initialize({ protocolVersion }) {
        await gate.promise;
        return { protocolVersion, capabilities: {}, serverInfo: { name: "s", version: "1" } };
      },
    });
    const handler = createMcpHandler(stub);
    const peer = new Peer(handler);
    const response = peer.post(peer.initializeRequest());
    while (handler.stats().requests === 0) await flush();
    const closed = handler.close({ graceMs: 1_000 });
    gate.open();
    assert.equal((await soon(response)).headers.get("mcp-session-id"), null);
    await soon(closed);
    assert.deepEqual(handler.stats(), NOTHING);
    assert.equal(stub.ended.length, 1);
  });

  test("[END-1] twice is fine, at once or later, and it is what await using does", async () => {
    const { handler, stub } = endpoint();
    await initialize(handler);
    const first = handler.close({ graceMs: 5 });
    const second = handler.close();
    await soon(Promise.all([first, second, handler[Symbol.asyncDispose]()]));
    await soon(handler.close({ graceMs: 60_000 }));
    assert.equal(stub.ended.length, 1);
    assert.equal(stub.host, undefined, "the dispatcher is let go");
  });

  test("[END-1] afterwards everything is refused, and the application's calls do nothing", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    await handler.close();
    await refused(await peer.request(1, "ping"), 503, -32000, 1);
    await refused(await peer.get(), 503, -32000);
    assert.equal(await handler.notify(String(peer.sessionId), logMessage(1)), false);
    assert.equal(await handler.sessions.end(String(peer.sessionId)), false);
    await assert.rejects(handler.sessions.open());
    assert.deepEqual(handler.stats(), NOTHING);
  });

  for (const shared of [false, true]) {
    test(`[END-1] what comes in the same moment leaves nothing open, ${shared ? "with" : "without"} a shared store`, async () => {
      for (let turns = 0; turns < 12; turns++) {
        const { handler } = endpoint(shared ? { store: memoryStore() } : {});
        const peer = await initialize(handler);
        const attempts = [peer.get(), peer.get("nowhere.1"), peer.call(1, "hello")];
        for (let i = 0; i < turns; i++) await Promise.resolve();
        const closed = handler.close({ graceMs: 0 });
        for (const response of await Promise.all(attempts)) {
          if (response.headers.get("content-type") !== "text/event-stream") continue;
          await peer.frames(response).rest();
        }
        // The grace is a timer of a clock that stands still: nothing runs, so nobody waits for it.
        await soon(closed);
        assert.equal(handler.stats().streams, 0, `after ${turns} turns`);
        assert.equal(handler.stats().requests, 0);
      }
    });
  }

  test("[END-1] sessions in a shared store outlive one of its handlers", async () => {
    const store = memoryStore();
    const first = endpoint({ store });
    const second = endpoint({ store });
    const peer = await initialize(first.handler);
    const stream = await peer.listen();
    await stream.next();
    await first.handler.close();
    assert.equal((await stream.rest()).at(-1)?.retry, 1_000);
    const moved = peer.with({ fetch: second.handler });
    await moved.result(await moved.request(1, "ping"));
    const again = await moved.listen("s.0");
    await second.handler.notify(String(peer.sessionId), logMessage("elsewhere"));
    assert.equal(logData(await again.message()), "elsewhere");
    assert.deepEqual(first.stub.ended, []);
    await second.handler.close();
  });
});

describe("END: leaving a shared store", () => {
  /** A handler whose store says when it is left, and stores responses when a gate opens. */
  function storing() {
    const steps: string[] = [];
    const stored = new Gate<void>();
    const inner = memoryStore();
    const store: Store = {
      ...inner,
      shared: true,
      open(settings) {
        const { log, nodes, ...others } = inner.open(settings);
        const leave = nodes.leave.bind(nodes);
        const written = () => stored.promise.then(() => void steps.push("stored"));
        return {
          ...others,
          log: Object.assign(log, { written }),
          nodes: Object.assign(nodes, {
            leave: (id: string) => {
              steps.push("left");
              return leave(id);
            },
          }),
        };
      },
    };
    const keys = { requests: { stateKeys: ["a secret of a test that is long enough for it"] } };
    return { ...endpoint({ store, ...keys }), steps, stored };
  }

  test("[END-1, ROL-2] a node leaves the others when the store has its responses", async () => {
    const { handler, steps, stored } = storing();
    await initialize(handler);
    const closed = handler.close({ graceMs: 10_000 });
    await settle();
    assert.equal(steps.length, 0);
    stored.open();
    await soon(closed);
    assert.deepEqual(steps.slice(0, 3), ["stored", "stored", "left"]);
  });

  test("[END-1] a store that never has them is left soon after the grace time", async () => {
    const { handler, clock, steps } = storing();
    await initialize(handler);
    const closed = handler.close({ graceMs: 1_000 });
    await clock.advance(1_399);
    assert.equal(steps.length, 0);
    await clock.advance(1);
    await soon(closed);
    assert.ok(steps.includes("left"));
  });
});

describe("END: what comes while close() waits", () => {
  /** A handler over a slow store, with a call that `close()` waits for. */
  async function closing() {
    const store = new FaultyStore();
    const world = endpoint({ store });
    const { handler, blocker } = world;
    const peer = await initialize(handler);
    const call = peer.call("running", "chatty");
    await blocker.running();
    const stream = peer.frames(await call);
    const first = await stream.messageFrame();
    return { ...world, store, peer, stream, first };
  }

  test("[END-1] a request whose session was being looked up is refused", async () => {
    const { handler, store, peer, stub, blocker } = await closing();
    store.fault = (name) => name === "sessions.use" ? "late" : undefined;
    const late = peer.call(7, "hello");
    await settle();
    const closed = handler.close({ graceMs: 10_000 });
    store.release();
    await refused(await late, 503, -32000, 7);
    assert.equal(stub.exchanges.filter(({ id }) => id === 7).length, 0);
    blocker.gate.open("done");
    await soon(closed);
  });

  test("[END-1] a stream that was being looked up in the log is not resumed", async () => {
    const { handler, store, peer, stream, first, events, blocker } = await closing();
    await stream.cancel();
    store.fault = (name) => name.startsWith("log.") ? "late" : undefined;
    const resumed = peer.get(first?.id);
    await settle();
    const closed = handler.close({ graceMs: 10_000 });
    store.fault = () => undefined;
    store.release();
    await refused(await resumed, 503, -32000);
    assert.deepEqual(events.of("stream-resumed"), []);
    blocker.gate.open("done");
    await soon(closed);
  });

  test("[END-1, GATE-10] a batch of requests is refused, messages without answers are not", async () => {
    const { handler, blocker, stub } = endpoint();
    const options = { ...JSON_ONLY, version: "2025-03-26" };
    const peer = await initialize(handler, options);
    const call = peer.call(1, "block");
    await blocker.running();
    const closed = handler.close({ graceMs: 10_000 });
    const ping = { jsonrpc: "2.0", id: 2, method: "ping" };
    const cancelled = {
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: 1 },
    };
    await refused(await peer.post([ping, cancelled]), 503, -32000);
    assert.ok(stub.exchanges.every(({ method }) => method !== "ping"));
    assert.equal(blocker.reasons.length, 0);
    assert.equal((await peer.post([cancelled])).status, 202);
    assert.equal((await soon(call)).status, 202);
    await soon(closed);
  });
});

describe("END: what is left after close()", () => {
  test("[END-1, END-2] no timer of a call that would have streamed", async () => {
    const { handler, blocker, clock } = endpoint();
    const peer = await initialize(handler);
    const call = peer.call(1, "block", {}, { accept: BOTH });
    await blocker.running();
    blocker.gate.open("done");
    await peer.result(await call);
    assert.ok(clock.pending > 0);
    await handler.close();
    assert.equal(clock.pending, 0);
  });

  test("[END-1, END-2] a dispatcher that goes on talking reaches nobody and begins no timer", async () => {
    const store = memoryStore();
    const [a, b] = [endpoint({ store }), endpoint({ store })];
    const peer = await initialize(b.handler);
    await peer.result(await peer.request(1, "resources/subscribe", { uri: "test://a" }));
    const stream = await peer.listen();
    const { host } = a.stub;
    host?.resourceUpdated("test://a");
    await a.handler.close({ graceMs: 0 });
    const before = a.clock.pending;
    host?.broadcast({ method: "notifications/tools/list_changed" });
    host?.resourceUpdated("test://b");
    assert.equal(a.clock.pending, before);
    await a.clock.advance(1_000);
    await b.handler.notify(String(peer.sessionId), logMessage("the first"));
    assert.equal(logData(await stream.message()), "the first");
    await b.handler.close();
  });
});

describe("END: a handler that is dropped", () => {
  test("[END-2] leaves no timer that keeps the process alive", { timeout: 30_000 }, async () => {
    const file = fileURLToPath(new URL("./dropped_handler.ts", import.meta.url));
    const args = "Deno" in globalThis ? ["run", "-A", "--no-check", file] : [file];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout?.on("data", (chunk) => output += String(chunk));
    const exit = new Promise((resolve) => child.on("close", resolve));
    try {
      assert.equal(await soon(exit, "the process to end", 20_000), 0);
      assert.deepEqual(JSON.parse(output), { sessions: 1, streams: 2, requests: 1, questions: 1 });
    } finally {
      child.kill();
    }
  });

  test("[END-2] without a session or a call no timer is pending at all", async () => {
    const { handler, clock } = endpoint();
    assert.equal(clock.pending, 0);
    const peer = await initialize(handler);
    const idle = clock.pending;
    await peer.result(await peer.call(1, "hello"));
    assert.equal(clock.pending, idle, "a call that is answered at once needs no timer");
    await peer.delete();
    await clock.advance(60_000);
    assert.equal(clock.pending, 0);
    await handler.close();
  });
});
