import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ERAS } from "../../src/handler/eras.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { type HandlerComponents, makeComponents } from "../../src/handler/components.ts";
import { settingsOf } from "../../src/handler/settings.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import { Inbound } from "../../src/http/inbound.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import { FaultyStore } from "../faults/faulty_store.ts";
import { FakeClock, flush } from "../support/clock.ts";
import {
  accepted,
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
  seen,
  soon,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";
import { routing } from "../support/routes.ts";

const MINUTE = 60_000;
const UNKNOWN = "B".repeat(32);

/** One request of each kind. */
const KINDS: Readonly<Record<string, (peer: Peer) => Promise<Response>>> = {
  "a request": (peer) => peer.request(1, "ping"),
  "a notification": (peer) => peer.post({ jsonrpc: "2.0", method: "notifications/a" }),
  "a reply": (peer) => peer.post({ jsonrpc: "2.0", id: "q", result: {} }),
  "a GET": (peer) => peer.get(),
  "a resuming GET": (peer) => peer.get("s.0"),
  "a DELETE": (peer) => peer.delete(),
};

/** A handler with a clock, its events, and tools that answer, block and say their session's id. */
function endpoint(options: McpHandlerOptions = {}) {
  const clock = new FakeClock();
  const events = new Events();
  const blocker = new Blocker();
  const stub = new Stub({
    block: blocker.act,
    session: ({ session }) => text(session?.id ?? "none"),
  });
  const handler = createMcpHandler(stub, { clock, onEvent: events.onEvent, ...options });
  return { clock, events, blocker, stub, handler };
}

/** Whether a session is there, asked by somebody who doesn't touch it: its owner's ping does. */
async function alive(peer: Peer): Promise<boolean> {
  const response = await peer.request("alive", "ping");
  await response.body?.cancel();
  assert.ok(response.status === 200 || response.status === 404, `${response.status}`);
  return response.status === 200;
}

describe("SES: beginning", () => {
  test("[SES-1] initialize mints 192 random bits of visible ASCII, new ones each time", async () => {
    const { handler } = endpoint();
    const ids = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const { sessionId } = await initialize(handler);
      assert.match(sessionId ?? "", /^[A-Za-z0-9_-]{32}$/);
      ids.add(String(sessionId));
    }
    assert.equal(ids.size, 200);
    // Six bits a character: each of the 32 places takes many values.
    for (let place = 0; place < 32; place++) {
      assert.ok(new Set([...ids].map((id) => id[place])).size > 30, `place ${place}`);
    }
    assert.equal(handler.stats().sessions, 200);
    await handler.close();
  });

  test("[SES-1] an id that the client brings to initialize is neither adopted nor rebound", async () => {
    const { handler } = endpoint({ authenticate: byToken });
    const alice = await initialize(handler, { headers: as("alice") });
    for (const brought of [UNKNOWN, alice.sessionId]) {
      const mallory = new Peer(handler, { headers: as("mallory") });
      const response = await mallory.post(mallory.initializeRequest(), {
        "mcp-session-id": brought,
      });
      const minted = response.headers.get("mcp-session-id");
      assert.ok(minted !== null && minted !== brought);
      await response.body?.cancel();
      mallory.sessionId = brought;
      assert.equal(await alive(mallory), false);
    }
    assert.equal(await alive(alice), true);
    assert.equal(handler.stats().sessions, 3);
    await handler.close();
  });

  test("[SES-1] the session exists only once initialize has succeeded", async () => {
    const gate = new Gate();
    let id: string | undefined;
    const stub = new Stub({}, {
      async initialize({ protocolVersion, session }) {
        id = session?.id;
        await gate.promise;
        return { protocolVersion, capabilities: {}, serverInfo: { name: "s", version: "1" } };
      },
    });
    const handler = createMcpHandler(stub);
    const peer = new Peer(handler);
    const answer = peer.initialize();
    while (id === undefined) await flush();
    assert.equal(handler.stats().sessions, 0);
    const early = new Peer(handler);
    early.sessionId = id;
    assert.equal(await alive(early), false);
    assert.equal(await handler.notify(id, logMessage(1)), false);
    gate.open();
    await answer;
    assert.equal(peer.sessionId, id);
    assert.equal(handler.stats().sessions, 1);
    await handler.close();
  });

  test("[SES-1] an initialize that fails leaves no session and no place taken", async () => {
    const failures = [
      () => {
        throw new McpError(ErrorCode.InvalidParams, "No");
      },
      () => Promise.reject(new Error("secret")),
    ];
    for (const fail of failures) {
      const stub = new Stub({}, { initialize: fail });
      const handler = createMcpHandler(stub, { limits: { sessions: 1 } });
      for (let i = 0; i < 3; i++) {
        const peer = new Peer(handler);
        const response = await peer.post(peer.initializeRequest());
        assert.equal(response.headers.get("mcp-session-id"), null);
        const { error } = await peer.json(response);
        assert.ok(error);
        assert.doesNotMatch(JSON.stringify(error), /secret/);
      }
      assert.deepEqual(handler.stats(), {
        sessions: 0,
        streams: 0,
        requests: 0,
        questions: 0,
        listens: 0,
      });
      await handler.close();
    }
  });

  const handshake = {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "a", version: "1" },
  };
  const incomplete = {
    "no params": undefined,
    "no version": { ...handshake, protocolVersion: undefined },
    "a version that is a number": { ...handshake, protocolVersion: 2025 },
    "no capabilities": { ...handshake, capabilities: undefined },
    "no client": { ...handshake, clientInfo: undefined },
    "a client without a name": { ...handshake, clientInfo: { version: "1" } },
    "a client without a version": { ...handshake, clientInfo: { name: "a" } },
  };
  for (const [name, params] of Object.entries(incomplete)) {
    test(`[SES-1] an initialize with ${name} is refused as invalid params`, async () => {
      const { handler, stub } = endpoint();
      const peer = new Peer(handler);
      const response = await peer.request(3, "initialize", params);
      assert.equal(response.headers.get("mcp-session-id"), null);
      const { id, error } = await peer.json(response);
      assert.equal(id, 3);
      assert.equal((error as { code: number }).code, -32602);
      assert.equal(stub.exchanges.length, 0);
      assert.equal(handler.stats().sessions, 0);
      await handler.close();
    });
  }

  test("[SES-1, SES-5] a client says at most 16 KiB about itself: a session keeps it", async () => {
    const { handler } = endpoint();
    const about = (text: string) => ({
      ...handshake,
      capabilities: { experimental: { about: { text } } },
    });
    const { capabilities, clientInfo } = about("");
    const room = 16 * 1024 - JSON.stringify({ capabilities, info: clientInfo }).length;
    const long: readonly [string, boolean][] = [
      ["x".repeat(room), true],
      ["x".repeat(room + 1), false],
      // Few characters, many bytes
      ["\u20ac".repeat(room / 3), true],
      ["\u20ac".repeat(room / 3 + 1), false],
    ];
    for (const [text, fits] of long) {
      const response = await new Peer(handler).request(1, "initialize", about(text));
      assert.equal(response.headers.has("mcp-session-id"), fits);
      const { error } = await response.json();
      assert.equal(error?.code, fits ? undefined : -32602);
    }
    assert.equal(handler.stats().sessions, 2);
    await handler.close();
  });

  test("[SES-1] nothing is left of an initialize that fails late", async () => {
    const dispatcher: Dispatcher = {
      route: routing(async () => {
        await flush();
        throw new McpError(ErrorCode.Refused, "Not now");
      }),
    };
    const parts: HandlerComponents = makeComponents(dispatcher, settingsOf({}, ERAS), {
      broadcast: () => {},
      route: () => assert.fail(),
    });
    const request = new Request("http://localhost/mcp", { method: "POST" });
    const inbound = new Inbound(request);
    inbound.principal = { id: "alice" };
    inbound.owner = "alice";
    inbound.share = inbound.owner;
    const message = { jsonrpc: "2.0", id: 1, method: "initialize", params: handshake } as const;
    inbound.content = { kind: "request", message };
    inbound.findRoutes((message, principal) => dispatcher.route(message, principal));
    const { status, headers } = await ERAS["2025"]?.(parts).post(inbound) ?? assert.fail();
    assert.deepEqual([status, headers["mcp-session-id"]], [200, undefined]);
    assert.equal(parts.sessions.live.size, 0);
    assert.equal(parts.calls.slots.taken, 0);
    // Its place is free again.
    assert.equal(parts.sessions.store.size, 0);
  });

  test("[SES-2] only the initialize response carries Mcp-Session-Id", async () => {
    const { handler } = endpoint({ streams: { sseAfterMs: 1 } });
    const peer = await initialize(handler);
    assert.ok(peer.sessionId);
    for (const [name, send] of Object.entries(KINDS)) {
      const response = await send(peer);
      assert.equal(response.headers.get("mcp-session-id"), null, name);
      await response.body?.cancel();
    }
    await handler.close();
  });

  test("[SES-2] x-mcp-session-id is no alias", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const extra = { "mcp-session-id": undefined, "x-mcp-session-id": peer.sessionId };
    await refused(await peer.request(1, "ping", undefined, extra), 400, -32000);
    await refused(await peer.get(undefined, extra), 400, -32000);
    await refused(await peer.delete(extra), 400, -32000);
    assert.equal(handler.stats().sessions, 1);
    await handler.close();
  });
});

