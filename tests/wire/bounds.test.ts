import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { gateway, local } from "../../src/gateway/mod.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { assertServerMessage } from "../support/schema.ts";
import {
  accepted,
  as,
  BOTH,
  byToken,
  Events,
  type Frame,
  Gate,
  initialize,
  logData,
  logMessage,
  openStore,
  Peer,
  refused,
  Stub,
  text,
  textOf,
  URL_2025,
} from "../support/wire.ts";
import { growthBy, memoryInUse } from "./memory.ts";

const MIB = 1024 * 1024;
const LONG = { timeout: 60_000 };
const NOTHING = { sessions: 1, streams: 0, requests: 0, questions: 0, listens: 0 };
/** What may be kept for one session: the log, what a connection buffers, and room for the runtime. */
const BOUND = 8 * MIB;

/** The number of a message of 100 KB. */
function large(n: number): { method: string; params: JsonObject } {
  return logMessage(`${n} ${"x".repeat(100_000)}`);
}

function numberOf(frame: Frame | undefined): number {
  return Number.parseInt(String(logData(frame?.message)));
}

/** A handler that is watched, or one of which a test notes nothing, so that memory can be measured. */
function endpoint(options: McpHandlerOptions = {}, watched = true) {
  const clock = new FakeClock();
  const events = new Events();
  const store = openStore();
  const gate = new Gate<string>();
  const stub = new Stub({
    hello: () => text("Hello"),
    async shout(exchange) {
      for (let n = 1; n <= 500; n++) {
        exchange.notify(large(n));
        if (n % 50 === 0) await flush();
      }
      return text(await gate.promise);
    },
    async chat(exchange) {
      exchange.notify(logMessage("hi"));
      await Promise.resolve();
      return text("bye");
    },
  });
  stub.noting = watched;
  const onEvent = watched ? events.onEvent : undefined;
  const handler = createMcpHandler(stub, { clock, store, onEvent, ...options });
  return { clock, events, store, stub, gate, handler };
}

/** Waits until a tool has had its say. */
async function turns(count = 100): Promise<void> {
  for (let i = 0; i < count; i++) await flush();
}

