/**
 * A clock that jumps, back and forth, while sessions, calls and streams go on: by seconds as when it
 * is corrected, by years as when a machine wakes up without a battery.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import * as fc from "fast-check";
import { Unauthorized } from "../../src/auth/errors.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, Events, Gate, logMessage, Peer, Stub, text } from "../support/wire.ts";
import { assertEmpty, checkResponse, NOTHING, quiet } from "./invariants.ts";
import { property } from "./runs.ts";

const IDLE_MS = 60_000;
const ABSOLUTE_MS = 600_000;
const TIMEOUT_MS = 20_000;
const START = 1_750_000_000_000;
/** When carol's credentials end. */
const EXPIRES = START + 300_000;
const DAY = 86_400_000;

type Step =
  | { readonly do: "jump"; readonly ms: number }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "begin" | "ping" | "call" | "listen" | "leave" | "modern"; readonly who: Who }
  | { readonly do: "notify" | "finish" };
type Who = "alice" | "carol";

const who = fc.constantFrom<Who>("alice", "carol");
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant("jump" as const),
    ms: fc.oneof(
      fc.integer({ min: -5_000, max: 5_000 }),
      fc.integer({ min: -2 * ABSOLUTE_MS, max: 2 * ABSOLUTE_MS }),
      fc.constantFrom(-3_650 * DAY, 3_650 * DAY, -DAY, DAY, IDLE_MS, ABSOLUTE_MS, -1),
    ),
  }),
  fc.record({
    do: fc.constant("wait" as const),
    ms: fc.constantFrom(1, 999, 1_000, 15_000, 20_000, 59_999, 60_000, 61_000, 300_000),
  }),
  fc.record({
    do: fc.constantFrom(
      "begin",
      "ping",
      "ping",
      "call",
      "call",
      "listen",
      "listen",
      "leave",
      "modern",
    ),
    who,
  }),
  fc.record({ do: fc.constantFrom("notify", "finish") }),
);

/** What is known of one session. */
interface Known {
  readonly peer: Peer;
  readonly createdAt: number;
  usedAt: number;
  /** Calls and streams that keep it. */
  held: number;
  leave: (() => Promise<void>) | undefined;
  /** Whether it has been past its time, so that it may have been swept: it need not come back. */
  late: boolean;
}

class World {
  readonly clock = new FakeClock(START);
  readonly events = new Events();
  readonly gates: Gate<string>[] = [];
  readonly calls: Promise<Response>[] = [];
  readonly known = new Map<Who, Known>();
  readonly handler: McpHandler;

  constructor() {
    const stub = new Stub({
      wait: async () => {
        const gate = new Gate<string>();
        this.gates.push(gate);
        return text(await gate.promise);
      },
      hello: () => text("Hello"),
    });
    this.handler = createMcpHandler(stub, {
      clock: this.clock,
      onEvent: this.events.onEvent,
      sessions: { idleMs: IDLE_MS, absoluteMs: ABSOLUTE_MS },
      requests: { timeoutMs: TIMEOUT_MS },
      authenticate: (request) => {
        const id = request.headers.get("authorization")?.slice(7);
        if (id === undefined) throw new Unauthorized();
        return id === "carol" ? { id, expiresAt: EXPIRES } : { id };
      },
    });
  }

  /** Whether somebody's credentials are good now. */
  welcome(who: Who): boolean {
    return who === "alice" || this.clock.now() < EXPIRES;
  }

  /** Whether a session is past its time now. */
  over({ createdAt, usedAt, held }: Known): boolean {
    const now = this.clock.now();
    return (held === 0 && now - usedAt >= IDLE_MS) || now - createdAt >= ABSOLUTE_MS;
  }

  /** What a request in somebody's session has to be answered with. */
  expected(who: Who): number {
    if (!this.welcome(who)) return 401;
    const known = this.known.get(who);
    if (known === undefined) return 400;
    return this.over(known) ? 404 : 200;
  }

  /** Notes which sessions are past their time now. */
  look(): void {
    for (const known of this.known.values()) known.late ||= this.over(known);
  }

  /** Notes what a request in somebody's session was answered with. */
  async answered(who: Who, response: Response): Promise<void> {
    await checkResponse(response);
    const known = this.known.get(who);
    if (response.status === 404) this.known.delete(who);
    else if (response.status === 200 && known !== undefined) known.usedAt = this.clock.now();
  }