describe("SES: who is meant", () => {
  for (const [name, send] of Object.entries(KINDS)) {
    test(`[SES-3] ${name} without an id → 400 that names the header`, async () => {
      const { handler } = endpoint();
      const { message } = await refused(await send(new Peer(handler)), 400, -32000);
      assert.match(message, /Mcp-Session-Id/);
      await handler.close();
    });

    test(`[SES-3, SES-10] ${name} under an id that nobody has → 404, whatever the id`, async () => {
      const { handler, clock } = endpoint({ sessions: { idleMs: 1_000 } });
      const ended = await initialize(handler);
      await ended.delete();
      const expired = await initialize(handler);
      await clock.advance(1_000);
      const ids = [
        UNKNOWN,
        ended.sessionId,
        expired.sessionId,
        "short",
        "C".repeat(31),
        "C".repeat(33),
        "C".repeat(10_000),
        "!".repeat(32),
        "..%2f".repeat(4),
        "*",
        "0",
        "constructor",
        "__proto__",
        "prototype",
        "toString",
        "hasOwnProperty",
        "valueOf",
        "undefined",
        "null",
      ];
      let first: unknown;
      for (const id of ids) {
        const peer = new Peer(handler);
        peer.sessionId = id;
        const response = await send(peer);
        const all = await seen(response.clone());
        first ??= all;
        assert.deepEqual(all, first, id);
        const { message, data } = await refused(response, 404, -32001);
        assert.equal(message, "Session not found");
        assert.deepEqual(data, { retry: "re-initialize" });
      }
      await handler.close();
    });
  }

  test("[SES-3] an empty id is no id that anybody has", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const response = await peer.request(1, "ping", undefined, { "mcp-session-id": "" });
    assert.ok(response.status === 404 || response.status === 400);
    await response.body?.cancel();
    await handler.close();
  });
});

