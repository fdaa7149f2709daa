/**
 * A store that fails, stalls, or loses its answers, at each call that there is.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock } from "../support/clock.ts";
import { CAPABLE, ModernPeer } from "../support/modern.ts";
import {
  as,
  byToken,
  Events,
  type Frames,
  Gate,
  isPending,
  logData,
  logMessage,
  Peer,
  Stub,
} from "../support/wire.ts";
import { ASYNCHRONOUS, type FaultKind, FaultyStore, SYNCHRONOUS } from "./faulty_store.ts";
import {
  assertAnsweredOnce,
  assertEmpty,
  assertNothingInside,
  checkResponse,
  NOTHING,
  outcomeOf,
  quiet,
} from "./invariants.ts";
import { property } from "./runs.ts";

/** Thrown where a client would go on waiting. */
class Waiting extends Error {}

/** A peer that gives up where nothing comes any more, and looks at every message. */
class PatientPeer extends Peer {
  override check(message: Parameters<Peer["check"]>[0]): void {
    super.check(message);
    assertNothingInside(JSON.stringify(message));
  }
}

/** A server with one of everything that touches a store. */
function serverOf(gates: Gate<string>[]) {
  const server = new McpServer({ name: "faults", version: "1.0.0" });
  server.registerTool("hello", {}, () => "Hello");
  server.registerTool("speak", {}, async (_args, ctx) => {
    const gate = new Gate<string>();
    gates.push(gate);
    ctx.log("error", "one");
    ctx.log("error", "two");
    return await gate.promise;
  });
  server.registerTool("hurry", {}, (_args, ctx) => {
    ctx.log("error", "one");
    return "Done";
  });
  server.registerTool("ask", {}, async (_args, ctx) => {
    const [root] = await ctx.roots();
    return root?.uri ?? "none";
  });
  server.registerTool("remember", {}, async (_args, ctx) => {
    await ctx.session?.state.set("key", "value");
    const value = await ctx.session?.state.get("key");
    await ctx.session?.state.delete("key");
    return `${value}`;
  });
  server.registerTool("block", {}, async (_args, ctx) => {
    await new Promise((_, reject) => {
      ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason), { once: true });
    });
    return "";
  });
  server.registerResource("note", "test://note", {}, () => "A note");
  return server;
}

/** A handler over a faulty store, and clients whose every answer is looked at. */
class World {
  readonly clock = new FakeClock();
  readonly store = new FaultyStore();
  readonly events = new Events();
  readonly gates: Gate<string>[] = [];
  readonly server = serverOf(this.gates);
  readonly handler: McpHandler;
  readonly peer: Peer;
  /** An endpoint over the same store where no handshake succeeds. */
  readonly unwilling: McpHandler;
  readonly frames: Frames[] = [];
  /** What has not been answered so far. */
  readonly waiting = new Set<Promise<Response>>();
  #id = 0;

  constructor() {
    this.handler = createMcpHandler(this.server, {
      clock: this.clock,
      store: this.store,
      authenticate: byToken,
      onEvent: this.events.onEvent,
    });
    const unwilling = new Stub({}, {
      initialize: () => {
        throw new McpError(ErrorCode.InvalidParams, "Not now");
      },
    });
    this.unwilling = createMcpHandler(unwilling, {
      clock: this.clock,
      store: this.store,
      authenticate: byToken,
      onEvent: this.events.onEvent,
    });
    this.peer = new PatientPeer((request) => this.fetch(request), {
      headers: as("alice"),
      capabilities: { roots: {} },
    });
  }

  /** An id that no request had. */
  get id(): number {
    return ++this.#id;
  }