describe("bounds: readers that don't read", () => {
  test(
    "[STR-10] 500 × 100 KB to a POST stream that nobody reads are bounded; it closes, the client comes back",
    LONG,
    async () => {
      const { handler, events, store, gate } = endpoint();
      const peer = await initialize(handler);
      const before = await memoryInUse();
      const frames = peer.frames(await peer.call(1, "shout"));
      await turns();
      const grown = await memoryInUse() - before;
      assert.ok(grown < BOUND, `${grown} bytes more`);
      const prime = await frames.next();
      const stream = String(prime?.id).split(".")[0] ?? "";
      const slice = await store.backplane().log.read(String(peer.sessionId), stream, 0);
      const kept = slice?.events.reduce((sum, { data }) => sum + data.length, 0);
      assert.ok(kept !== undefined && kept <= MIB, `${kept} bytes are kept`);
      assert.equal(slice?.last, 500);
      // What it reads is in order and without a gap, until it closes and tells to come back.
      const rest = await frames.rest();
      const numbers = rest.slice(0, -1).map(numberOf);
      assert.deepEqual(numbers, numbers.map((_, i) => i + 1));
      assert.ok(numbers.length >= 1 && numbers.length < 10, `${numbers.length} messages`);
      assert.equal(rest.at(-1)?.retry, 1_000);
      assert.deepEqual(events.of("stream-closed").map(({ reason }) => reason), ["slow"]);
      assert.deepEqual(handler.stats(), { ...NOTHING, requests: 1 }, "the call goes on");
      // Its cursor fell off by now; what is still kept is read from its beginning.
      const back = await peer.listen(rest.at(-2)?.id);
      assert.deepEqual(events.of("resume-failed").map(({ reason }) => reason), ["gap"]);
      await back.cancel();
      const oldest = slice?.events[0]?.n ?? 0;
      const resumed = await peer.listen(`${stream}.${oldest}`);
      for (let n = oldest + 1; n <= 500; n++) {
        assert.equal(numberOf(await resumed.messageFrame()), n);
      }
      gate.open("done");
      assert.equal(textOf((await resumed.message())?.result), "done");
      assert.equal(await resumed.next(), undefined);
      assert.deepEqual(handler.stats(), NOTHING);
      await handler.close();
    },
  );

  test(
    "[STR-10] 500 × 100 KB to a GET stream that nobody reads are bounded; it closes, the client comes back",
    LONG,
    async () => {
      const { handler, events } = endpoint();
      const peer = await initialize(handler);
      const id = String(peer.sessionId);
      const frames = await peer.listen();
      const before = await memoryInUse();
      for (let n = 1; n <= 500; n++) assert.equal(await handler.notify(id, large(n)), true);
      const grown = await memoryInUse() - before;
      assert.ok(grown < BOUND, `${grown} bytes more`);
      const all = await frames.rest();
      const rest = all.slice(1);
      const numbers = rest.slice(0, -1).map(numberOf);
      assert.deepEqual(numbers, numbers.map((_, i) => i + 1));
      assert.ok(numbers.length >= 1 && numbers.length < 10, `${numbers.length} messages`);
      assert.equal(rest.at(-1)?.retry, 1_000);
      assert.deepEqual(events.of("stream-closed").map(({ reason }) => reason), ["slow"]);
      assert.deepEqual(handler.stats(), NOTHING);
      // A client that comes back with its cursor is told that there is a gap; it misses nothing new.
      const back = await peer.listen(rest.at(-2)?.id);
      assert.deepEqual(events.of("resume-failed").map(({ reason }) => reason).slice(0, 1), ["gap"]);
      await handler.notify(id, logMessage("new"));
      for (let frame = await back.messageFrame(); logData(frame?.message) !== "new";) {
        assert.ok(frame);
        frame = await back.messageFrame();
      }
      await handler.close();
    },
  );

  test(
    "[STR-10, STR-7] 500 × 100 KB for a client that never comes are bounded, ready or not",
    LONG,
    async () => {
      for (const ready of [true, false]) {
        const { handler } = endpoint();
        const peer = await initialize(handler, { ready });
        const before = await memoryInUse();
        for (let n = 1; n <= 500; n++) await handler.notify(String(peer.sessionId), large(n));
        const grown = await memoryInUse() - before;
        assert.ok(grown < BOUND, `${grown} bytes more`);
        await handler.close();
      }
    },
  );

  test(
    "[STR-10] without sessions a stream that nobody reads is closed, and the call is answered to nobody",
    LONG,
    async () => {
      const { handler, gate } = endpoint({ sessions: false });
      const peer = new Peer(handler);
      const before = await memoryInUse();
      const frames = peer.frames(await peer.call(1, "shout"));
      await turns();
      const grown = await memoryInUse() - before;
      assert.ok(grown < BOUND, `${grown} bytes more`);
      assert.equal(handler.stats().streams, 0);
      const numbers = (await frames.rest()).map(numberOf);
      assert.deepEqual(numbers, numbers.map((_, i) => i + 1));
      assert.ok(numbers.length < 20);
      gate.open("done");
      await turns(2);
      assert.deepEqual(handler.stats(), { ...NOTHING, sessions: 0 });
      await handler.close();
    },
  );

  test(
    "[STR-10] what a reader has no room for isn't handed over, so that it is there when it comes back",
    LONG,
    async () => {
      const { handler } = endpoint();
      const peer = await initialize(handler);
      for (let n = 1; n <= 10; n++) await handler.notify(String(peer.sessionId), large(n));
      const unread = await peer.listen();
      await flush();
      await unread.cancel();
      const again = await peer.listen();
      const first = numberOf(await again.messageFrame());
      assert.ok(first <= 3, `begins with ${first}`);
      for (let n = first + 1; n <= 10; n++) assert.equal(numberOf(await again.messageFrame()), n);
      await handler.close();
    },
  );

  test("[STR-10] a reader that is slow but reads loses nothing", LONG, async () => {
    const { handler, events } = endpoint();
    const peer = await initialize(handler);
    const id = String(peer.sessionId);
    const frames = await peer.listen();
    for (let n = 1; n <= 300; n++) {
      await handler.notify(id, large(n));
      if (n > 5) assert.equal(numberOf(await frames.messageFrame()), n - 5);
    }
    assert.deepEqual(events.of("stream-closed"), []);
    await handler.close();
  });
});

