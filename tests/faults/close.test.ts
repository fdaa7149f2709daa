/**
 * `close()` from everywhere: from handlers, hooks and events, while sessions begin and end and the store
 * takes its time, many times over. Whatever it comes in the middle of, everything ends.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import { FakeClock } from "../support/clock.ts";
import { CAPABLE, envelope, headersFor } from "../support/modern.ts";
import { as, BOTH, byToken, logMessage, Peer, Stub, text, URL_2025 } from "../support/wire.ts";
import { ASYNCHRONOUS, FaultyStore } from "./faulty_store.ts";
import { checkResponse, NOTHING, outcomeOf, quiet } from "./invariants.ts";
import { property } from "./runs.ts";

/** Where `close()`, or something like it, is called. */
const PLACES = [
  "authenticate",
  "rateLimit",
  "initialize",
  "a notification",
  "a call, before it waits",
  "a call, after it has waited",
  "a call, after it has spoken",
  "sessionEnded",
  "detach",
  "the store",
  "event request-started",
  "event request-finished",
  "event session-opened",
  "event session-ended",
  "event stream-opened",
  "event stream-closed",
  "event refused",
  "event message-dropped",
  "event error",
] as const;
type Place = typeof PLACES[number];

/** What is done there. */
const DEEDS = [
  "close",
  "close at once",
  "close twice",
  "close and wait",
  "end",
  "end all",
] as const;
type Deed = typeof DEEDS[number];

/** What clients do meanwhile. */
const ACTS = [
  "initialize",
  "call",
  "speak",
  "get",
  "resume",
  "delete",
  "notify",
  "cancel",
  "hang",
  "modern",
  "modern hang",
  "listen",
  "push",
] as const;
type Act = typeof ACTS[number];

interface Plan {
  readonly place: Place;
  readonly deed: Deed;
  /** How often the place is passed before. */
  readonly nth: number;
  /** Whether the store takes its time. */
  readonly slow: boolean;
  readonly acts: readonly Act[];
}

const plan: fc.Arbitrary<Plan> = fc.record({
  place: fc.constantFrom(...PLACES),
  deed: fc.constantFrom(...DEEDS),
  nth: fc.nat(4),
  slow: fc.boolean(),
  acts: fc.array(fc.constantFrom(...ACTS), { minLength: 1, maxLength: 8 }),
});

class World {
  readonly clock = new FakeClock();
  readonly store = new FaultyStore();
  readonly handler: McpHandler;
  readonly #plan: Plan;
  /** Everything that was asked and has to be answered once. */
  readonly asked: Promise<Response>[] = [];
  /** Everything that was closed. */
  readonly closed: Promise<void>[] = [];
  readonly #peer: Peer;
  readonly #readers: ReadableStreamDefaultReader<Uint8Array>[] = [];
  #passed = 0;
  #done = false;

  constructor(plan: Plan) {
    this.#plan = plan;
    const slow: ReadonlySet<string> = new Set(ASYNCHRONOUS);
    this.store.fault = (call) => {
      this.#pass("the store");
      return plan.slow && slow.has(call) ? "late" : undefined;
    };
    const stub = new Stub({
      wait: async () => {
        const done = this.#pass("a call, before it waits");
        if (this.#plan.deed === "close and wait") await done;
        await quiet(1);
        this.#pass("a call, after it has waited");
        return text("done");
      },
      speak: async (exchange) => {
        exchange.notify(logMessage("a word"));
        this.#pass("a call, after it has spoken");
        await quiet(1);
        exchange.notify(logMessage("another"));
        return text("done");
      },
      hang: () => new Promise<never>(() => {}),
    }, {
      initialize: (exchange) => {
        this.#pass("initialize");
        return {
          protocolVersion: exchange.protocolVersion,
          capabilities: {},
          serverInfo: { name: "stub", version: "1.0.0" },
        };
      },
    });
    stub.notified = () => void this.#pass("a notification");
    stub.sessionEnded = () => void this.#pass("sessionEnded");
    stub.attach = () => () => void this.#pass("detach");
    this.handler = createMcpHandler(stub, {
      clock: this.clock,
      store: this.store,
      // Whoever comes after the end has only so long, too.
      limits: { bodyMs: 5_000 },
      onEvent: (event) => this.#tell(event),
      rateLimit: {
        check: () => {
          this.#pass("rateLimit");
          return { allowed: true };
        },
      },
      authenticate: (request) => {
        this.#pass("authenticate");
        return byToken(request);
      },
    });
    this.#peer = new Peer((request) => this.#fetch(request), { headers: as("alice") });
  }

  /** Does something, all at once with what else is done, in a session that was there before. */
  async run(): Promise<void> {
    const { acts } = this.#plan;
    const peer = this.#peer;
    const begun = peer.initialize().catch(() => {});
    await this.settle(begun);
    for (const act of acts) {
      this.#act(act).catch(() => {});
      if (acts.length % 2 === 0) await quiet(1);
    }
    await this.settle();
  }

  /** Lets go what the store holds back, until nothing more comes of it. */
  async settle(until?: Promise<unknown>): Promise<void> {
    for (let turn = 0; turn < 40; turn++) {
      await quiet(1);
      this.store.release();
      if (until !== undefined && turn > 2 && await outcomeOf(until) !== undefined) return;
    }
  }

  async leave(): Promise<void> {
    for (const reader of this.#readers) await reader.cancel();
  }

  async #fetch(request: Request): Promise<Response> {
    const answer = this.handler(request);
    this.asked.push(answer);
    const response = await answer;
    await checkResponse(response, [503]);
    return response;
  }

  async #act(act: Act): Promise<void> {
    const peer = this.#peer;
    switch (act) {
      case "initialize":
        await peer.with({}).post(peer.initializeRequest());
        return;
      case "call":
        await peer.call(1, "wait");
        return;
      case "speak":
        return this.#read(await peer.call(1, "speak"));
      case "get":
        return this.#read(await peer.get());
      case "resume":
        return this.#read(await peer.get("s.0"));
      case "delete":
        await peer.delete();
        return;
      case "notify":
        await peer.post({ jsonrpc: "2.0", method: "notifications/x" });
        return;
      case "cancel":
        await peer.cancel(1);
        return;
      case "push":
        await this.handler.notify(String(peer.sessionId), logMessage("hello"));
        return;
      case "hang":
        return this.#read(await peer.call(1, "hang"));
      case "modern hang":
        return this.#read(await this.#modern("tools/call", { name: "hang", arguments: {} }));
      case "modern":
        return this.#read(await this.#modern("tools/call", { name: "speak", arguments: {} }));
      case "listen":
        return this.#read(await this.#modern("subscriptions/listen", { notifications: {} }));
    }
  }