  /** Answers a request as far as the store lets it. */
  async fetch(request: Request, handler: McpHandler = this.handler): Promise<Response> {
    const answer = handler(request);
    this.waiting.add(answer);
    const checked = answer.then(async (response) => {
      this.waiting.delete(answer);
      await checkResponse(response, [503]);
      return response;
    });
    const outcome = await this.settled(checked);
    if (outcome === undefined) throw new Waiting();
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  /** What something comes to, while the store lets go of what is late. */
  async settled<T>(promise: Promise<T>) {
    promise.catch(() => {});
    for (let turn = 0; turn < 20; turn++) {
      const outcome = await outcomeOf(promise);
      if (outcome !== undefined || !this.store.waiting) return outcome;
      this.store.release();
    }
    return undefined;
  }

  /** Opens a response as a stream, if it is one. */
  stream(response: Response): Frames | undefined {
    if (response.headers.get("content-type") !== "text/event-stream") return undefined;
    const frames = this.peer.frames(response);
    this.frames.push(frames);
    return frames;
  }

  /** Tells whoever waits for a gate to go on. */
  open(): void {
    for (const gate of this.gates.splice(0)) gate.open("done");
  }

  /** Goes away from every stream. */
  async leave(): Promise<void> {
    for (const frames of this.frames.splice(0)) await frames.cancel();
  }
}

type Step = (world: World) => Promise<unknown>;

/** Reads a frame that may never come. */
async function read(world: World, frames: Frames | undefined): Promise<string | undefined> {
  if (frames === undefined) return undefined;
  const outcome = await world.settled(frames.messageFrame());
  return outcome !== undefined && "value" in outcome ? outcome.value?.id : undefined;
}

/** Everything that clients and applications do, each once. */
const STEPS: Readonly<Record<string, Step>> = {
  async "a call"(world) {
    const { peer, id } = world;
    await peer.call(id, "hello");
  },
  async "a call that streams, breaks and is resumed"(world) {
    const { peer } = world;
    const frames = world.stream(await peer.call(world.id, "speak"));
    const seen = await read(world, frames);
    await frames?.cancel();
    world.open();
    await quiet();
    if (seen !== undefined) {
      const again = world.stream(await peer.get(seen));
      await read(world, again);
      await read(world, again);
    }
  },
  async "a call that streams and is over at once"(world) {
    const frames = world.stream(await world.peer.call(world.id, "hurry"));
    await read(world, frames);
    await read(world, frames);
  },
  async "a call that asks"(world) {
    const { peer } = world;
    const frames = world.stream(await peer.call(world.id, "ask"));
    if (frames === undefined) return;
    const outcome = await world.settled(frames.message());
    const question = outcome !== undefined && "value" in outcome ? outcome.value : undefined;
    await peer.post({
      jsonrpc: "2.0",
      id: question?.id ?? "q-none",
      result: { roots: [{ uri: "file:///a" }] },
    });
    await read(world, frames);
  },
  async "a call that remembers"(world) {
    await world.peer.call(world.id, "remember");
  },
  async "a call that is cancelled"(world) {
    const { peer, id } = world;
    const answer = peer.call(id, "block");
    answer.catch(() => {});
    await quiet();
    await peer.post({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: id },
    });
    await world.settled(answer);
  },
  async "a call that takes long"(world) {
    const { peer, id } = world;
    const answer = peer.request(id, "tools/call", {
      name: "block",
      arguments: {},
      _meta: { progressToken: "t" },
    });
    const outcome = world.settled(answer);
    await world.clock.advance(20_000);
    await world.settled(answer);
    await outcome;
  },
  async "a log level"(world) {
    await world.peer.request(world.id, "logging/setLevel", { level: "error" });
  },
  async "a subscription"(world) {
    await world.peer.request(world.id, "resources/subscribe", { uri: "test://note" });
    world.server.resourceUpdated("test://note");
    await world.clock.advance(300);
    await world.peer.request(world.id, "resources/unsubscribe", { uri: "test://note" });
  },
  async "the server's stream"(world) {
    const { peer, handler } = world;
    const frames = world.stream(await peer.get());
    await world.settled(handler.notify(String(peer.sessionId), logMessage("hello")));
    const seen = await read(world, frames);
    await frames?.cancel();
    const again = world.stream(await peer.get(seen));
    // A second one takes over
    world.stream(await peer.get());
    await read(world, again);
  },
  async "a cursor that nobody gave out"(world) {
    world.stream(await world.peer.get("nowhere.17"));
  },
  async "a change of the lists"(world) {
    world.server.registerTool(`tool${world.id}`, {}, () => "");
    await world.clock.advance(300);
  },
  async "a session of the application's own"(world) {
    const { handler } = world;
    const outcome = await world.settled(handler.sessions.open());
    if (outcome === undefined || !("value" in outcome)) return;
    await world.settled(handler.notify(outcome.value, logMessage("hello")));
    await world.settled(handler.sessions.end(outcome.value));
  },
  async "a look at the expired"(world) {
    await world.clock.advance(60_000);
  },
  async "a stranger"(world) {
    await world.peer.with({ headers: as("mallory") }).call(world.id, "hello");
  },
  async "a handshake that comes to nothing"(world) {
    const peer = new PatientPeer((request) => world.fetch(request, world.unwilling), {
      headers: as("alice"),
    });
    await peer.post(peer.initializeRequest(world.id));
  },
  async "a client of 2026"(world) {
    // Nothing of it is kept in the store
    const modern = new ModernPeer(world.handler, { headers: as("alice"), capabilities: CAPABLE });
    await modern.result(await modern.call("hello"));
  },
  async "a DELETE"(world) {
    await world.peer.delete();
  },
};