describe("bounds: clients that leave things behind", () => {
  test(
    "[SES-5] 20,000 initializes of one principal that ends nothing don't lock another out",
    LONG,
    async () => {
      const { handler, store } = endpoint({ authenticate: byToken }, false);
      const alice = await initialize(handler, { headers: as("alice") });
      const stream = await alice.listen();
      const idle = await initialize(handler, { headers: as("bob") });
      const greedy = new Peer(handler, { headers: as("mallory") });
      let before = 0;
      for (let i = 0; i < 20_000; i++) {
        const response = await greedy.post(greedy.initializeRequest());
        if (i % 500 === 0) {
          assert.equal(response.status, 200);
          assert.equal(textOf(await alice.result(await alice.call(i, "hello"))), "Hello");
          await handler.notify(String(alice.sessionId), logMessage(i));
          assert.equal(logData(await stream.message()), i);
        }
        await response.body?.cancel();
        if (i === 5_000) before = await memoryInUse();
      }
      const grown = await memoryInUse() - before;
      assert.ok(grown < BOUND, `${grown} bytes more`);
      assert.equal(handler.stats().sessions, 1_002);
      assert.equal(textOf(await idle.result(await idle.call(1, "hello"))), "Hello");
      const left = [...await store.backplane().sessions.ids()];
      assert.equal(left.length, 1_002);
      await handler.close();
    },
  );

  test("[STR-7, CAN-1] 5,000 JSON calls leave nothing", LONG, async () => {
    const { handler, clock, store } = endpoint({}, false);
    const peer = await initialize(handler);
    const call = async (i: number) => {
      const response = await peer.call(i % 10, "hello");
      assert.equal(response.headers.get("content-type"), "application/json");
      await response.text();
    };
    for (let i = 0; i < 1_000; i++) await call(i);
    const before = await memoryInUse();
    const pending = clock.pending;
    for (let i = 0; i < 5_000; i++) await call(i);
    const grown = await memoryInUse() - before;
    assert.ok(grown < 4 * MIB, `${grown} bytes more`);
    assert.deepEqual(handler.stats(), NOTHING);
    assert.equal(clock.pending, pending);
    assert.equal(await store.backplane().log.read(String(peer.sessionId), "s", 0), undefined);
    await handler.close();
  });

  test(
    "[STR-7, STR-11] 2,000 streams that are read, left or never read leave what the log may keep",
    LONG,
    async () => {
      const { handler, clock } = endpoint({}, false);
      const peer = await initialize(handler);
      const before = await memoryInUse();
      for (let i = 0; i < 2_000; i++) {
        const frames = peer.frames(await peer.call(i % 10, "chat"));
        if (i % 3 === 0) await frames.rest();
        if (i % 3 === 1) await frames.cancel();
        if (i % 3 === 2) await frames.next();
      }
      await flush();
      assert.equal(handler.stats().streams, 0);
      assert.equal(handler.stats().requests, 0);
      await clock.advance(60_000);
      const grown = await memoryInUse() - before;
      assert.ok(grown < BOUND, `${grown} bytes more`);
      await handler.close();
    },
  );

  test("[SES-1] 2,000 sessions that begin and end leave nothing", LONG, async () => {
    const { handler, clock } = endpoint({}, false);
    const cycle = async () => {
      const peer = await initialize(handler);
      const stream = await peer.listen();
      await handler.notify(String(peer.sessionId), logMessage("x".repeat(1_000)));
      await peer.frames(await peer.call(1, "chat")).rest();
      await peer.delete();
      await stream.rest();
    };
    for (let i = 0; i < 500; i++) await cycle();
    const grown = await growthBy(async () => {
      for (let i = 0; i < 2_000; i++) await cycle();
      await clock.advance(120_000);
    }, BOUND);
    assert.ok(grown < BOUND, `${grown} bytes more`);
    assert.deepEqual(handler.stats(), { ...NOTHING, sessions: 0 });
    await handler.close();
  });

  test("[ASK-1, ASK-3] questions that nobody answers are bounded in each session", async () => {
    const stub = new Stub({
      async nosy(exchange) {
        const asked = Array.from({ length: 150 }, () => exchange.ask("roots/list", {}));
        const outcomes = await Promise.allSettled(asked);
        const refused = outcomes.filter(({ status }) => status === "rejected");
        return text(`${refused.length}`);
      },
    });
    const clock = new FakeClock();
    const handler = createMcpHandler(stub, { clock });
    const peer = await initialize(handler, { capabilities: { roots: {} } });
    const frames = peer.frames(await peer.call(1, "nosy"));
    await frames.message();
    assert.equal(handler.stats().questions, 100);
    await clock.advance(300_000);
    assert.equal(textOf((await frames.messages()).at(-1)?.result), "150");
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[SRV-5] a session has at most 100 subscriptions, which go with it", async () => {
    const server = new McpServer({ name: "s", version: "1.0.0" });
    server.registerResource("r", "test://{n}", {}, (uri) => uri.href);
    const store = openStore();
    const handler = createMcpHandler(server, { store });
    const peer = await initialize(handler);
    for (let n = 0; n < 100; n++) {
      await peer.result(await peer.request(n, "resources/subscribe", { uri: `test://${n}` }));
    }
    await peer.result(await peer.request(0, "resources/subscribe", { uri: "test://0" }));
    const full = await peer.json(await peer.request(0, "resources/subscribe", { uri: "test://x" }));
    assert.ok(full.error);
    const other = await initialize(handler);
    await other.result(await other.request(0, "resources/subscribe", { uri: "test://x" }));
    await peer.delete();
    const { sessions } = store.backplane();
    assert.deepEqual([...await sessions.subscribers("test://0")], []);
    assert.deepEqual([...await sessions.subscribers("test://x")], [other.sessionId]);
    await handler.close();
  });
});