describe("SES: lifetimes", () => {
  test("[SES-4] a session that is idle for idleMs is gone, a millisecond before it is not", async () => {
    const { handler, clock } = endpoint({ sessions: { idleMs: 5_000 } });
    const peer = await initialize(handler);
    await clock.advance(4_999);
    assert.equal(await alive(peer), true);
    await clock.advance(4_999);
    assert.equal(await alive(peer), true);
    await clock.advance(5_000);
    assert.equal(await alive(peer), false);
    assert.equal(await alive(peer), false);
    await handler.close();
  });

  test("[SES-4] every kind of use counts", async () => {
    for (const [name, send] of Object.entries(KINDS)) {
      if (name === "a DELETE") continue;
      const { handler, clock } = endpoint({ sessions: { idleMs: 5_000 } });
      const peer = await initialize(handler);
      await clock.advance(4_999);
      await (await send(peer)).body?.cancel();
      await clock.advance(4_999);
      assert.equal(await alive(peer), true, name);
      await handler.close();
    }
  });

  test("[SES-4] 30 minutes of idling and 4 hours in all are the defaults, and the latter wins", async () => {
    const { handler, clock, events } = endpoint();
    const idle = await initialize(handler);
    const busy = await initialize(handler);
    await clock.advance(30 * MINUTE - 1);
    assert.equal(await alive(idle), true);
    assert.equal(await alive(busy), true);
    await clock.advance(30 * MINUTE - 1);
    assert.equal(await alive(busy), true);
    await clock.advance(1);
    assert.equal(await alive(idle), false);
    for (let i = 0; i < 6; i++) {
      await clock.advance(29 * MINUTE);
      assert.equal(await alive(busy), true, `after ${i}`);
    }
    await clock.advance(6 * MINUTE);
    assert.equal(await alive(busy), true);
    await clock.advance(1);
    assert.equal(await alive(busy), false);
    assert.deepEqual(events.of("session-ended").map(({ reason }) => reason), ["idle", "expired"]);
    await handler.close();
  });

  test("[SES-4] a session that is both idle and too old is told to be too old", async () => {
    const { handler, clock, events } = endpoint({ sessions: { idleMs: 1_000, absoluteMs: 1_000 } });
    const peer = await initialize(handler);
    await clock.advance(1_000);
    assert.equal(await alive(peer), false);
    assert.deepEqual(events.of("session-ended").map(({ reason }) => reason), ["expired"]);
    await handler.close();
  });

  test("[SES-4] expired sessions are swept every 60 s without anybody's asking", async () => {
    const { handler, clock, stub } = endpoint({
      sessions: { idleMs: 1_000 },
      limits: { bodyMs: Infinity },
    });
    const peer = await initialize(handler);
    await clock.advance(MINUTE - 1);
    assert.equal(handler.stats().sessions, 1);
    await clock.advance(1);
    assert.equal(handler.stats().sessions, 0);
    assert.deepEqual(stub.ended, [{ id: peer.sessionId, reason: "idle" }]);
    assert.equal(clock.pending, 0, "no session, no timer");
    await initialize(handler);
    assert.equal(clock.pending, 1);
    await clock.advance(MINUTE);
    assert.equal(handler.stats().sessions, 0);
    await handler.close();
  });

  test("[SES-4] one sweep takes all that have expired, however many", async () => {
    const { handler, clock } = endpoint({ sessions: { idleMs: 1_000 } });
    for (let i = 0; i < 1_000; i++) await initialize(handler, { ready: false });
    await clock.advance(MINUTE + 100);
    assert.equal(handler.stats().sessions, 0);
    await handler.close();
  });

  test("[SES-4] a running request counts as use until it ends", async () => {
    const { handler, clock, blocker } = endpoint({ sessions: { idleMs: 1_000 } });
    const peer = await initialize(handler);
    const call = peer.call(1, "block", {}, { accept: "application/json" });
    await blocker.running();
    await clock.advance(10 * MINUTE);
    assert.equal(handler.stats().sessions, 1);
    blocker.gate.open("done");
    assert.equal(textOf(await peer.result(await call)), "done");
    await clock.advance(999);
    assert.equal(await alive(peer), true);
    await clock.advance(1_000);
    assert.equal(await alive(peer), false);
    await handler.close();
  });

  test("[SES-4] an open stream counts as use until it closes", async () => {
    const { handler, clock } = endpoint({ sessions: { idleMs: 1_000 } });
    const peer = await initialize(handler);
    const stream = await peer.listen();
    await clock.advance(10 * MINUTE);
    assert.equal(handler.stats().sessions, 1);
    await stream.cancel();
    await clock.advance(999);
    assert.equal(handler.stats().sessions, 1);
    await clock.advance(1);
    assert.equal(await alive(peer), false);
    await handler.close();
  });

  test("[SES-4, CAN-7] the absolute limit ends even what is busy", async () => {
    const { handler, clock, blocker, stub } = endpoint({ sessions: { absoluteMs: 10 * MINUTE } });
    const peer = await initialize(handler);
    const stream = await peer.listen();
    const call = peer.call(1, "block", {}, { accept: "application/json" });
    await blocker.running();
    await clock.advance(10 * MINUTE - 1);
    assert.equal(handler.stats().sessions, 1);
    await clock.advance(MINUTE);
    await refused(await call, 404, -32001, 1);
    assert.deepEqual(await stream.messages(), []);
    assert.equal((blocker.reasons[0] as { kind: string }).kind, "session-ended");
    assert.deepEqual(stub.ended, [{ id: peer.sessionId, reason: "expired" }]);
    assert.deepEqual(handler.stats(), {
      sessions: 0,
      streams: 0,
      requests: 0,
      questions: 0,
      listens: 0,
    });
    await handler.close();
  });
});