/** Does one thing, and passes over what the store doesn't let happen. */
async function attempt(world: World, step: Step): Promise<void> {
  try {
    await step(world);
  } catch (error) {
    if (!(error instanceof Waiting)) throw error;
  }
  await quiet();
}

/** Shakes hands as far as the store lets it. */
async function shakeHands(world: World): Promise<void> {
  const { peer } = world;
  await attempt(world, async () => {
    const response = await peer.post(peer.initializeRequest(world.id));
    peer.sessionId = response.headers.get("mcp-session-id") ?? peer.sessionId;
  });
  // A message that waits until the client is ready
  const early = world.handler.notify(String(peer.sessionId), logMessage("early"));
  await attempt(world, () => world.settled(early));
  await attempt(world, () => peer.post({ jsonrpc: "2.0", method: "notifications/initialized" }));
}

/** Everything that there is ends, with a store that works again. */
async function clearUp(world: World): Promise<void> {
  const { store, handler } = world;
  world.open();
  store.heal();
  await quiet();
  await world.leave();
  // What the client could not end, the application can
  for (const id of [...store.inside.sessions.ids() as Iterable<string>]) {
    assert.equal(await handler.sessions.end(id), true, "a session can't be ended");
  }
  world.open();
  await assertEmpty(handler);
  assert.equal(world.waiting.size, 0, "a request was never answered");
  // It works as if nothing had been
  const peer = new Peer(handler, { headers: as("alice") });
  await peer.initialize();
  await peer.result(await peer.call(1, "hello"));
  const frames = await peer.listen();
  assert.equal(await handler.notify(String(peer.sessionId), logMessage("again")), true);
  assert.equal((await frames.message())?.method, "notifications/message");
  assert.equal((await peer.delete()).status, 204);
  await assertEmpty(handler);
  await handler.close();
  assert.deepEqual(world.unwilling.stats(), NOTHING);
  await world.unwilling.close();
  await world.clock.advance(3_600_000);
  assert.equal(world.clock.pending, 0, "a timer is left");
}

/** Whether something that was told has to do with the store: nothing else may have gone wrong. */
function assertOnlyStoreFailed({ events }: World): void {
  for (const { error, during } of events.of("error")) {
    assert.ok(error instanceof Error && error.name === "StoreFailure", `${during}: ${error}`);
  }
  assert.deepEqual(events.refusals.filter((reason) => reason === "internal"), []);
}

const KINDS: readonly FaultKind[] = ["throws", "rejects", "lost", "late", "unheard", "stuck"];