describe("bounds: the state of a session", () => {
  /** How many characters a session may keep under the key `k`, and what happens to one more. */
  async function check(options: McpHandlerOptions, most: number) {
    const events = new Events();
    const server = new McpServer({ name: "keeper", version: "1.0.0" });
    server.registerTool(
      "keep",
      { inputSchema: z.object({ length: z.number() }) },
      async (args, ctx) => {
        await ctx.session?.state.set("k", "x".repeat(args.length));
        return `${String(await ctx.session?.state.get("k")).length}`;
      },
    );
    const handler = createMcpHandler(server, { onEvent: events.onEvent, ...options });
    const peer = await initialize(handler);
    const keep = async (length: number) =>
      await peer.result(await peer.call(1, "keep", { length }));
    assert.equal(textOf(await keep(most)), `${most}`);
    assert.equal((await keep(most + 1)).isError, true);
    const [error] = events.of("error");
    assert.ok(error?.error instanceof RangeError);
    assert.equal(error.error.message, `Keep less session state: at most ${most + 3} bytes`);
    assert.equal(textOf(await keep(most - 1)), `${most - 1}`);
    await handler.close();
  }

  test("[SES-12] limits.stateBytes bounds all keys and values together, 64 KiB without it", async () => {
    await check({}, 65_536 - 3);
    await check({ limits: { stateBytes: 100 } }, 97);
    for (const wrong of [0.5, -1, NaN]) {
      const make = () => createMcpHandler(new Stub({}), { limits: { stateBytes: wrong } });
      assert.throws(make, { name: "RangeError", message: /"limits\.stateBytes"/ });
    }
  });

  test("[SES-12] a server behind a gateway in the same process has 64 KiB as well", async () => {
    const server = new McpServer({ name: "keeper", version: "1.0.0" });
    server.registerTool(
      "keep",
      { inputSchema: z.object({ length: z.number() }) },
      async (args, ctx) => {
        await ctx.session?.state.set("k", "x".repeat(args.length));
        await ctx.session?.state.set("gone", 1);
        await ctx.session?.state.set("gone", undefined);
        return JSON.stringify([await ctx.session?.state.get("gone")]);
      },
    );
    const gw = gateway({ upstreams: { up: local(server) } });
    const handler = createMcpHandler(gw);
    const peer = await initialize(handler);
    const keep = async (length: number) =>
      await peer.result(await peer.call(1, "up__keep", { length }));
    assert.equal(textOf(await keep(65_500)), "[null]");
    assert.equal((await keep(65_536)).isError, true);
    await handler.close();
    await gw.close();
  });
});