  async #modern(method: string, params: Record<string, unknown>): Promise<Response> {
    const headers = {
      ...as("alice"),
      "content-type": "application/json",
      "accept": BOTH,
      ...headersFor(method, params),
    };
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method,
      params: { ...params, _meta: envelope(CAPABLE) },
    });
    return await this.#fetch(new Request(URL_2025, { method: "POST", headers, body }));
  }

  /** Reads on, as a client does. */
  #read(response: Response): void {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    this.#readers.push(reader);
    const drain = async () => {
      while (!(await reader.read()).done);
    };
    drain().catch(() => {});
  }

  #tell({ type }: McpEvent): void {
    this.#pass(PLACES.find((place) => place === `event ${type}`));
  }

  /** Does what the plan says in the place where it says so. */
  #pass(place: Place | undefined): Promise<unknown> | undefined {
    const { nth, deed } = this.#plan;
    if (place !== this.#plan.place || this.#passed++ < nth || this.#done) return undefined;
    this.#done = true;
    const { handler } = this;
    const close = (graceMs: number) => {
      const closed = handler.close({ graceMs });
      this.closed.push(closed);
      return closed;
    };
    const id = String(this.#peer.sessionId);
    switch (deed) {
      case "close":
      case "close and wait":
        return close(1_000);
      case "close at once":
        return close(0);
      case "close twice":
        return Promise.all([close(5_000), close(0)]);
      case "end":
        return handler.sessions.end(id).catch(() => {});
      case "end all":
        return Promise.all([handler.sessions.end(id), handler.sessions.end(id)]).catch(() => {});
    }
  }
}

describe("END: close from anywhere", () => {
  property(
    "[END-1, CAN-7, STR-11] whatever it comes in the middle of, all is answered, and nothing is left",
    plan,
    { everyday: 400, long: 15_000 },
    async (plan) => {
      const world = new World(plan);
      const { handler, clock, asked, closed, store } = world;
      await world.run();
      // If nobody has closed it, this does; if somebody has, once more is fine
      closed.push(handler.close({ graceMs: 1_000 }), handler.close());
      await world.settle();
      await clock.advance(6_000);
      await world.settle();
      assert.ok(await outcomeOf(Promise.all(closed)) !== undefined, "a close doesn't settle");
      for (const answer of asked) {
        const outcome = await outcomeOf(answer);
        assert.ok(outcome !== undefined && "value" in outcome, "a request is never answered");
      }
      const { sessions: _, ...left } = handler.stats();
      assert.deepEqual({ sessions: 0, ...left }, NOTHING);
      // The store waits for what it forgets, and nothing else waits for anything
      assert.ok(clock.pending <= 1, `${clock.pending} timers are left`);
      // The store outlives the handler: so do its sessions, but nothing that is held
      store.fault = () => undefined;
      const { sessions } = store.inside;
      clock.set(clock.now() + 3_600_000);
      await sessions.sweep(1_000);
      assert.equal(sessions.size, 0, "a session is held for ever");
      await clock.advance(120_000);
      assert.equal(clock.pending, 0, "a timer is left");
      const response = await handler(
        new Request(URL_2025, {
          method: "POST",
          headers: { ...as("alice"), "content-type": "application/json" },
          body: JSON.stringify(new Peer(handler).initializeRequest()),
        }),
      );
      assert.equal(response.status, 503);
    },
  );

  test("[END-1] a close that is called by what it waits for ends with its grace", async () => {
    const clock = new FakeClock();
    let closed: Promise<void> | undefined;
    const stub = new Stub({
      async last() {
        closed = handler.close({ graceMs: 1_000 });
        await closed;
        return text("done");
      },
    });
    const handler: McpHandler = createMcpHandler(stub, { clock, streams: { sseAfterMs: 60_000 } });
    const peer = new Peer(handler);
    await peer.initialize();
    const call = peer.call(1, "last");
    await clock.advance(999);
    assert.equal(await outcomeOf(closed ?? Promise.resolve()), undefined);
    await clock.advance(1);
    await closed;
    assert.equal((await call).status, 503);
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[END-1] a hundred closes at once are one", async () => {
    const clock = new FakeClock();
    let ended = 0;
    const stub = new Stub();
    stub.sessionEnded = () => void ended++;
    const handler = createMcpHandler(stub, { clock });
    await new Peer(handler).initialize();
    const all = Array.from({ length: 100 }, (_, ms) => handler.close({ graceMs: ms }));
    await clock.advance(100);
    await Promise.all(all);
    await handler[Symbol.asyncDispose]();
    assert.equal(ended, 1);
    assert.deepEqual(handler.stats(), NOTHING);
  });
});