describe("CLU: a store that fails at one call", () => {
  const faults = [
    ...ASYNCHRONOUS.flatMap((call) => KINDS.map((kind) => ({ call, kind }))),
    ...SYNCHRONOUS.flatMap((call) => (["throws", "lost"] as const).map((kind) => ({ call, kind }))),
  ];
  for (const { call, kind } of [{ call: "none", kind: "throws" as const }, ...faults]) {
    test(`[CLU-8, STR-11] ${call} ${kind}: 503 at worst, and everything comes back`, async () => {
      const world = new World();
      await shakeHands(world);
      for (const [name, step] of Object.entries(STEPS)) {
        // Each step begins in a session that works
        if (world.peer.sessionId === undefined || name === "a DELETE") {
          world.store.heal();
          await shakeHands(world);
        }
        world.store.fault = (made) => made === call ? kind : undefined;
        await attempt(world, step);
      }
      world.store.fault = (made) => made === call ? kind : undefined;
      await shakeHands(world);
      assertOnlyStoreFailed(world);
      await clearUp(world);
    });
  }
});

/** Calls that only sessions with live state, many nodes or a gateway make. */
const ELSEWHERE: readonly string[] = [
  ...["leases.held", "member.send", "nodes.beat", "nodes.find", "nodes.leave"],
  ...["claims.claim", "claims.holder", "claims.release", "documents.get", "documents.put"],
];

test("[CLU-8] every call of the store that can fail is made by what clients do above", async () => {
  const world = new World();
  await shakeHands(world);
  for (const step of Object.values(STEPS)) await attempt(world, step);
  await clearUp(world);
  const missing = [...ASYNCHRONOUS, ...SYNCHRONOUS].filter((call) => !world.store.calls.has(call));
  assert.deepEqual(missing.filter((call) => !ELSEWHERE.includes(call)), []);
});

describe("CLU: a store that fails anywhere, in any order", () => {
  const fault = fc.oneof(
    fc.record({ call: fc.constantFrom(...ASYNCHRONOUS), kind: fc.constantFrom(...KINDS) }),
    fc.record({
      call: fc.constantFrom(...SYNCHRONOUS),
      kind: fc.constantFrom<FaultKind>("throws", "lost"),
    }),
  ).chain((where) =>
    fc.record({ from: fc.nat(12), count: fc.integer({ min: 1, max: 6 }) })
      .map((when) => ({ ...where, ...when }))
  );
  const plan = fc.record({
    faults: fc.array(fault, { minLength: 1, maxLength: 8 }),
    steps: fc.array(fc.constantFrom(...Object.keys(STEPS)), { minLength: 1, maxLength: 15 }),
  });

  property(
    "[CLU-8, STR-11] whatever fails whenever, it is 503 at worst, and everything comes back",
    plan,
    { everyday: 150, long: 10_000 },
    async ({ faults, steps }) => {
      const world = new World();
      world.store.fault = (made, nth) =>
        faults.find(({ call, from, count }) => made === call && nth >= from && nth < from + count)
          ?.kind;
      for (const name of steps) {
        if (world.peer.sessionId === undefined || name === "a DELETE") await shakeHands(world);
        const step = STEPS[name];
        if (step !== undefined) await attempt(world, step);
      }
      assertOnlyStoreFailed(world);
      await clearUp(world);
    },
  );
});