describe("bounds: bodies", () => {
  /** A request of exactly so many bytes. */
  function ofSize(bytes: number): string {
    const shell = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping", params: { a: "" } });
    return shell.replace('"a":""', `"a":"${"x".repeat(bytes - shell.length)}"`);
  }

  /** A body in pieces, whose length nobody declares. */
  function chunked(body: string, size: number): ReadableStream<Uint8Array> {
    const bytes = new TextEncoder().encode(body);
    let at = 0;
    return new ReadableStream({
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.subarray(at, at += size));
      },
    });
  }

  const ways: Readonly<Record<string, (body: string) => [BodyInit, Record<string, string>]>> = {
    "declared": (body) => [body, { "content-length": String(body.length) }],
    "chunked": (body) => [chunked(body, 65_536), {}],
    "chunked in odd pieces": (body) => [chunked(body, 10_007), {}],
    "declared smaller than it is": (body) => [body, { "content-length": "10" }],
  };
  for (const [way, cut] of Object.entries(ways)) {
    for (
      const [name, limit, limits] of [["1 MiB", MIB, {}], ["limits.bodyBytes", 500, {
        bodyBytes: 500,
      }]] as const
    ) {
      test(`[GATE-8] a ${way} body of exactly ${name} passes, a byte more → 413`, async () => {
        const { handler, stub } = endpoint({ limits });
        const peer = await initialize(handler);
        const post = async (size: number) => {
          const [body, headers] = cut(ofSize(size));
          const all = { "content-type": "application/json", "accept": BOTH, ...headers };
          return await peer.send("POST", all, body);
        };
        await peer.result(await post(limit));
        assert.equal(stub.exchanges.at(-1)?.method, "ping");
        const count = stub.exchanges.length;
        const { message } = await refused(await post(limit + 1), 413, -32000);
        assert.match(message, /limits\.bodyBytes/);
        await refused(await post(limit * 3), 413, -32000);
        assert.equal(stub.exchanges.length, count);
        await handler.close();
      });
    }
  }

  test("[GATE-8] a declared length over the limit is refused unread", async () => {
    const { handler } = endpoint();
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: () => {
        pulled++;
      },
    }, { highWaterMark: 0 });
    const headers = { "content-type": "application/json", "content-length": `${MIB + 1}` };
    const init = { method: "POST", headers, body, duplex: "half" };
    await refused(await handler(new Request(URL_2025, init)), 413, -32000);
    assert.equal(pulled, 0);
    await handler.close();
  });

  test("[GATE-8, END-1] a body that is on its way at the end gets an answer all the same", async () => {
    const { handler, clock } = endpoint({ sessions: false, limits: { bodyMs: 1_000 } });
    let cancelled = 0;
    const body = new ReadableStream<Uint8Array>({ cancel: () => void cancelled++ });
    const headers = { "content-type": "application/json" };
    const answered = handler(
      new Request(URL_2025, { method: "POST", headers, body, duplex: "half" } as RequestInit),
    );
    await clock.advance(100);
    await handler.close();
    await clock.advance(2_000);
    assert.equal((await answered).status, 408);
    assert.equal(cancelled, 1);
    assert.equal(clock.pending, 0);
  });

  for (const way of ["declared", "large declared", "chunked"]) {
    test(`[GATE-8] a ${way} body that isn't whole in time → 408, and what comes later is nothing`, async () => {
      const { handler, clock, events, stub } = endpoint({
        sessions: false,
        limits: { bodyMs: 1_000 },
      });
      let cancelled = 0;
      const slow = (text: string) => {
        let send: ReadableStreamDefaultController<Uint8Array> | undefined;
        const body = new ReadableStream<Uint8Array>({
          start: (controller) => {
            send = controller;
          },
          cancel: () => {
            cancelled++;
            send = undefined;
          },
        });
        const padded = way === "large declared" ? text.padEnd(100_000) : text;
        const bytes = new TextEncoder().encode(padded);
        send?.enqueue(bytes.subarray(0, 10));
        const headers = {
          "content-type": "application/json",
          ...way !== "chunked" && { "content-length": `${bytes.length}` },
        };
        const init = { method: "POST", headers, body, duplex: "half" };
        const answered = handler(new Request(URL_2025, init));
        const finish = () => {
          send?.enqueue(bytes.subarray(10));
          send?.close();
        };
        return { answered, finish };
      };
      const ping = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });
      const [late, inTime] = [slow(ping), slow(ping)];
      await clock.advance(999);
      inTime.finish();
      assert.equal((await inTime.answered).status, 200);
      await clock.advance(1_001);
      const response = await late.answered;
      // The client would go on sending, and the host reading.
      assert.equal(response.headers.get("connection"), "close");
      await refused(response, 408, -32000);
      assert.deepEqual(events.refusals, ["body-time"]);
      // What is read as text can't be cancelled.
      assert.equal(cancelled, way === "declared" ? 0 : 1);
      const count = stub.exchanges.length;
      late.finish();
      await flush();
      assert.equal(stub.exchanges.length, count);
      await handler.close();
      assert.equal(clock.pending, 0);
    });
  }

  test("[STR-16] a body counts until its sender is known, not while it is answered", async () => {
    const known = new Gate<void>();
    const events = new Events();
    const running = new Gate<string>();
    const tools = new Stub({ wait: async () => text(await running.promise) });
    const handler = createMcpHandler(tools, {
      onEvent: events.onEvent,
      sessions: false,
      limits: { bodyBytes: 50_000, totalBodyBytes: 100_000 },
      authenticate: async ({ headers }) => {
        if (headers.get("x-known") === null) await known.promise;
        return { id: "ada" };
      },
    });
    const send = (headers: Record<string, string>) => {
      const params = { name: "wait", arguments: { pad: "x".repeat(40_000) } };
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
      return handler(
        new Request(URL_2025, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            "content-length": `${body.length}`,
            ...headers,
          },
          body,
        }),
      );
    };
    // What is answered counts no more.
    const answered: Promise<Response>[] = [];
    for (let n = 0; n < 5; n++) {
      answered.push(send({ "x-known": "yes" }));
      await flush();
    }
    assert.equal(handler.stats().requests, 5);
    const waiting = [send({}), send({})];
    await flush();
    await refused(await send({ "x-known": "yes" }), 503, -32000);
    assert.deepEqual(events.refusals, ["body-budget"]);
    known.open();
    await flush();
    assert.equal(handler.stats().requests, 7);
    answered.push(...waiting, send({ "x-known": "yes" }));
    await flush();
    running.open("done");
    for (const response of await Promise.all(answered)) {
      assert.equal(textOf((await response.json()).result), "done");
    }
    await handler.close();
  });

  test("[GATE-8] a chunked body without end is cut off at the limit", async () => {
    const { handler } = endpoint();
    let sent = 0;
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 65_536;
        controller.enqueue(new Uint8Array(65_536).fill(0x20));
      },
      cancel() {
        cancelled = true;
      },
    });
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", headers, body, duplex: "half" };
    await refused(await handler(new Request(URL_2025, init)), 413, -32000);
    await flush();
    assert.ok(sent <= 2 * MIB, `${sent} bytes were read`);
    assert.equal(cancelled, true);
    await handler.close();
  });

  test("[SRV-2] a result over limits.resultBytes is a tool's error, exactly at it passes", async () => {
    const shell = JSON.stringify(text("")).length;
    const stub = new Stub({
      sized: ({ params }) =>
        text("x".repeat(Number((params.arguments as JsonObject).size) - shell)),
    });
    for (const [limits, most] of [[{}, 4 * MIB], [{ resultBytes: 1_000 }, 1_000]] as const) {
      const handler = createMcpHandler(stub, { limits });
      const peer = await initialize(handler);
      const fits = await peer.result(await peer.call(1, "sized", { size: most }));
      assert.equal(fits.isError, undefined);
      const over = await peer.result(await peer.call(2, "sized", { size: most + 1 }));
      assert.equal(over.isError, true);
      await handler.close();
    }
  });
});