describe("SES: caps", () => {
  test("[SES-5] at the principal's cap its least recently used session goes", async () => {
    const { handler, stub } = endpoint({
      authenticate: byToken,
      limits: { sessionsPerPrincipal: 3 },
    });
    const bob = await initialize(handler, { headers: as("bob") });
    const peers = [];
    for (let i = 0; i < 3; i++) peers.push(await initialize(handler, { headers: as("alice") }));
    const [first, second, third] = peers;
    assert.ok(first && second && third);
    assert.equal(await alive(first), true);
    await initialize(handler, { headers: as("alice") });
    assert.deepEqual(stub.ended, [{ id: second.sessionId, reason: "evicted" }]);
    assert.equal(await alive(second), false);
    for (const peer of [first, third, bob]) assert.equal(await alive(peer), true);
    await handler.close();
  });

  test("[SES-5] every kind of use makes a session the most recently used one, of all and of its owner's", async () => {
    for (const owners of [["alice", "alice", "alice"], ["alice", "bob", "carol"]]) {
      const [one = "", two = "", three = ""] = owners;
      for (const [name, send] of Object.entries(KINDS)) {
        if (name === "a DELETE") continue;
        const { handler, stub } = endpoint({ limits: { sessions: 2 }, authenticate: byToken });
        const first = await initialize(handler, { headers: as(one) });
        const second = await initialize(handler, { headers: as(two) });
        await (await send(first)).body?.cancel();
        await initialize(handler, { headers: as(three) });
        assert.deepEqual(stub.ended.map(({ id }) => id), [second.sessionId], name);
        await handler.close();
      }
    }
  });

  test("[SES-5] at the cap of all, the principal's own go first, then anybody's", async () => {
    const { handler, stub } = endpoint({ authenticate: byToken, limits: { sessions: 3 } });
    const bob = await initialize(handler, { headers: as("bob") });
    const alice = await initialize(handler, { headers: as("alice") });
    const carol = await initialize(handler, { headers: as("carol") });
    const again = await initialize(handler, { headers: as("alice") });
    assert.deepEqual(stub.ended.map(({ id }) => id), [alice.sessionId]);
    const dave = await initialize(handler, { headers: as("dave") });
    assert.deepEqual(stub.ended.map(({ id }) => id), [alice.sessionId, bob.sessionId]);
    for (const peer of [carol, again, dave]) assert.equal(await alive(peer), true);
    assert.equal(handler.stats().sessions, 3);
    await handler.close();
  });

  test("[SES-5] sessions with something running or a stream stay; when all are busy → 503", async () => {
    const { handler, blocker, events } = endpoint({ limits: { sessions: 2 } });
    const running = await initialize(handler);
    const listening = await initialize(handler);
    const call = running.call(1, "block", {}, { accept: "application/json" });
    await blocker.running();
    const stream = await listening.listen();
    const late = new Peer(handler);
    const response = await late.post(late.initializeRequest(9));
    assert.equal(response.headers.get("retry-after"), "30");
    await refused(response, 503, -32000, 9);
    assert.equal(events.refusals.at(-1), "session-limit");
    assert.equal(handler.stats().requests, 1);
    // As soon as one is no longer busy there is room.
    await stream.cancel();
    const next = await initialize(handler);
    assert.equal(await alive(listening), false);
    assert.equal(await alive(next), true);
    blocker.gate.open("done");
    assert.equal(textOf(await running.result(await call)), "done");
    await handler.close();
  });

  test("[SES-5] a burst cannot pass the cap: the slot is reserved before the backend starts", async () => {
    const gate = new Gate();
    let started = 0;
    const stub = new Stub({}, {
      async initialize({ protocolVersion }) {
        started++;
        await gate.promise;
        return { protocolVersion, capabilities: {}, serverInfo: { name: "s", version: "1" } };
      },
    });
    const handler = createMcpHandler(stub, { limits: { sessions: 3 } });
    const peers = Array.from({ length: 20 }, () => new Peer(handler));
    const responses = peers.map((peer) => peer.post(peer.initializeRequest()));
    const statuses = responses.map(async (response) => (await response).status);
    while (started < 3) await flush();
    await flush();
    assert.equal(started, 3);
    gate.open();
    const counts = Map.groupBy(await soon(Promise.all(statuses)), (status) => status);
    assert.deepEqual([counts.get(200)?.length, counts.get(503)?.length], [3, 17]);
    assert.equal(handler.stats().sessions, 3);
    await handler.close();
  });

  test("[SES-5, CAN-7] an evicted session's client finds nothing and its streams are over", async () => {
    const { handler, events } = endpoint({ limits: { sessions: 1 } });
    const first = await initialize(handler);
    const stream = await first.listen();
    await stream.cancel();
    await initialize(handler);
    for (const send of Object.values(KINDS)) await refused(await send(first), 404, -32001);
    assert.deepEqual(events.of("session-ended").map(({ reason }) => reason), ["evicted"]);
    await handler.close();
  });
});

