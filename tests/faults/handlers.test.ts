/**
 * Applications that throw, hang, ignore that they were stopped, speak when they are over, and return
 * what can't be sent: each in both eras, and each way a client may read the answer.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { Dispatcher, Exchange } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock } from "../support/clock.ts";
import { MODERN, ModernPeer } from "../support/modern.ts";
import {
  as,
  BOTH,
  byToken,
  Events,
  Frames,
  Gate,
  initialize,
  logMessage,
  Peer,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";
import { SECRET } from "./faulty_store.ts";
import {
  assertAnsweredOnce,
  assertEmpty,
  assertNothingInside,
  checkResponse,
  NOTHING,
  outcomeOf,
  quiet,
} from "./invariants.ts";

const JSON_ONLY = "application/json";
const SSE_ONLY = "text/event-stream";

/** A cycle. */
function cycle(): JsonObject {
  const object: Record<string, unknown> = { content: [] };
  object.self = object;
  return object;
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function trapped(): object {
  const fail = () => {
    throw new Error(SECRET);
  };
  return new Proxy({}, { get: fail, ownKeys: fail, getPrototypeOf: fail, has: fail });
}

function deep(levels: number): JsonObject {
  let object: JsonObject = {};
  for (let level = 0; level < levels; level++) object = { object };
  return { content: [], structuredContent: object };
}

/** What nobody should throw. */
const THROWN: Readonly<Record<string, () => unknown>> = {
  "an error": () => new Error(SECRET),
  "an error with a cause": () => new TypeError("x", { cause: new Error(SECRET) }),
  "an error whose message throws": () =>
    Object.defineProperty(new Error("x"), "message", {
      get() {
        throw new Error(SECRET);
      },
    }),
  "a text": () => SECRET,
  "nothing": () => undefined,
  "null": () => null,
  "a symbol": () => Symbol(SECRET),
  "an object that is no text": () => ({
    toString() {
      throw new Error(SECRET);
    },
  }),
  "a revoked proxy": revoked,
  "a proxy with traps": trapped,
  "an abort that nobody asked for": () => new DOMException(SECRET, "AbortError"),
  "an McpError with a cycle": () => new McpError(-32000, "Own", cycle()),
  "an McpError with a BigInt": () => new McpError(-32000, "Own", { n: 1n }),
  "an McpError whose data throws": () => new McpError(-32000, "Own", { toJSON: trapped }),
  "an McpError of 10 MB": () => new McpError(-32000, "Own", "x".repeat(10_000_000)),
};

/** What nobody should return. */
const RETURNED: Readonly<Record<string, () => unknown>> = {
  "nothing": () => undefined,
  "null": () => null,
  "a number": () => 1,
  "a function": () => () => {},
  "a cycle": cycle,
  "a BigInt inside": () => ({ content: [], structuredContent: { n: 1n } }),
  "10 MB": () => text("x".repeat(10_000_000)),
  "20,000 levels": () => deep(20_000),
  "a proxy with traps": () => ({ content: [], structuredContent: trapped() }),
  "a revoked proxy": () => ({ content: [], structuredContent: revoked() }),
  "what becomes nothing": () => ({ content: [], toJSON: () => undefined }),
  "what becomes a text": () => ({ content: [], toJSON: () => "}" }),
  "what throws as it is written": () => ({
    content: [],
    toJSON() {
      throw new Error(SECRET);
    },
  }),
  "a thenable that throws": () => ({
    then() {
      throw new Error(SECRET);
    },
  }),
  "a thenable that can't decide": () => ({
    then(resolve: (value: unknown) => void, reject: (error: unknown) => void) {
      resolve(text("first"));
      reject(new Error(SECRET));
      resolve(text("third"));
    },
  }),
};

type Act = (exchange: Exchange) => unknown;

/** How an application comes to its end. */
const WAYS: Readonly<Record<string, (end: () => unknown) => Act>> = {
  "at once": (end) => () => end(),
  "later": (end) => async () => {
    await quiet(1);
    return end();
  },
  "after a word": (end) => async (exchange) => {
    exchange.notify(logMessage("a word"));
    await quiet(1);
    return end();
  },
};

/** Every misbehaviour, by what it is called. */
const MISBEHAVIOURS: Readonly<Record<string, Act>> = Object.fromEntries(
  Object.entries(WAYS).flatMap(([when, way]) => [
    ...Object.entries(THROWN).map(([what, make]) => [
      `throws ${what} ${when}`,
      way(() => {
        throw make();
      }),
    ]),
    ...Object.entries(RETURNED).map(([what, make]) => [`returns ${what} ${when}`, way(make)]),
  ]),
);

/** The name of an act as a tool. */
function toolName(act: string): string {
  return act.replaceAll(/[^a-z]+/gi, "-");
}

/** A server whose tools are the application's acts. */
function serverOf(acts: Readonly<Record<string, Act>>): Dispatcher {
  const server = new McpServer({ name: "faults", version: "1.0.0" });
  for (const [name, act] of Object.entries(acts)) {
    // What is returned is what must not be
    server.registerTool(toolName(name), {}, (_args, ctx) => act(exchangeLike(ctx)) as string);
  }
  return server;
}

/** The part of an exchange that a tool has too. */
function exchangeLike(ctx: { notify: Exchange["notify"]; signal: AbortSignal }): Exchange {
  // Only these two are looked at by the acts above
  return {
    notify: ctx.notify,
    get signal() {
      return ctx.signal;
    },
  } as Exchange;
}

/** Calls a tool, and gives everything that came in answer. */
type Calling = (name: string, id: string) => Promise<JsonObject[]>;

/** Every way to call. */
const CALLERS: Readonly<
  Record<
    string,
    { options?: McpHandlerOptions; calling: (handler: McpHandler) => Promise<Calling> }
  >
> = {
  "2025": { calling: (handler) => caller(handler, BOTH) },
  "2025, JSON alone": { calling: (handler) => caller(handler, JSON_ONLY) },
  "2025, SSE alone": { calling: (handler) => caller(handler, SSE_ONLY) },
  "2025 without sessions": {
    options: { sessions: false },
    calling: (handler) => Promise.resolve(posting(new Peer(handler))),
  },
  "2026": { calling: (handler) => modernCaller(handler, BOTH) },
  "2026, JSON alone": { calling: (handler) => modernCaller(handler, JSON_ONLY) },
};

async function caller(handler: McpHandler, accept: string): Promise<Calling> {
  return posting(await initialize(handler, { accept }));
}

function posting(peer: Peer): Calling {
  return async (name, id) => await messagesIn(await peer.call(id, name), name);
}

function modernCaller(handler: McpHandler, accept: string): Promise<Calling> {
  const peer = new ModernPeer(handler, { accept });
  return Promise.resolve(async (name, id) => {
    const message = peer.message("tools/call", { name, arguments: {} }, id);
    return await messagesIn(await peer.post(message), name);
  });
}

/** Every message of a response. */
async function messagesIn(response: Response, name: string): Promise<JsonObject[]> {
  await checkResponse(response, [], name);
  if (response.headers.get("content-type") === "text/event-stream") {
    return await new Frames(response, () => {}).messages();
  }
  const message: unknown = await response.json();
  assert.ok(isObject(message));
  return [message];
}

describe("SRV: applications that misbehave", () => {
  const dispatchers = {
    dispatcher: new Stub(
      Object.fromEntries(
        // They are what acts do.
        Object.entries(MISBEHAVIOURS).map(([name, act]) => [toolName(name), act as never]),
      ),
    ),
    server: serverOf(MISBEHAVIOURS),
  };
  for (const [kind, dispatcher] of Object.entries(dispatchers)) {
    for (const [who, { options, calling }] of Object.entries(CALLERS)) {
      test(`[SRV-2, STR-4, STR-11] a ${kind} that does what it should not, for ${who}: one answer, nothing of the inside, nothing left`, async () => {
        const handler = createMcpHandler(dispatcher, { clock: new FakeClock(), ...options });
        const call = await calling(handler);
        const before = handler.stats();
        for (const name of Object.keys(MISBEHAVIOURS)) {
          const messages = await call(toolName(name), name);
          const answer = assertAnsweredOnce(messages, name);
          const json = JSON.stringify(messages);
          assert.ok(json.length < 5_000_000, name);
          assertNothingInside(json.replaceAll(name, ""));
          // Some engines write any depth; and the first word of a thenable may count
          if (!/levels|can't decide/.test(name)) {
            const { error, result } = answer;
            const failed = isObject(error) || (isObject(result) && result.isError === true);
            assert.equal(failed, true, `${name}: ${json}`);
          }
          await quiet(2);
          assert.deepEqual(handler.stats(), before, name);
        }
        await handler.close();
      });
    }
  }
});

/** Does everything that an exchange can do, long after it should. */
async function speakAgain(exchange: Exchange): Promise<void> {
  exchange.notify(logMessage("from beyond"));
  exchange.notify({
    method: "notifications/progress",
    params: { progressToken: "token", progress: 99 },
  });
  exchange.closeStream({ retryMs: 1 });
  exchange.requireInput({ resultType: "input_required", inputRequests: {} });
  await assert.rejects(exchange.ask("roots/list", {}));
  exchange.report({ type: "error", during: "a test", error: "from beyond" });
  await exchange.sealState({});
  const { session } = exchange;
  if (session === undefined) return;
  await session.state.set("key", "from beyond");
  await session.setLogLevel("debug");
  await session.subscribe("test://beyond");
}

/** A tool that can't be stopped. */
function deaf() {
  const runs: Exchange[] = [];
  const gate = new Gate<void>();
  const stub = new Stub({
    async deaf(exchange) {
      runs.push(exchange);
      if (runs.length % 2 === 0) exchange.notify(logMessage("a word"));
      await gate.promise;
      return text("from beyond");
    },
    hello: () => text("Hello"),
  });
  return { runs, gate, stub };
}

/** How a call can be over before its application is. */
const ENDINGS: Readonly<
  Record<string, (world: { handler: McpHandler; peer: Peer; clock: FakeClock }) => Promise<unknown>>
> = {
  "cancelled": ({ peer }) => Promise.all([peer.cancel(1), peer.cancel(2)]),
  "deleted": ({ peer }) => peer.delete(),
  "timed out": ({ clock }) => clock.advance(30_000),
  "expired": ({ clock }) => clock.advance(4 * 3_600_000 + 60_000),
  "ended by the application": ({ handler, peer }) => handler.sessions.end(String(peer.sessionId)),
  "closed": ({ handler, clock }) => Promise.all([handler.close({ graceMs: 0 }), clock.advance(1)]),
};

describe("CAN: applications that can't be stopped", () => {
  for (const [name, end] of Object.entries(ENDINGS)) {
    test(`[CAN-3, CAN-7, OWN-4] one that goes on after its call was ${name} reaches nobody`, async () => {
      const { runs, gate, stub } = deaf();
      const clock = new FakeClock();
      const options = name === "timed out" ? { timeoutMs: 20_000 } : {};
      const store = { clock, authenticate: byToken, requests: options };
      const handler = createMcpHandler(stub, store);
      const peer = await initialize(handler, { headers: as("alice"), capabilities: { roots: {} } });
      const other = await initialize(handler, { headers: as("alice") });
      const stranger = await initialize(handler, { headers: as("bob") });
      const streams = [await other.listen(), await stranger.listen(), await peer.listen()];
      const calls = [1, 2].map((id) => peer.call(id, "deaf"));
      await quiet();
      assert.equal(runs.length, 2);
      await end({ handler, peer, clock });
      const taken = await Promise.all(calls.map(async (call) => {
        const response = await call;
        await checkResponse(response, [503]);
        const stream = response.headers.get("content-type") === "text/event-stream";
        if (stream) return await peer.frames(response).messages();
        const body = await response.text();
        return body === "" ? [] : [JSON.parse(body) as JsonObject];
      }));
      for (const exchange of runs) await speakAgain(exchange);
      gate.open();
      await quiet();
      for (const exchange of runs) await speakAgain(exchange);
      assert.deepEqual({ ...handler.stats(), sessions: 0, streams: 0 }, NOTHING);
      await handler.close({ graceMs: 0 });
      const rest = (await Promise.all(streams.map((frames) => frames.messages()))).flat();
      assert.doesNotMatch(JSON.stringify([taken, rest]), /from beyond/);
      await assertEmpty(handler);
    });
  }

  test("[CAN-3, CAN-6] one that goes on after its client of 2026 went away reaches nobody", async () => {
    const { runs, gate, stub } = deaf();
    const clock = new FakeClock();
    const handler = createMcpHandler(stub, { clock });
    const peer = new ModernPeer(handler);
    const gone = new AbortController();
    const quietly = peer.with({ accept: JSON_ONLY });
    const waiting = quietly.call("deaf", {}, {}, { signal: gone.signal });
    const streaming = peer.frames(await peer.call("deaf"));
    await streaming.message();
    await clock.advance(500);
    gone.abort();
    await streaming.cancel();
    await quiet();
    assert.deepEqual(handler.stats(), NOTHING);
    for (const exchange of runs) {
      assert.equal(exchange.signal.aborted, true);
      await speakAgain(exchange);
    }
    gate.open();
    await quiet();
    const outcome = await outcomeOf(waiting);
    if (outcome !== undefined && "value" in outcome) {
      assert.doesNotMatch(await outcome.value.text(), /from beyond/);
    }
    await assertEmpty(handler);
    await handler.close();
  });
});

describe("SRV: applications that do too much", () => {
  test("[STR-4, STR-10] 20,000 messages in one turn, unread, cost the client old ones and no more", async () => {
    const stub = new Stub({
      flood(exchange) {
        for (let n = 0; n < 20_000; n++) exchange.notify(logMessage(n));
        return text("done");
      },
    });
    const handler = createMcpHandler(stub, { clock: new FakeClock() });
    const peer = await initialize(handler);
    const frames = peer.frames(await peer.call("flood", "flood"));
    const first = await frames.rest();
    // What fell off ends the connection; what is left is there to be resumed
    const cursor = first.findLast(({ id }) => id !== undefined)?.id;
    assert.ok(cursor !== undefined);
    const [stream] = cursor.split(".");
    const rest = await (await peer.listen(`${stream}.19900`)).messages();
    assert.equal(textOf(assertAnsweredOnce(rest, "flood").result), "done");
    await peer.delete();
    await assertEmpty(handler);
    await handler.close();
  });

  test("[ASK-1, ASK-3] questions that nobody waits for end with their call", async () => {
    const stub = new Stub({
      async hasty(exchange) {
        for (let n = 0; n < 150; n++) exchange.ask("roots/list", {});
        await quiet(1);
        return text("done");
      },
    });
    const handler = createMcpHandler(stub, { clock: new FakeClock() });
    const peer = await initialize(handler, { capabilities: { roots: {} } });
    const messages = await peer.frames(await peer.call(1, "hasty")).messages();
    assert.equal(messages.filter(({ method }) => method === "roots/list").length, 100);
    assertAnsweredOnce(messages.filter(({ method }) => method === undefined), 1);
    assert.equal(handler.stats().questions, 0);
    await handler.close();
  });

  test("[SRV-2] a message that can't be written is the application's own trouble", async () => {
    const stub = new Stub({
      odd(exchange) {
        for (const params of [cycle(), { n: 1n }, trapped()]) {
          assert.throws(() =>
            exchange.notify({ method: "notifications/x", params: params as never })
          );
        }
        return text("done");
      },
    });
    const handler = createMcpHandler(stub, { clock: new FakeClock() });
    const peer = await initialize(handler);
    assert.equal(textOf(await peer.result(await peer.call(1, "odd"))), "done");
    await handler.close();
  });

  test("[SES-6, CAN-7] a call that ends its own session, from inside", async () => {
    for (const version of ["2025-11-25", "2025-03-26"]) {
      const ran: string[] = [];
      const stub = new Stub({
        async end({ session }) {
          ran.push("end");
          await handler.sessions.end(session?.id ?? "");
          return text("done");
        },
        async hang() {
          ran.push("hang");
          return await new Promise<never>(() => {});
        },
      });
      const handler = createMcpHandler(stub, { clock: new FakeClock() });
      const peer = await initialize(handler, { version });
      if (version === "2025-03-26") {
        const part = (id: number, name: string) => ({
          jsonrpc: "2.0",
          id,
          method: "tools/call",
          params: { name, arguments: {} },
        });
        await checkResponse(await peer.post([part(1, "end"), part(2, "hang"), part(3, "end")]));
        assert.deepEqual(ran, ["end"], "something began in a session that was over");
      } else {
        assert.equal((await peer.call(1, "end")).status, 404);
      }
      await assertEmpty(handler);
      await handler.close();
    }
  });

  test("[OWN-1, STR-11] a call that calls its own endpoint is a client like any other", async () => {
    const seen: number[] = [];
    const stub = new Stub({
      async inward({ session }) {
        const inner = new Peer(handler, { headers: as("alice") });
        inner.sessionId = session?.id;
        seen.push((await inner.call(1, "hello")).status);
        const stranger = inner.with({ headers: as("mallory") });
        seen.push((await stranger.call(1, "hello")).status);
        return text("done");
      },
      hello: () => text("Hello"),
    });
    const handler = createMcpHandler(stub, { clock: new FakeClock(), authenticate: byToken });
    const peer = await initialize(handler, { headers: as("alice") });
    assert.equal(textOf(await peer.result(await peer.call(1, "inward"))), "done");
    assert.deepEqual(seen, [200, 404]);
    await peer.delete();
    await assertEmpty(handler);
    await handler.close();
  });
});

describe("AUTH: applications that fail at the door", () => {
  for (const [what, make] of Object.entries(THROWN)) {
    test(`[AUTH-1] an authenticate that throws ${what} is an internal error on every verb`, async () => {
      const events = new Events();
      for (const later of [false, true]) {
        const handler = createMcpHandler(new Stub(), {
          onEvent: events.onEvent,
          authenticate() {
            if (later) return Promise.reject(make());
            throw make();
          },
        });
        const peer = new Peer(handler);
        const init = () => peer.post(peer.initializeRequest());
        for (const send of [init, () => peer.get(), () => peer.delete()]) {
          const response = await send();
          await checkResponse(response, [500]);
          assert.equal(response.status, 500);
          await response.text();
        }
        assert.deepEqual(handler.stats(), NOTHING);
        await handler.close();
      }
    });
  }

  test("[AUTH-1] an authenticate that never answers holds nothing but its own request", async () => {
    const handler = createMcpHandler(new Stub(), {
      authenticate: (request) =>
        request.headers.has("authorization") ? byToken(request) : new Promise<never>(() => {}),
    });
    const peer = new Peer(handler);
    const stuck = handler(
      new Request("http://localhost/mcp", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(peer.initializeRequest()),
      }),
    );
    assert.equal(await outcomeOf(stuck), undefined);
    assert.deepEqual(handler.stats(), NOTHING);
    await initialize(handler, { headers: as("alice") });
    await handler.close({ graceMs: 0 });
    assert.deepEqual(handler.stats(), NOTHING);
  });

  test("[AUTH-1, STR-11] an onEvent that throws, or rejects later, changes nothing", async () => {
    const misbehaviours: McpHandlerOptions["onEvent"][] = [
      () => {
        throw new Error(SECRET);
      },
      async () => await Promise.reject(new Error(SECRET)),
      () => trapped() as never,
    ];
    for (const onEvent of misbehaviours) {
      const handler = createMcpHandler(new Stub({ hello: () => text("Hello") }), { onEvent });
      const peer = await initialize(handler);
      assert.equal(textOf(await peer.result(await peer.call(1, "hello"))), "Hello");
      const frames = await peer.listen();
      assert.equal((await peer.delete()).status, 204);
      await frames.rest();
      const modern = new ModernPeer(handler);
      const response = await modern.call("hello");
      assert.equal(response.status, 200, MODERN);
      await assertEmpty(handler);
      await handler.close();
    }
  });
});
