/**
 * Everything that somebody without a claim to a session can try: each way of asking, each kind of
 * claim that isn't one. Whatever is tried, the answer is the one for an id that nobody ever had, byte
 * for byte, and nothing of anybody's changes.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { FakeClock, flush } from "../support/clock.ts";
import {
  as,
  byToken,
  Events,
  type Frames,
  Gate,
  initialize,
  logData,
  logMessage,
  Peer,
  type Seen,
  seen,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";

const UNKNOWN = "U".repeat(32);
const IDLE_MS = 10_000;

/** What is known of a victim: more than an attacker could ever find out. */
interface Target {
  readonly callId: string;
  readonly questionId: unknown;
  readonly eventId: string;
}

/** What an attacker knows when there is nothing to know. */
const NOTHING: Target = { callId: "call", questionId: "q-nothing", eventId: "s.0" };

const WAYS: Readonly<Record<string, (peer: Peer, target: Target) => Promise<Response>>> = {
  "POST request": (peer, { callId }) => peer.call(callId, "hello"),
  "POST notification": (peer) =>
    peer.post({ jsonrpc: "2.0", method: "notifications/roots/list_changed" }),
  "POST reply": (peer, { questionId }) =>
    peer.post({ jsonrpc: "2.0", id: questionId, result: { roots: [{ uri: "file:///evil" }] } }),
  "POST cancel": (peer, { callId }) =>
    peer.post({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: callId },
    }),
  "GET": (peer) => peer.get(),
  "GET resume": (peer, { eventId }) => peer.get(eventId),
  "DELETE": (peer) => peer.delete(),
};

/** A handler where alice, bob and mallory are somebody, and the tools that a victim uses. */
function endpoint(options: McpHandlerOptions = {}) {
  const clock = new FakeClock();
  const events = new Events();
  const gate = new Gate<string>();
  const stub = new Stub({
    hello: () => text("Hello"),
    async work(exchange) {
      exchange.notify(logMessage("working"));
      const { roots } = await exchange.ask("roots/list", {});
      return text(`${JSON.stringify(roots)} ${await gate.promise}`);
    },
  });
  const handler = createMcpHandler(stub, {
    clock,
    authenticate: byToken,
    onEvent: events.onEvent,
    sessions: { idleMs: IDLE_MS },
    ...options,
  });
  return { clock, events, gate, stub, handler };
}

type Endpoint = ReturnType<typeof endpoint>;

/** A victim with everything going on: a call with its stream, a question, a stream of the server's. */
async function victimOf({ handler }: Endpoint) {
  const peer = await initialize(handler, { headers: as("alice"), capabilities: { roots: {} } });
  const server: Frames = await peer.listen();
  await server.next();
  const call = peer.frames(await peer.call("call", "work"));
  const working = await call.messageFrame();
  assert.equal(logData(working?.message), "working");
  const question = await call.message();
  assert.equal(question?.method, "roots/list");
  const target = { callId: "call", questionId: question.id, eventId: String(working?.id) };
  return { peer, server, call, target };
}

/** Checks that a victim's doings go on as if nothing had happened. */
async function unharmed(
  { gate, handler, stub }: Endpoint,
  { peer, server, call, target }: Awaited<ReturnType<typeof victimOf>>,
): Promise<void> {
  assert.deepEqual(handler.stats(), {
    sessions: handler.stats().sessions,
    streams: 2,
    requests: 1,
    questions: 1,
    listens: 0,
  });
  assert.equal(stub.exchanges.filter(({ method }) => method === "tools/call").length, 1);
  assert.deepEqual(
    stub.notifications.filter(({ method }) => method !== "notifications/initialized"),
    [],
  );
  await handler.notify(String(peer.sessionId), logMessage("still there"));
  assert.equal(logData(await server.message()), "still there");
  await peer.reply(target.questionId, { roots: [{ uri: "file:///good" }] });
  gate.open("done");
  const [answer, ...more] = await call.messages();
  assert.equal(answer?.id, "call");
  assert.equal(textOf(answer?.result), '[{"uri":"file:///good"}] done');
  assert.deepEqual(more, []);
  // A stream that is resumed has every message once, in order.
  const again = await (await peer.listen(target.eventId)).messages();
  assert.deepEqual(again.map(({ id }) => id), [target.questionId, "call"]);
  assert.equal((await peer.delete()).status, 204);
}

/** Those who try, and what they try it with. */
interface Attacker {
  /** The headers that say who it is. */
  readonly headers: Peer["headers"];
  /** Readies an id to try: the victim's own, or one of the attacker's that is over. */
  readonly id: (endpoint: Endpoint, victim: string) => Promise<string>;
  /** What its answer has to be like. */
  readonly like: Peer["headers"];
  readonly status: number;
}

