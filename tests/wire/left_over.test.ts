/**
 * What calls leave behind, however they end: nothing in flight, no timer, no place, no memory.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { askSession } from "../../src/calls/questions/ask.ts";
import { RequestScope } from "../../src/calls/lifetime/scope.ts";
import { StopError } from "../../src/calls/lifetime/stop.ts";
import { makeComponents } from "../../src/handler/components.ts";
import { ERAS, Eras } from "../../src/handler/eras.ts";
import { settingsOf } from "../../src/handler/settings.ts";
import { checkJsonRpc } from "../../src/http/gates/jsonrpc.ts";
import { Inbound } from "../../src/http/inbound.ts";
import type { Reply } from "../../src/http/reply.ts";
import type { MaybePromise } from "../../src/internal/types.ts";
import type { Exchange } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { envelope, headersFor } from "../support/modern.ts";
import { type Act, Gate, LATEST, logMessage, Stub, text } from "../support/wire.ts";
import { growthBy } from "./memory.ts";

/** The length of every wait, in milliseconds, but that until a 2026 client is watched. */
const WAIT_MS = 10_000;
/** What the runtime may keep for whatever reason: a hundred bytes a call are more. */
const BOUND = 1_000_000;
const LONG = { timeout: 60_000 };
const NEVER = () => new Promise<JsonObject>(() => {});

/** A way for a call to end. */
interface Way {
  readonly name: string;
  /** The only era that has it. */
  readonly era?: "2025" | "2026";
  readonly act: Act;
  /** What happens while many of them run. */
  readonly then?: (world: World, calls: readonly Exchange[]) => void | Promise<void>;
  /** Whether the clients disconnect after that. */
  readonly leaves?: boolean;
  /** Whether it needs a stream. */
  readonly streams?: boolean;
}

const later: Act = async () => {
  await Promise.resolve();
  return text("later");
};

const WAYS: readonly Way[] = [
  { name: "is answered at once", act: () => text("now") },
  { name: "is answered later", act: later },
  {
    name: "fails at once",
    act() {
      throw new Error("no");
    },
  },
  {
    name: "fails later",
    async act() {
      await Promise.resolve();
      throw new Error("no");
    },
  },
  {
    name: "talks, and fails later",
    async act(exchange) {
      exchange.notify(logMessage(1));
      await flush();
      throw new Error("no");
    },
  },
  {
    name: "reports progress, and is answered later",
    async act(exchange) {
      const progressToken = isObject(exchange.params._meta) && exchange.params._meta.progressToken;
      exchange.notify({
        method: "notifications/progress",
        params: { progressToken, progress: 1 },
      });
      await flush();
      return text("later");
    },
  },
  {
    name: "is cancelled",
    act: NEVER,
    then: cancelAll,
  },
  {
    name: "has its signal read, and is cancelled",
    act: ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", reject)),
    then: cancelAll,
  },
  {
    name: "is stopped while it starts, and fails later",
    async act(exchange) {
      scopeOf(exchange).stop(new StopError("cancelled"));
      await Promise.resolve();
      throw new Error("no");
    },
  },
  {
    name: "is stopped while it starts, and never ends",
    act(exchange) {
      scopeOf(exchange).stop(new StopError("cancelled"));
      return NEVER();
    },
  },
  {
    name: "times out",
    act: NEVER,
    then: ({ clock }) => clock.advance(WAIT_MS),
  },
  {
    name: "asks, and is answered",
    era: "2025",
    streams: true,
    act: async (exchange) => text(JSON.stringify(await exchange.ask("roots/list", {}))),
    then: answerAll,
  },
  {
    name: "asks, and is cancelled",
    era: "2025",
    streams: true,
    act: async (exchange) => text(JSON.stringify(await exchange.ask("roots/list", {}))),
    then: cancelAll,
  },
  {
    name: "asks, and doesn't wait for the answer",
    era: "2025",
    streams: true,
    async act(exchange) {
      void exchange.ask("roots/list", {});
      await Promise.resolve();
      return text("left");
    },
  },
  {
    name: "requires input while it starts",
    era: "2026",
    act(exchange) {
      exchange.requireInput({ resultType: "input_required", requestState: "x" });
      return NEVER();
    },
  },
  {
    name: "is left by its client",
    era: "2026",
    act: NEVER,
    then: ({ clock }) => clock.advance(500),
    leaves: true,
  },
  {
    name: "is answered while its client is watched",
    era: "2026",
    act: async () => text(await gate.promise),
    async then({ clock }) {
      await clock.advance(500);
      gate.open("now");
    },
  },
];