describe("SES: DELETE", () => {
  test("[SES-6] 204, then 404; without an id 400", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    await refused(await peer.delete({ "mcp-session-id": undefined }), 400, -32000);
    assert.deepEqual(await seen(await peer.delete()), { status: 204, headers: [], body: "" });
    for (const send of Object.values(KINDS)) await refused(await send(peer), 404, -32001);
    assert.equal(handler.stats().sessions, 0);
    await handler.close();
  });

  test("[SES-6, OWN-2] while it ends, a session is as unknown as any other", async () => {
    const store = new FaultyStore();
    const events = new Events();
    const { handler } = endpoint({ store, onEvent: events.onEvent });
    const peer = await initialize(handler);
    store.fault = (name) => name === "log.drop" ? "late" : undefined;
    const deleted = peer.delete();
    await flush();
    const unknown = new Peer(handler);
    unknown.sessionId = "U".repeat(32);
    for (const send of Object.values(KINDS)) {
      assert.deepEqual(await seen(await send(peer)), await seen(await send(unknown)));
    }
    assert.deepEqual(new Set(events.refusals), new Set(["session-unknown"]));
    assert.equal(events.refusals.length, 2 * Object.keys(KINDS).length);
    store.release();
    assert.equal((await deleted).status, 204);
    await handler.close();
  });

  test("[SES-6, CAN-7, ASK-3] what a session holds ends in order: requests, questions, streams, state, backend", async () => {
    const order: string[] = [];
    const stub = new Stub({
      async ask(exchange) {
        const { session, signal } = exchange;
        await session?.state.set("key", "value");
        assert.equal(await session?.state.get("key"), "value");
        signal.addEventListener("abort", () => order.push(`call ${signal.reason.kind}`));
        try {
          await exchange.ask("roots/list", {});
        } catch (error) {
          order.push(`question ${(error as { kind: string }).kind}`);
        }
        return text("too late");
      },
    });
    const told = new Gate();
    stub.sessionEnded = async (_id, reason) => {
      order.push(`backend ${reason}`);
      const [exchange] = stub.exchanges;
      order.push(`state ${await exchange?.session?.state.get("key")}`);
      told.open();
    };
    const handler = createMcpHandler(stub, {
      onEvent(event) {
        if (event.type === "stream-closed") order.push(`${event.stream} stream ${event.reason}`);
      },
    });
    const peer = await initialize(handler, { capabilities: { roots: {} } });
    const server = await peer.listen();
    const call = peer.frames(await peer.call(1, "ask"));
    assert.equal((await call.message())?.method, "roots/list");
    assert.equal(handler.stats().questions, 1);
    assert.equal((await peer.delete()).status, 204);
    await soon(told.promise);
    assert.deepEqual(await call.messages(), []);
    assert.deepEqual(await server.messages(), []);
    const at = (name: string) => {
      assert.ok(order.includes(name), `${name} in ${order.join(", ")}`);
      return order.indexOf(name);
    };
    assert.ok(at("call session-ended") < at("question session-ended"));
    assert.ok(at("call session-ended") < at("server stream session-ended"));
    assert.ok(at("question session-ended") < at("backend deleted"));
    assert.ok(at("server stream session-ended") < at("backend deleted"));
    assert.equal(order.at(-1), "state undefined");
    assert.deepEqual(handler.stats(), {
      sessions: 0,
      streams: 0,
      requests: 0,
      questions: 0,
      listens: 0,
    });
    await handler.close();
  });

  test("[SES-6] of many DELETEs at once one succeeds, and the backend is told once", async () => {
    const { handler, stub } = endpoint();
    const peer = await initialize(handler);
    const responses = await Promise.all(Array.from({ length: 20 }, () => peer.delete()));
    const counts = Map.groupBy(responses, ({ status }) => status);
    assert.deepEqual([counts.get(204)?.length, counts.get(404)?.length], [1, 19]);
    assert.equal(stub.ended.length, 1);
    await handler.close();
  });

  test("[SES-6] what comes in the same moment as a DELETE leaves nothing open", async () => {
    for (let turns = 0; turns < 16; turns++) {
      const stub = new Stub({
        async chat(exchange) {
          exchange.notify(logMessage("hi"));
          await flush();
          return text("bye");
        },
      });
      const handler = createMcpHandler(stub);
      const peer = await initialize(handler);
      const cursor = (await peer.frames(await peer.call(1, "chat")).rest())[1]?.id;
      const attempts = [
        peer.get(),
        peer.get("s.0"),
        peer.get(cursor),
        peer.get("nowhere.1"),
        peer.call(2, "chat"),
      ];
      for (let i = 0; i < turns; i++) await Promise.resolve();
      assert.equal((await peer.delete()).status, 204);
      for (const response of await Promise.all(attempts)) {
        if (response.headers.get("content-type") !== "text/event-stream") continue;
        await peer.frames(response).rest();
      }
      const left = { sessions: 0, streams: 0, requests: 0, questions: 0, listens: 0 };
      assert.deepEqual(handler.stats(), left, `after ${turns} turns`);
      await handler.close();
    }
  });

  test("[SES-6] a JSON exchange that a DELETE ends says that the session is gone", async () => {
    const { handler, blocker } = endpoint();
    const peer = await initialize(handler);
    const call = peer.call(7, "block", {}, { accept: "application/json" });
    await blocker.running();
    await peer.delete();
    const { message } = await refused(await call, 404, -32001, 7);
    assert.equal(message, "Session not found");
    await handler.close();
  });
});