describe("CLU: a store that is away", () => {
  /** A client in a session, over a store that has just gone away. */
  async function away(kind: FaultKind = "rejects") {
    const world = new World();
    await shakeHands(world);
    world.store.fault = () => kind;
    return world;
  }

  for (const kind of ["throws", "rejects"] as const) {
    test(`[CLU-8] what needs it is 503 on every verb, and says nothing of it (${kind})`, async () => {
      const world = await away(kind);
      const { peer, handler } = world;
      const asked: Record<string, () => Promise<Response>> = {
        POST: () => peer.call(world.id, "hello"),
        notification: () => peer.post({ jsonrpc: "2.0", method: "notifications/x" }),
        GET: () => peer.get(),
        resume: () => peer.get("s.0"),
        DELETE: () => peer.delete(),
        initialize: () => new Peer(handler, { headers: as("bob") }).post(peer.initializeRequest()),
      };
      for (const [name, ask] of Object.entries(asked)) {
        const response = await ask();
        assert.equal(response.status, 503, name);
        assert.equal(response.headers.get("retry-after"), "1", name);
        assertNothingInside(await response.text());
      }
      // Each is reported once, after the failure behind it.
      const { refusals, all } = world.events;
      assert.deepEqual(refusals, Object.keys(asked).map(() => "store-failed"));
      for (const [index, { type }] of all.entries()) {
        if (type === "refused") assert.equal(all[index - 1]?.type, "error");
      }
      await clearUp(world);
    });
  }

  test("[CLU-8, SES-6] a DELETE that failed can be tried again", async () => {
    for (const call of ["log.drop", "sessions.end"]) {
      const world = new World();
      await shakeHands(world);
      world.store.fault = (made) => made === call ? "rejects" : undefined;
      assert.equal((await world.peer.delete()).status, 503);
      world.store.heal();
      assert.equal((await world.peer.delete()).status, 204);
      assert.equal((await world.peer.delete()).status, 404);
      assert.deepEqual(world.handler.stats(), NOTHING);
      await clearUp(world);
    }
  });

  for (const kind of KINDS) {
    test(`[END-1] a store that is away holds up no close (${kind})`, async () => {
      const world = new World();
      await shakeHands(world);
      const { peer, handler, clock, store } = world;
      const frames = world.stream(await peer.get());
      const call = peer.call(world.id, "block");
      call.catch(() => {});
      await quiet();
      store.fault = () => kind;
      const closed = handler.close({ graceMs: 500 });
      await quiet();
      await clock.advance(500);
      assert.deepEqual(await world.settled(closed), { value: undefined });
      const outcome = await world.settled(call);
      assert.ok(outcome !== undefined && "value" in outcome);
      assert.equal(outcome.value.status, 503);
      await frames?.rest();
      store.heal();
      const { sessions: _, ...left } = handler.stats();
      assert.deepEqual(left, { streams: 0, requests: 0, questions: 0, listens: 0 });
    });
  }

  test("[STR-8] what comes while a second GET takes over is handed over once", async () => {
    const world = new World();
    await shakeHands(world);
    const { peer, handler, store } = world;
    const first = await peer.listen();
    assert.equal(logData(await first.message()), "early");
    store.fault = (made) =>
      made === "log.delivered" || made === "leases.take" ? "unheard" : undefined;
    const second = handler(
      new Request("http://localhost/mcp", {
        headers: {
          ...as("alice"),
          "accept": "text/event-stream",
          "mcp-session-id": String(peer.sessionId),
        },
      }),
    );
    for (let n = 1; n <= 6; n++) {
      await quiet(2);
      await handler.notify(String(peer.sessionId), logMessage(n));
      store.release();
    }
    store.heal();
    const frames = peer.frames(await second);
    const before = await first.messages();
    const after: unknown[] = [];
    while (before.length + after.length < 6) after.push(logData(await frames.message()));
    assert.deepEqual([...before.map((message) => logData(message)), ...after], [1, 2, 3, 4, 5, 6]);
    assert.equal(await isPending(frames.message()), true);
    await handler.close({ graceMs: 0 });
  });

  test("[STR-8] a GET that has waited for the store doesn't outlive its session", async () => {
    const world = new World();
    await shakeHands(world);
    const { peer, handler, store } = world;
    store.fault = (made) => made === "log.delivered" ? "unheard" : undefined;
    const opening = peer.get().catch(() => undefined);
    await quiet(2);
    assert.equal(await handler.sessions.end(String(peer.sessionId)), true);
    store.heal();
    await opening;
    await assertEmpty(handler);
    await handler.close();
  });
});

describe("CLU: an answer that the store can't take", () => {
  for (const kind of ["throws", "rejects", "lost"] as const) {
    for (const also of ["log.append", "log.end"]) {
      test(`[CLU-8, STR-4] it comes all the same, once, and the stream ends (${kind}, ${also})`, async () => {
        const world = new World();
        await shakeHands(world);
        const { peer, store } = world;
        const frames = peer.frames(await peer.call("last", "speak"));
        const said = [await frames.message(), await frames.message()];
        store.fault = (made) => made === "log.append" || made === also ? kind : undefined;
        world.open();
        const messages = [...said, ...await frames.messages()].filter((message) =>
          message !== undefined
        );
        assertAnsweredOnce(messages, "last");
        assert.equal(messages.length, 3);
        await clearUp(world);
      });
    }
  }
});