/** Opened when a call may be answered. */
let gate = new Gate<string>();
/** The ids of the questions that were sent. */
const asked: string[] = [];

type World = Awaited<ReturnType<typeof world>>;

function scopeOf(exchange: Exchange): RequestScope {
  assert.ok(exchange instanceof RequestScope);
  return exchange;
}

function cancelAll(_: World, calls: readonly Exchange[]): void {
  for (const call of calls) scopeOf(call).stop(new StopError("cancelled"));
}

/** Settles the questions as the client's responses do. */
function answerAll({ session }: World): void {
  const newest = asked.splice(0).filter((id) =>
    session?.questions.settle({ jsonrpc: "2.0", id, result: { roots: [] } })
  );
  assert.ok(newest.length > 0);
}

/** An endpoint without its gates, so that a test can look at everything that it keeps. */
async function world(era: "2025" | "2026", act: Act) {
  const clock = new FakeClock();
  const started: Exchange[] = [];
  const stub = new Stub({
    tool(exchange) {
      started.push(exchange);
      return act(exchange);
    },
  });
  stub.noting = false;
  const waits = { sseAfterMs: WAIT_MS, progressHeartbeatMs: WAIT_MS, keepAliveMs: WAIT_MS };
  const options = {
    clock,
    streams: { ...waits, retainMs: 1 },
    requests: { timeoutMs: WAIT_MS, maxTimeoutMs: WAIT_MS, askTimeoutMs: WAIT_MS },
  };
  const components = makeComponents(stub, settingsOf(options, ERAS), {
    broadcast() {},
    route: () => assert.fail(),
  });
  const { calls, streams, sessions } = components;
  const eras = new Eras(ERAS, components);

  function post(
    message: JsonObject,
    headers: Readonly<Record<string, string>>,
    accepts: Inbound["accepts"],
    signal?: AbortSignal,
  ): MaybePromise<Reply> {
    const request = new Request("http://localhost/mcp", { method: "POST", headers, signal });
    const inbound = new Inbound(request);
    inbound.principal = { id: "alice" };
    inbound.owner = "alice";
    inbound.share = "alice";
    inbound.accepts = accepts;
    assert.equal(checkJsonRpc(inbound, message, 1), undefined);
    inbound.findRoutes((message) => stub.route(message));
    return eras.post(inbound);
  }

  let sessionId = "";
  if (era === "2025") {
    const params = {
      protocolVersion: LATEST,
      capabilities: { roots: {} },
      clientInfo: { name: "left-over", version: "1.0.0" },
    };
    const message = { jsonrpc: "2.0", id: 0, method: "initialize", params };
    const { headers } = await post(message, {}, { json: true, sse: true });
    sessionId = String(headers["mcp-session-id"]);
  }
  const session = era === "2025" ? sessions.ensureLive(sessionId) : undefined;
  if (session !== undefined) {
    const { questions } = session;
    const open = questions.open.bind(questions);
    questions.open = (expired) => {
      const question = open(expired);
      asked.push(question.id);
      return question;
    };
  }
  const token = { progressToken: 7 };
  const _meta = era === "2025" ? token : envelope({}, token);
  const params = { name: "tool", arguments: {}, _meta };
  const message = { jsonrpc: "2.0", id: 7, method: "tools/call", params };
  const headers = era === "2025"
    ? { "mcp-session-id": sessionId, "mcp-protocol-version": LATEST }
    : headersFor("tools/call", params);

  /** Calls the tool many times at once, all under one id, and waits for the end of all calls. */
  async function callMany(
    count: number,
    accepts: Inbound["accepts"],
    { then, leaves = false }: Pick<Way, "then" | "leaves">,
  ): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    const replies = Array.from({ length: count }, () => post(message, headers, accepts, signal));
    const running = started.splice(0);
    assert.equal(running.length, count);
    await then?.(made, running);
    if (leaves) controller.abort();
    for (const reply of replies) {
      const { body } = await reply;
      if (!(body instanceof ReadableStream)) continue;
      if (leaves) await body.cancel();
      else await new Response(body).text();
    }
  }

  const made = { clock, session, callMany, calls, streams, sessions };
  return made;
}