describe("SES: versions", () => {
  const versions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
  for (const version of versions) {
    test(`[SES-7] ${version} is agreed on as it is proposed`, async () => {
      const { handler, stub } = endpoint();
      const peer = new Peer(handler, { version });
      assert.equal((await peer.initialize()).protocolVersion, version);
      await peer.result(await peer.request(1, "ping"));
      const silent = await peer.request(2, "ping", undefined, {
        "mcp-protocol-version": undefined,
      });
      await peer.result(silent);
      assert.deepEqual(stub.exchanges.map(({ protocolVersion }) => protocolVersion), [
        version,
        version,
        version,
      ]);
      await handler.close();
    });

    test(`[SES-7] in a session of ${version} any other version is refused, and nothing runs`, async () => {
      const { handler, stub } = endpoint();
      const peer = await initialize(handler, { version });
      const before = stub.exchanges.length;
      for (const other of versions.filter((each) => each !== version)) {
        const extra = { "mcp-protocol-version": other };
        await refused(await peer.request(5, "ping", undefined, extra), 400, -32000, 5);
        await refused(await peer.get(undefined, extra), 400, -32000);
        await refused(await peer.delete(extra), 400, -32000);
      }
      assert.equal(stub.exchanges.length, before);
      assert.equal(handler.stats().sessions, 1);
      await handler.close();
    });
  }

  for (
    const version of ["1999-01-01", "2025-11-26", "latest", "constructor", "DRAFT-2026-v1", ""]
  ) {
    test(`[SES-7] "${version}" in the header → 400 with the list and the request's id`, async () => {
      const { handler } = endpoint();
      const peer = await initialize(handler);
      const extra = { "mcp-protocol-version": version };
      const { data } = await refused(
        await peer.request("r", "ping", undefined, extra),
        400,
        -32000,
        "r",
      );
      assert.deepEqual(data, { supported: versions.toReversed() });
      await refused(await peer.get(undefined, extra), 400, -32000);
      await refused(await peer.delete(extra), 400, -32000);
      await handler.close();
    });

    test(`[SES-7] "${version}" in initialize is answered with the latest, and the header is no matter`, async () => {
      const { handler } = endpoint({ versions: ["2025-03-26", "2025-06-18"] });
      const peer = new Peer(handler, { version });
      const response = await peer.post(peer.initializeRequest(), {
        "mcp-protocol-version": "1999-01-01",
      });
      const { result } = await response.json();
      assert.equal(result.protocolVersion, "2025-06-18");
      await handler.close();
    });
  }

  test("[SES-7] a version that is known but not served is refused like any other", async () => {
    const { handler } = endpoint({ versions: ["2025-11-25"] });
    const peer = new Peer(handler, { version: "2025-06-18" });
    assert.equal((await peer.initialize()).protocolVersion, "2025-11-25");
    const extra = { "mcp-protocol-version": "2025-06-18" };
    const { data } = await refused(await peer.request(1, "ping", undefined, extra), 400, -32000, 1);
    assert.deepEqual(data, { supported: ["2025-11-25"] });
    await handler.close();
  });
});