describe("bounds: garbage", () => {
  const METHODS = [
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "server/discover",
    "subscriptions/listen",
    "roots/list",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "__proto__",
    "constructor",
    "toString",
  ];

  /** A server with one of everything. */
  function everything(): McpServer {
    const server = new McpServer({ name: "s", version: "1.0.0" });
    const inputSchema = { type: "object", properties: { a: { type: "number" } }, required: ["a"] };
    server.registerTool("tool", { inputSchema }, (args) => JSON.stringify(args));
    server.registerResource("r", "test://r", {}, () => "text");
    server.registerResource("t", "test://t/{a}/{b}", {}, (uri) => uri.href);
    server.registerPrompt("prompt", {}, () => "Hi");
    return server;
  }

  /** Values that look like what the server wants, and are not. */
  const name = fc.constantFrom("tool", "prompt", "test://r", "test://t/1/2", "__proto__", "", "x");
  const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), name, fc.string());
  const params = fc.oneof(
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
    {
      weight: 4,
      arbitrary: fc.record({
        name: value,
        arguments: fc.oneof(value, fc.record({ a: value })),
        uri: value,
        cursor: value,
        level: value,
        ref: fc.oneof(
          value,
          fc.record({ type: fc.constantFrom("ref/prompt", "ref/resource"), name, uri: name }),
        ),
        argument: fc.oneof(value, fc.record({ name: value, value })),
        context: value,
        requestId: value,
        protocolVersion: value,
        capabilities: value,
        clientInfo: value,
        _meta: fc.oneof(value, fc.record({ progressToken: value })),
      }, { requiredKeys: [] }),
    },
  );
  const message = fc.record({
    jsonrpc: fc.oneof({ weight: 9, arbitrary: fc.constant("2.0") }, {
      weight: 1,
      arbitrary: value,
    }),
    id: fc.oneof(fc.integer(), fc.string(), value),
    method: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...METHODS) },
      { weight: 1, arbitrary: value },
    ),
    params,
    result: value,
    error: value,
  }, { requiredKeys: ["jsonrpc"] }).map((object) => JSON.stringify(object));
  const request = fc.tuple(fc.oneof(fc.integer(), fc.string()), fc.constantFrom(...METHODS), params)
    .map(([id, method, params]) => JSON.stringify({ jsonrpc: "2.0", id, method, params }));
  const notification = fc.tuple(fc.constantFrom(...METHODS), params)
    .map(([method, params]) => JSON.stringify({ jsonrpc: "2.0", method, params }));
  const broken = fc.tuple(request, fc.nat(), fc.string()).map(([text, at, inserted]) => {
    const place = at % text.length;
    return text.slice(0, place) + inserted + text.slice(place + inserted.length);
  });
  const body: fc.Arbitrary<string | Uint8Array<ArrayBuffer>> = fc.oneof(
    request,
    message,
    notification,
    fc.array(fc.oneof(message, request, notification), { maxLength: 3 }).map((all) =>
      `[${all.join(",")}]`
    ),
    broken,
    fc.json(),
    fc.string(),
    fc.uint8Array({ maxLength: 50 }).map((bytes) => new Uint8Array(bytes)),
  );

  /** The method of a single request that any version knows. */
  function methodOf(sent: string): string | undefined {
    try {
      const { method }: { method?: unknown } = JSON.parse(sent) ?? {};
      return METHODS.slice(0, 13).find((known) => known === method);
    } catch {
      return undefined;
    }
  }

  const LEAKS =
    /\bat \S+[:(]|\.ts\b|\.js\b|file:|node_modules|\/src\/|TypeError|RangeError|SyntaxError|ReferenceError|undefined is not|Cannot read|is not a function|JSON\.parse|Unexpected token/;

  test(
    "[GATE-9, GATE-10, SRV-2] 10,000 bodies of garbage: no 5xx, nothing of the inside, nothing left",
    LONG,
    async () => {
      const events = new Events();
      const handler = createMcpHandler(everything(), {
        onEvent: events.onEvent,
        streams: { sseAfterMs: 3_600_000 },
      });
      const peers = [
        await initialize(handler),
        await initialize(handler, { version: "2025-03-26" }),
      ];
      const statuses = new Map<number, number>();
      await fc.assert(
        fc.asyncProperty(body, fc.boolean(), async (body, batches) => {
          const peer = peers[batches ? 1 : 0];
          assert.ok(peer);
          const headers = { "content-type": "application/json", "accept": BOTH };
          const response = await peer.send("POST", headers, body);
          statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
          const answer = await response.text();
          assert.ok(response.status < 500, `${response.status} ${answer}`);
          // What was sent may come back; what is looked for is what was not sent.
          const sent = typeof body === "string" ? body : "";
          const leak = LEAKS.exec(answer)?.[0];
          assert.ok(leak === undefined || sent.includes(leak), answer);
          if (response.status === 202) assert.equal(answer, "");
          else {
            const method = methodOf(sent);
            for (const message of [JSON.parse(answer)].flat()) {
              assertServerMessage(batches ? "2025-03-26" : "2025-11-25", message, method);
            }
          }
        }),
        { numRuns: 10_000 },
      );
      for (const status of [200, 202, 400]) {
        assert.ok((statuses.get(status) ?? 0) > 100, `${status}`);
      }
      assert.deepEqual(events.of("error").map(({ error }) => error), []);
      const { sessions: _, ...left } = handler.stats();
      assert.deepEqual(left, { streams: 0, requests: 0, questions: 0, listens: 0 });
      for (const peer of peers) await peer.result(await peer.request(1, "ping"));
      await handler.close();
    },
  );

  test("[SRV-2] an application's error crosses the wire as it is, anything else never", async () => {
    const secret = new Error("secret /srv/app.ts:1:2", { cause: "postgres://user:pw@db" });
    const stub = new Stub({
      own: () => {
        throw new McpError(4_711, "Own", { why: "because" }, { cause: secret });
      },
      broken: () => {
        throw secret;
      },
      odd: () => Promise.reject({ toString: () => "secret" }),
      nothing: () => Promise.resolve(undefined as unknown as JsonObject),
      circular: () => {
        const result: Record<string, unknown> = {};
        result.self = result;
        return result;
      },
      big: () => ({ n: 1n }),
    });
    const events = new Events();
    const handler = createMcpHandler(stub, { onEvent: events.onEvent });
    const peer = await initialize(handler);
    const own = await peer.json(await peer.call(1, "own"));
    assert.deepEqual(own.error, { code: 4_711, message: "Own", data: { why: "because" } });
    for (const name of ["broken", "odd", "nothing", "circular", "big"]) {
      const { error } = await peer.json(await peer.call(name, name));
      assert.deepEqual(error, { code: -32603, message: "Internal error" }, name);
    }
    assert.equal(events.of("error").length, 5);
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[GATE-10] bodies that never arrive whole are refused, not failures", async () => {
    const { handler, events } = endpoint();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.error(new Error("connection reset")),
    });
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", headers, body, duplex: "half" };
    await refused(await handler(new Request(URL_2025, init)), 400, -32600);
    assert.deepEqual(events.of("error"), []);
    await accepted(await (await initialize(handler)).post({ jsonrpc: "2.0", method: "a" }));
    await handler.close();
  });
});