/** Fails unless nothing of any call is left. */
async function assertNothingLeft(world: World): Promise<void> {
  const { clock, calls, streams, sessions, session } = world;
  await flush();
  assert.equal(calls.slots.taken, 0, "places");
  assert.equal(streams.slots.taken, 0, "connections");
  assert.equal(calls.sessionless.size, 0, "calls in flight without a session");
  assert.equal(session?.inflight.size ?? 0, 0, "calls in flight");
  assert.equal(session?.questions.size ?? 0, 0, "questions");
  // What a whole stream is kept for.
  await clock.advance(1);
  // A line stops its timer only if nothing waits in it.
  for (const line of [...Object.values(calls.delays), streams.keepAlive]) line.rest();
  assert.equal(clock.pending, session === undefined ? 0 : 1, "timers, besides that of the sweep");
  assert.equal(sessions.live.size, session === undefined ? 0 : 1, "live sessions");
}

/** The forms in which the clients take their answers. */
const FORMS: readonly Inbound["accepts"][] = [{ json: true, sse: true }, {
  json: true,
  sse: false,
}];
/** How many calls run at a time. */
const AT_ONCE = 50;

/** Makes an endpoint for calls that end in one way, and returns it with a function that makes them. */
async function callsOf(era: "2025" | "2026", way: Way) {
  const made = await world(era, way.act);
  const callMany = async (count: number) => {
    for (const accepts of way.streams ? FORMS.slice(0, 1) : FORMS) {
      for (let i = 0; i < count; i += AT_ONCE) {
        gate = new Gate();
        asked.length = 0;
        await made.callMany(AT_ONCE, accepts, way);
      }
    }
  };
  return { made, callMany };
}

for (const era of ["2025", "2026"] as const) {
  const ways = WAYS.filter((way) => way.era === undefined || way.era === era);
  describe(`CAN: what calls of the ${era} era leave behind`, () => {
    for (const way of ways) {
      test(
        `[CAN-1, CAN-3, CAN-4, CAN-5, STR-11] nothing of 2,000 calls, each of which ${way.name}`,
        LONG,
        async () => {
          const { made, callMany } = await callsOf(era, way);
          await callMany(1_000);
          await assertNothingLeft(made);
          // Nothing keeps the session from expiring.
          await made.clock.advance(31 * 60_000);
          assert.equal(made.sessions.store.size, 0);
        },
      );
    }

    test("[CAN-3] no memory, however they end", LONG, async () => {
      const all = await Promise.all(ways.map((way) => callsOf(era, way)));
      for (const { callMany } of all) await callMany(100);
      const grown = await growthBy(async () => {
        for (const { callMany } of all) await callMany(500);
      }, BOUND);
      assert.ok(grown < BOUND, `It grew by ${grown} bytes`);
      for (const { made } of all) await assertNothingLeft(made);
    });
  });
}

describe("ASK: what questions leave behind", () => {
  test("[ASK-3] an answered question no longer listens for the end of its call", async () => {
    let listening = 0;
    const seen: number[] = [];
    const made = await world("2025", async (exchange) => {
      const scope = scopeOf(exchange);
      const onOver = scope.onOver.bind(scope);
      scope.onOver = (listener) => {
        listening++;
        const remove = onOver(listener);
        return () => {
          listening--;
          remove();
        };
      };
      for (let i = 0; i < 3; i++) {
        const response = exchange.ask("roots/list", {});
        seen.push(listening);
        answerAll(made);
        await response;
        seen.push(listening);
      }
      return text("answered");
    });
    await made.callMany(1, { json: true, sse: true }, {});
    assert.deepEqual(seen, [1, 0, 1, 0, 1, 0]);
    await assertNothingLeft(made);
  });

  test("[ASK-3] a question outside any call no longer listens for its signal, however it ends", async () => {
    const made = await world("2025", later);
    const { session } = made;
    assert.ok(session);
    const { signal } = new AbortController();
    let listening = 0;
    const { addEventListener, removeEventListener } = signal;
    Object.assign(signal, {
      addEventListener(...args: Parameters<typeof addEventListener>) {
        listening++;
        addEventListener.apply(signal, args);
      },
      removeEventListener(...args: Parameters<typeof removeEventListener>) {
        listening--;
        removeEventListener.apply(signal, args);
      },
    });
    const client = { client: { capabilities: { roots: {} } }, protocolVersion: LATEST } as const;
    const ask = () => askSession(session, client, "roots/list", {}, signal);
    // Nobody has the stream open.
    await assert.rejects(ask());
    assert.equal(listening, 0);
    Object.assign(session, { sendQuestion: () => true });
    const answered = ask();
    assert.equal(listening, 1);
    answerAll({ ...made });
    assert.deepEqual(await answered, { roots: [] });
    assert.equal(listening, 0);
    const late = assert.rejects(ask());
    await made.clock.advance(WAIT_MS);
    await late;
    assert.equal(listening, 0);
    await assertNothingLeft(made);
  });
});