describe("SES: opened by the application", () => {
  test("[SES-5, SES-8] one that could not begin leaves its place to another", async () => {
    const store = new FaultyStore();
    const { handler } = endpoint({ store, limits: { sessions: 1 } });
    store.fault = (name) => name === "sessions.create" ? "rejects" : undefined;
    await assert.rejects(handler.sessions.open(), /sessions\.create/);
    store.heal();
    assert.ok(await handler.sessions.open());
    assert.equal(handler.stats().sessions, 1);
    await handler.close();
  });

  test("[SES-8] the first principal that uses it owns it, nobody else ever can", async () => {
    for (const [name, send] of Object.entries(KINDS)) {
      if (name === "a DELETE") continue;
      const { handler } = endpoint({ authenticate: byToken });
      const id = await handler.sessions.open();
      assert.match(id, /^[A-Za-z0-9_-]{32}$/);
      assert.equal(handler.sessions.size, 1);
      const alice = new Peer(handler, { version: "2025-03-26", headers: as("alice") });
      alice.sessionId = id;
      const claimed = await send(alice);
      assert.ok(claimed.status < 300, name);
      await claimed.body?.cancel();
      const bob = alice.with({ headers: as("bob") });
      for (const each of Object.values(KINDS)) await refused(await each(bob), 404, -32001);
      // The stream that claimed it has closed; the claim stays.
      await alice.result(await alice.request(1, "ping"));
      assert.equal((await alice.delete()).status, 204);
      for (const each of Object.values(KINDS)) await refused(await each(bob), 404, -32001);
      await handler.close();
    }
  });

  test("[SES-8] of many who race for it one gets it", async () => {
    const { handler } = endpoint({ authenticate: byToken });
    const id = await handler.sessions.open();
    const statuses = await Promise.all(Array.from({ length: 10 }, async (_, i) => {
      const peer = new Peer(handler, { headers: as(`user${i}`) });
      peer.sessionId = id;
      const response = await peer.request(1, "ping");
      await response.body?.cancel();
      return response.status;
    }));
    assert.deepEqual(statuses.toSorted(), [200, ...Array(9).fill(404)]);
    await handler.close();
  });

  test("[SES-8, STR-12] what is pushed before the client comes is delivered when it does", async () => {
    const { handler } = endpoint({ authenticate: byToken });
    const id = await handler.sessions.open();
    assert.equal(await handler.notify(id, logMessage("early")), true);
    const peer = new Peer(handler, { headers: as("alice") });
    peer.sessionId = id;
    const stream = await peer.listen();
    assert.equal(logData(await stream.message()), "early");
    assert.equal(await handler.notify(id, logMessage("late")), true);
    assert.equal(logData(await stream.message()), "late");
    assert.equal(await handler.sessions.end(id), true);
    assert.deepEqual(await stream.messages(), []);
    assert.equal(await handler.sessions.end(id), false);
    assert.equal(await handler.notify(id, logMessage("gone")), false);
    await handler.close();
  });

  test("[SES-8] it counts towards limits.sessions and ends like any other", async () => {
    const { handler, clock, stub } = endpoint({
      limits: { sessions: 1 },
      sessions: { idleMs: 1_000 },
    });
    const id = await handler.sessions.open();
    await clock.advance(MINUTE);
    assert.deepEqual(stub.ended, [{ id, reason: "idle" }]);
    const peer = await initialize(handler);
    const stream = await peer.listen();
    await assert.rejects(handler.sessions.open(), /limits\.sessions/);
    await stream.cancel();
    await handler.sessions.open();
    assert.equal(handler.sessions.size, 1);
    await handler.close();
  });
});

describe("SES: a batch", () => {
  test("[SES-6] nothing of it runs in a session that an earlier call of it has ended", async () => {
    const ran: string[] = [];
    const stub = new Stub({
      end({ session }) {
        ran.push("end");
        void handler.sessions.end(String(session?.id));
        return text("ended");
      },
      hello() {
        ran.push("hello");
        return text("Hello");
      },
    });
    const handler: McpHandler = createMcpHandler(stub);
    const peer = await initialize(handler, { version: "2025-03-26" });
    const call = (id: number, name: string) => {
      return { jsonrpc: "2.0", id, method: "tools/call", params: { name } };
    };
    const batch = [call(1, "end"), call(2, "hello"), call(3, "hello")];
    await (await peer.post(batch)).body?.cancel();
    assert.deepEqual(ran, ["end"]);
    assert.equal(handler.stats().requests, 0);
    await handler.close();
  });
});