const ATTACKERS: Readonly<Record<string, Attacker>> = {
  "no credentials": {
    headers: {},
    id: (_endpoint, victim) => Promise.resolve(victim),
    like: {},
    status: 401,
  },
  "another principal": {
    headers: as("mallory"),
    id: (_endpoint, victim) => Promise.resolve(victim),
    like: as("mallory"),
    status: 404,
  },
  "an unknown id": {
    headers: as("alice"),
    id: () => Promise.resolve("V".repeat(32)),
    like: as("mallory"),
    status: 404,
  },
  "an ended id": {
    headers: as("alice"),
    async id({ handler }) {
      const ended = await initialize(handler, { headers: as("alice") });
      assert.equal((await ended.delete()).status, 204);
      return String(ended.sessionId);
    },
    like: as("mallory"),
    status: 404,
  },
  "an expired id": {
    headers: as("alice"),
    async id({ handler, clock }) {
      const expired = await initialize(handler, { headers: as("alice") });
      await clock.advance(IDLE_MS);
      return String(expired.sessionId);
    },
    like: as("mallory"),
    status: 404,
  },
};

async function attempt(
  { handler }: Endpoint,
  way: string,
  headers: Peer["headers"],
  id: string,
  target: Target,
): Promise<Seen> {
  const peer = new Peer(handler, { headers });
  peer.sessionId = id;
  const send = WAYS[way];
  assert.ok(send);
  return await seen(await send(peer, target));
}

for (const [name, attacker] of Object.entries(ATTACKERS)) {
  describe(`OWN: ${name}`, () => {
    for (const way of Object.keys(WAYS)) {
      test(`[OWN-1, OWN-2, SES-3] ${way} with ${name} is like an id that nobody had, and harms nobody`, async () => {
        const world = endpoint();
        const victim = await victimOf(world);
        const id = await attacker.id(world, String(victim.peer.sessionId));
        const before = world.events.all.length;
        const reference = await attempt(world, way, attacker.like, UNKNOWN, NOTHING);
        assert.equal(reference.status, attacker.status);
        for (let i = 0; i < 3; i++) {
          const got = await attempt(world, way, attacker.headers, id, victim.target);
          assert.deepEqual(got, reference);
        }
        await flush();
        const told = world.events.all.slice(before).map(({ type }) => type);
        const harmless = new Set(["refused", "session-ended"]);
        assert.deepEqual(told.filter((type) => !harmless.has(type)), []);
        assert.doesNotMatch(JSON.stringify(reference), new RegExp(`${id}|${UNKNOWN}`));
        await unharmed(world, victim);
        await world.handler.close();
      });
    }
  });
}

describe("OWN: nothing is touched", () => {
  for (const name of ["no credentials", "another principal"]) {
    for (const way of Object.keys(WAYS)) {
      test(`[OWN-2] ${way} with ${name} doesn't keep a session from expiring`, async () => {
        const world = endpoint();
        const { handler, clock } = world;
        const alice = await initialize(handler, { headers: as("alice") });
        const headers = ATTACKERS[name]?.headers ?? {};
        await clock.advance(IDLE_MS - 1);
        await attempt(world, way, headers, String(alice.sessionId), NOTHING);
        await clock.advance(1);
        assert.equal((await seen(await alice.request(1, "ping"))).status, 404);
        await handler.close();
      });

      test(`[OWN-2] ${way} with ${name} doesn't move a session in the order of eviction`, async () => {
        const world = endpoint({ limits: { sessions: 2 } });
        const { handler, stub } = world;
        const alice = await initialize(handler, { headers: as("alice") });
        const bob = await initialize(handler, { headers: as("bob") });
        const headers = ATTACKERS[name]?.headers ?? {};
        await attempt(world, way, headers, String(alice.sessionId), NOTHING);
        await initialize(handler, { headers: as("carol") });
        assert.deepEqual(stub.ended, [{ id: alice.sessionId, reason: "evicted" }]);
        assert.equal((await seen(await bob.request(1, "ping"))).status, 200);
        await handler.close();
      });
    }
  }

  test("[OWN-2] the owner's own use does both, so the tests above can fail", async () => {
    const world = endpoint({ limits: { sessions: 2 } });
    const { handler, stub, clock } = world;
    const alice = await initialize(handler, { headers: as("alice") });
    const bob = await initialize(handler, { headers: as("bob") });
    await clock.advance(IDLE_MS - 1);
    await bob.request(1, "ping");
    await alice.request(1, "ping");
    await clock.advance(1);
    await initialize(handler, { headers: as("carol") });
    assert.deepEqual(stub.ended, [{ id: bob.sessionId, reason: "evicted" }]);
    await handler.close();
  });
});