  async begin(who: Who): Promise<void> {
    const peer = new Peer(this.handler, { headers: as(who) });
    const response = await peer.post(peer.initializeRequest());
    await checkResponse(response);
    assert.equal(response.status, this.welcome(who) ? 200 : 401);
    if (response.status !== 200) return;
    const old = this.known.get(who);
    await old?.leave?.();
    peer.sessionId = response.headers.get("mcp-session-id") ?? undefined;
    const now = this.clock.now();
    this.known.set(who, {
      peer,
      createdAt: now,
      usedAt: now,
      held: 0,
      leave: undefined,
      late: false,
    });
  }

  async ping(who: Who): Promise<void> {
    const peer = this.known.get(who)?.peer ?? new Peer(this.handler, { headers: as(who) });
    const expected = this.expected(who);
    const late = this.known.get(who)?.late;
    const response = await peer.request(1, "ping");
    if (!late || response.status !== 404) assert.equal(response.status, expected, who);
    await this.answered(who, response);
  }

  async listen(who: Who): Promise<void> {
    const known = this.known.get(who);
    if (known === undefined || known.leave !== undefined) return;
    const expected = this.expected(who);
    const response = await known.peer.get();
    if (!known.late || response.status !== 404) assert.equal(response.status, expected);
    await this.answered(who, response);
    if (response.status !== 200) return;
    const reader = response.body?.getReader();
    known.held++;
    const over = () => {
      if (known.leave === undefined) return;
      known.leave = undefined;
      known.held--;
      known.usedAt = this.clock.now();
    };
    known.leave = async () => {
      await reader?.cancel();
      over();
    };
    const drain = async () => {
      for (let part = await reader?.read(); part?.done === false; part = await reader?.read());
      over();
    };
    drain().catch(() => {});
  }

  async call(who: Who): Promise<void> {
    const known = this.known.get(who);
    if (known === undefined || this.expected(who) !== 200) return;
    const call = this.handler(
      new Request("http://localhost/mcp", {
        method: "POST",
        headers: {
          ...as(who),
          "content-type": "application/json",
          "accept": "application/json",
          "mcp-session-id": String(known.peer.sessionId),
        },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 1,
          method: "tools/call",
          params: { name: "wait", arguments: {} },
        }),
      }),
    );
    this.calls.push(call);
    known.usedAt = this.clock.now();
    known.held++;
    call.then(() => {
      known.held--;
      known.usedAt = this.clock.now();
    });
    await quiet(2);
  }

  async modern(who: Who): Promise<void> {
    const peer = new ModernPeer(this.handler, { headers: as(who) });
    const response = await peer.call("hello");
    assert.equal(response.status, this.welcome(who) ? 200 : 401);
    await response.body?.cancel();
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case "jump":
        this.clock.set(Math.max(0, this.clock.now() + step.ms));
        return;
      case "wait":
        await this.clock.advance(step.ms);
        return;
      case "finish":
        this.gates.shift()?.open("done");
        return await quiet(2);
      case "notify":
        for (const { peer } of this.known.values()) {
          await this.handler.notify(String(peer.sessionId), logMessage("hello"));
        }
        return;
      case "leave":
        return await this.known.get(step.who)?.leave?.();
      default:
        return await this[step.do](step.who);
    }
  }
}

describe("SES: a clock that jumps", () => {
  property(
    "[SES-4, AUTH-3, CAN-4, STR-11] limits are kept by what it says, and everything still ends",
    fc.array(step, { minLength: 3, maxLength: 30, size: "max" }),
    { everyday: 300, long: 10_000 },
    async (steps) => {
      const world = new World();
      const { clock, handler, calls, events } = world;
      await world.begin("alice");
      await world.begin("carol");
      for (const step of steps) {
        await world.take(step);
        await quiet(2);
        world.look();
        assert.ok(clock.pending < 20, `${clock.pending} timers`);
      }
      // Without any more jumps, what has a limit reaches it
      await clock.advance(2 * TIMEOUT_MS);
      const answers = await Promise.all(calls);
      for (const answer of answers) {
        await checkResponse(answer);
        assert.ok([200, 404].includes(answer.status));
      }
      assert.equal(handler.stats().requests, 0);
      for (const { leave } of world.known.values()) await leave?.();
      // Those that began in what is now the future go too
      clock.set(Math.max(clock.now(), START + 40 * 3_650 * DAY));
      await clock.advance(60_000);
      await assertEmpty(handler);
      assert.deepEqual(events.of("error").map(({ error }) => error), []);
      const closed = handler.close({ graceMs: 0 });
      await clock.advance(1);
      await closed;
      await clock.advance(120_000);
      assert.equal(clock.pending, 0);
      assert.deepEqual(handler.stats(), NOTHING);
    },
  );
});