describe("SES: before the client is ready", () => {
  test("[SES-9] requests are answered all the same", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler, { ready: false });
    await peer.result(await peer.request(1, "ping"));
    assert.equal(textOf(await peer.result(await peer.call(2, "session"))), peer.sessionId);
    await handler.close();
  });

  test("[SES-9] nothing is pushed to the client until it says that it is ready", async () => {
    const { handler, stub } = endpoint();
    const peer = await initialize(handler, { ready: false });
    const stream = await peer.listen();
    assert.equal((await stream.next())?.id, "s.0");
    assert.equal(await handler.notify(String(peer.sessionId), logMessage("held")), true);
    stub.host?.broadcast({ method: "notifications/tools/list_changed" });
    const next = stream.message();
    assert.equal(await isPending(next), true);
    await peer.notify("notifications/initialized");
    assert.equal(logData(await next), "held");
    assert.equal((await stream.message())?.method, "notifications/tools/list_changed");
    await handler.notify(String(peer.sessionId), logMessage("at once"));
    assert.equal(logData(await stream.message()), "at once");
    await handler.close();
  });

  test("[SES-9, STR-13] of many like notifications that wait for it one is sent", async () => {
    const { handler, stub } = endpoint();
    const peer = await initialize(handler, { ready: false });
    for (let i = 0; i < 3; i++) {
      stub.host?.broadcast({ method: "notifications/tools/list_changed" });
      stub.host?.broadcast({ method: "notifications/prompts/list_changed" });
      await flush();
    }
    await peer.notify("notifications/initialized");
    const stream = await peer.listen();
    await peer.delete();
    const methods = (await stream.messages()).map(({ method }) => method);
    assert.deepEqual(methods, [
      "notifications/tools/list_changed",
      "notifications/prompts/list_changed",
    ]);
    await handler.close();
  });

  test("[SES-9] saying it again changes nothing", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler, { ready: false });
    const stream = await peer.listen();
    await handler.notify(String(peer.sessionId), logMessage(1));
    await peer.notify("notifications/initialized");
    await peer.notify("notifications/initialized");
    await peer.delete();
    assert.deepEqual((await stream.messages()).map(logData), [1]);
    await handler.close();
  });
});

describe("SES: without sessions", () => {
  test("[SES-11] no id is minted, and requests need none", async () => {
    const { handler, stub } = endpoint({ sessions: false });
    const peer = new Peer(handler);
    const response = await peer.post(peer.initializeRequest());
    assert.equal(response.headers.get("mcp-session-id"), null);
    await peer.result(response);
    await peer.notify("notifications/initialized");
    assert.equal(textOf(await peer.result(await peer.call(1, "session"))), "none");
    assert.equal(stub.exchanges.at(-1)?.session, undefined);
    await accepted(await peer.post({ jsonrpc: "2.0", id: "q", result: {} }));
    assert.equal(handler.stats().sessions, 0);
    await handler.close();
  });

  test("[SES-11] GET and DELETE → 405 with Allow: POST", async () => {
    const { handler } = endpoint({ sessions: false });
    const peer = new Peer(handler);
    for (const send of [peer.get(), peer.get("a.1"), peer.delete()]) {
      const response = await send;
      assert.equal(response.headers.get("allow"), "POST");
      await refused(response, 405, -32000);
    }
    await handler.close();
  });

  test("[SES-11] an id that a client sends all the same is ignored", async () => {
    const { handler } = endpoint({ sessions: false });
    const peer = new Peer(handler);
    peer.sessionId = UNKNOWN;
    await peer.result(await peer.request(1, "ping"));
    await handler.close();
  });

  test("[SES-11] the version is the header's, or else 2025-03-26", async () => {
    const { handler, stub } = endpoint({ sessions: false });
    const peer = new Peer(handler);
    await peer.result(await peer.request(1, "ping"));
    await peer.result(
      await peer.request(2, "ping", undefined, { "mcp-protocol-version": "2025-11-25" }),
    );
    assert.deepEqual(stub.exchanges.map(({ protocolVersion }) => protocolVersion), [
      "2025-03-26",
      "2025-11-25",
    ]);
    const extra = { "mcp-protocol-version": "1999-01-01" };
    await refused(await peer.request(3, "ping", undefined, extra), 400, -32000, 3);
    await handler.close();
  });

  test("[SES-11, SES-7] a version that isn't served is refused, without a session too", async () => {
    const { handler } = endpoint({ sessions: false, versions: ["2025-11-25"] });
    const peer = new Peer(handler);
    const extra = { "mcp-protocol-version": "2025-06-18" };
    const { data } = await refused(await peer.request(1, "ping", undefined, extra), 400, -32000, 1);
    assert.deepEqual(data, { supported: ["2025-11-25"] });
    await handler.close();
  });

  test("[SES-11, CLU-9] a drain refuses nobody where there are no sessions", async () => {
    const { handler } = endpoint({ sessions: false });
    await handler.drain();
    const peer = new Peer(handler);
    await peer.result(await peer.post(peer.initializeRequest()));
    await peer.result(await peer.request(1, "ping"));
    await handler.close();
  });

  test("[SES-11] a call may stream all the same, without event ids", async () => {
    const stub = new Stub({
      async chat(exchange) {
        exchange.notify(logMessage("hi"));
        await flush();
        return text("bye");
      },
    });
    const handler = createMcpHandler(stub, { sessions: false });
    const peer = new Peer(handler);
    const frames = await peer.frames(await peer.call(1, "chat")).rest();
    assert.deepEqual(frames.map(({ id }) => id), [undefined, undefined]);
    assert.equal(logData(frames[0]?.message), "hi");
    assert.equal(textOf(frames[1]?.message?.result), "bye");
    assert.equal(handler.stats().streams, 0);
    await handler.close();
  });
});
