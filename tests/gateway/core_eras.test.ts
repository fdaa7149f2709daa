import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler, type McpServer } from "../../mod.ts";
import { type Gateway, gateway, local } from "../../src/gateway/mod.ts";
import { MetaKey } from "../../src/protocol/envelope.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import { contractServer } from "../contracts/upstream_servers.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { CAPABLE, ModernPeer, questionsOf, stateOf } from "../support/modern.ts";
import { as, byToken, Events } from "../support/wire.ts";
import {
  ask,
  type AskInit,
  callOf,
  count,
  FakeUpstream,
  type FakeUpstreamInit,
  GatewayExchange,
  GatewayHost,
  sessionOf,
  text,
  textOf,
  tools,
} from "./core_support.ts";

interface Modern {
  readonly alice: ModernPeer;
  readonly bob: ModernPeer;
  readonly gw: Gateway;
  readonly clock: FakeClock;
  readonly events: Events;
}

/** 2026 clients of a handler over a gateway. */
async function modern(
  options: Parameters<typeof gateway>[0],
  work: (made: Modern) => Promise<void>,
): Promise<void> {
  const clock = new FakeClock();
  const gw = gateway({ clock, stateless: "request", ...options });
  const events = new Events();
  const handler = createMcpHandler(gw, {
    authenticate: byToken,
    clock,
    onEvent: events.onEvent,
  });
  const peer = (id: string) =>
    new ModernPeer(handler.fetch, { headers: as(id), capabilities: CAPABLE });
  try {
    await work({ alice: peer("alice"), bob: peer("bob"), gw, clock, events });
  } finally {
    await handler.close();
    await gw.close();
    assert.deepEqual(gw.stats(), { ...gw.stats(), sessions: 0, held: 0 });
  }
}

/** Until a condition holds. Sealed states are opened beside the turns of this thread. */
async function until(holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    assert.ok(turns < 1000, "It never came to it");
    await (turns < 100 ? flush() : new Promise((resolve) => setTimeout(resolve, 5)));
  }
}

/** An upstream of the 2025 era whose tool asks for two things, one after the other, and counts its runs. */
function asking(init: FakeUpstreamInit = {}) {
  const upstream = new FakeUpstream({
    answers: tools({
      ask: async (call, session) => {
        session.count++;
        const name = await call.ask("elicitation/create", QUESTION);
        const roots = await call.ask("roots/list", {});
        call.notify({
          method: "notifications/progress",
          params: { progressToken: 1, progress: 1 },
        });
        return text(JSON.stringify([name, roots, session.count]));
      },
      both: async (call) =>
        text(JSON.stringify(
          await Promise.all([
            call.ask("elicitation/create", QUESTION),
            call.ask("roots/list", {}),
          ]),
        )),
      count,
    }),
    ...init,
  });
  return upstream;
}

const QUESTION = { message: "Name?", requestedSchema: { type: "object", properties: {} } };
const NAME = { action: "accept", content: { name: "Ada" } };
const ROOTS = { roots: [{ uri: "file:///a" }] };

describe("a 2026 client of a 2025 upstream", () => {
  test("[GTW-10] lists and calls, with all that the era wants of results", () => {
    const server: McpServer = contractServer();
    return modern({ upstreams: { up: local(server) } }, async ({ alice }) => {
      const { capabilities } = await alice.ask("server/discover");
      assert.ok(capabilities);
      const listed = await alice.ask("tools/list");
      assert.equal(listed.ttlMs, 0);
      assert.equal(listed.cacheScope, "private");
      assert.ok(Array.isArray(listed.tools) && listed.tools.length > 5);
      const said = await alice.say("up__echo", { text: "hello" });
      assert.equal(textOf(said), "hello");
      assert.equal(said.resultType, "complete");
      assert.deepEqual(said._meta, {
        [MetaKey.ServerInfo]: { name: "mooring-gateway", version: "1.0.0" },
      });
      await alice.ask("resources/read", { uri: "test://thing" });
      await alice.ask("prompts/get", { name: "up__greet" });
    });
  });

  test("[GTW-1] every request can have an upstream session of its own, which ends with it", async () => {
    const up = asking();
    await modern({ upstreams: { up } }, async ({ alice, gw }) => {
      for (let n = 0; n < 3; n++) assert.equal(textOf(await alice.say("up__count")), "1");
      await Promise.all([alice.say("up__count"), alice.say("up__count")]);
      assert.equal(up.sessions.length, 5);
      await until(() => up.live === 0);
      assert.equal(gw.stats().sessions, 0);
    });
  });

  test("[GTW-1] so has every request of a 2025 client where there are no sessions", async () => {
    const up = asking();
    const gw = gateway({ upstreams: { up }, stateless: "principal", clock: new FakeClock() });
    const call = () => ask(gw, new GatewayExchange("tools/call", { name: "up__count" }));
    await ask(gw, new GatewayExchange("initialize"));
    assert.equal(textOf(await call()), "1");
    assert.equal(textOf(await call()), "1");
    await flush();
    assert.equal(up.sessions.length, 3);
    assert.equal(up.live, 0);
    await gw.close();
  });

  test("[GTW-1] with a session for each principal its requests share one, and others' don't", async () => {
    const up = asking();
    const options = { upstreams: { up }, stateless: "principal" } as const;
    await modern(options, async ({ alice, bob, clock, events }) => {
      assert.equal(textOf(await alice.say("up__count")), "1");
      assert.equal(textOf(await alice.say("up__count")), "2");
      assert.equal(textOf(await bob.say("up__count")), "1");
      // Clients that can be asked other things are told of as they are.
      assert.equal(textOf(await alice.with({ capabilities: {} }).say("up__count")), "1");
      assert.equal(up.live, 3);
      await clock.advance(299_999);
      assert.equal(textOf(await alice.say("up__count")), "3");
      await clock.advance(299_999);
      assert.equal(up.live, 1);
      await clock.advance(1);
      assert.equal(up.live, 0);
      assert.ok(events.of("upstream-closed").every(({ reason }) => reason === "idle"));
    });
  });

  test("[GTW-1] sessions of principals are bounded: the one unused longest goes, those in use don't", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const up = new FakeUpstream({
      answers: tools({
        count,
        slow: async () => {
          await promise;
          return text("");
        },
      }),
    });
    const gw = gateway({
      upstreams: { up },
      stateless: "principal",
      limits: { principals: 2 },
      clock: new FakeClock(),
    });
    const call = (name: string, id: string) =>
      ask(
        gw,
        new GatewayExchange("tools/call", { name: `up__${name}` }, {
          principal: { id },
          protocolVersion: "2026-07-28",
        }),
      );
    await call("count", "ann");
    await call("count", "bob");
    assert.equal(textOf(await call("count", "ann")), "2");
    await call("count", "cy");
    await flush();
    assert.deepEqual(up.sessions.map(({ closed }) => closed), [0, 1, 0]);
    const slow = Promise.all([call("slow", "ann"), call("slow", "cy")]);
    await flush();
    // There is no room, so it gets one for just this request.
    assert.equal(textOf(await call("count", "dan")), "1");
    await flush();
    assert.deepEqual(up.sessions.map(({ closed }) => closed), [0, 1, 0, 1]);
    resolve();
    await slow;
    await gw.close();
  });

  test("[GTW-10] what it was just listed isn't fetched again, but for its own principal alone", async () => {
    const up = asking();
    await modern({ upstreams: { up } }, async ({ alice, bob, clock }) => {
      await alice.ask("tools/list");
      await alice.ask("tools/list");
      assert.equal(up.sessions.length, 1);
      await bob.ask("tools/list");
      assert.equal(up.sessions.length, 2);
      await clock.advance(5000);
      await alice.ask("tools/list");
      assert.equal(up.sessions.length, 3);
      await clock.advance(10_000);
    });
  });

  test("[GTW-10] a tool that asks in its midst is held, and runs once", async () => {
    const up = asking();
    await modern({ upstreams: { up } }, async ({ alice, gw }) => {
      const first = await alice.say("up__ask");
      const [key, ...none] = Object.keys(questionsOf(first));
      assert.ok(key && none.length === 0);
      assert.deepEqual(questionsOf(first)[key], {
        method: "elicitation/create",
        params: QUESTION,
      });
      assert.deepEqual(gw.stats(), { upstreams: 1, sessions: 1, programs: 0, held: 1, tasks: 0 });
      const second = await alice.say("up__ask", {}, {
        inputResponses: { [key]: NAME },
        requestState: stateOf(first),
      });
      const [next = ""] = Object.keys(questionsOf(second));
      assert.equal(questionsOf(second)[next]?.method, "roots/list");
      const third = await alice.say("up__ask", {}, {
        inputResponses: { [next]: ROOTS },
        requestState: stateOf(second),
      });
      assert.equal(textOf(third), JSON.stringify([NAME, ROOTS, 1]));
      assert.equal(up.sessions.length, 1);
      await until(() => up.live === 0);
      assert.equal(gw.stats().held, 0);
    });
  });

  test("[GTW-10] questions that are asked at once come at once, and those left open again", async () => {
    const up = asking();
    await modern({ upstreams: { up } }, async ({ alice }) => {
      const first = await alice.say("up__both");
      const [a = "", b = ""] = Object.keys(questionsOf(first));
      const second = await alice.say("up__both", {}, {
        inputResponses: { [b]: ROOTS, [a]: "nonsense", other: {} },
        requestState: stateOf(first),
      });
      assert.deepEqual(Object.keys(questionsOf(second)), [a]);
      const third = await alice.say("up__both", {}, {
        inputResponses: { [a]: NAME },
        requestState: stateOf(second),
      });
      assert.equal(textOf(third), JSON.stringify([NAME, ROOTS]));
      assert.equal(up.sessions.length, 1);
    });
  });

  test("[GTW-10] a held call is its principal's, for its own request, and good once", async () => {
    const up = asking();
    await modern({ upstreams: { up } }, async ({ alice, bob, gw }) => {
      const first = await alice.say("up__ask");
      const [key = ""] = Object.keys(questionsOf(first));
      const retry = { inputResponses: { [key]: NAME }, requestState: stateOf(first) };
      const code = async (peer: ModernPeer, name: string, more: typeof retry) =>
        (await peer.error(await peer.call(name, {}, more))).code;
      assert.equal(await code(bob, "up__ask", retry), -32602);
      assert.equal(await code(alice, "up__both", retry), -32602);
      assert.equal(await code(alice, "up__ask", { ...retry, requestState: "made up" }), -32602);
      assert.equal(gw.stats().held, 1);
      const second = await alice.say("up__ask", {}, retry);
      assert.equal(await code(alice, "up__ask", retry), -32602);
      assert.equal(gw.stats().held, 1);
      assert.equal(up.session().count, 1);
      assert.equal(second.resultType, "input_required");
    });
  });

  test("[GTW-10] a held call that nobody comes back to is given up after its time", async () => {
    const up = asking();
    await modern({ upstreams: { up } }, async ({ alice, gw, clock }) => {
      await alice.say("up__ask");
      const { signal } = up.session().calls[0] ?? assert.fail();
      await clock.advance(299_999);
      assert.equal(signal.aborted, false);
      await clock.advance(1);
      assert.equal(signal.aborted, true);
      await until(() => up.live === 0);
      assert.equal(gw.stats().held, 0);
    });
  });

  test("[GTW-10] a call whose client came back goes on as long as it takes, with progress", async () => {
    let done: (() => void) | undefined;
    const up = new FakeUpstream({
      answers: tools({
        ask: async (call) => {
          await call.ask("elicitation/create", QUESTION);
          const progress = { progressToken: "first", progress: 1 };
          call.notify({ method: "notifications/progress", params: progress });
          await new Promise<void>((resolve) => done = resolve);
          return text("done");
        },
      }),
    });
    await modern({ upstreams: { up } }, async ({ alice, clock }) => {
      const first = await alice.result(
        await alice.call("up__ask", {}, { _meta: { progressToken: "first" } }),
      );
      const [key = ""] = Object.keys(questionsOf(first));
      const response = await alice.call("up__ask", {}, {
        inputResponses: { [key]: NAME },
        requestState: stateOf(first),
        _meta: { progressToken: "second" },
      });
      await until(() => done !== undefined);
      await clock.advance(300_000);
      assert.equal(up.session().calls[0]?.signal.aborted, false);
      done?.();
      const messages = await alice.frames(response).messages();
      const [progress] = messages;
      assert.ok(progress?.method === "notifications/progress");
      assert.match(JSON.stringify(progress.params), /"progressToken":"second"/);
      assert.match(JSON.stringify(messages.at(-1)), /"done"/);
    });
  });

  test("[GTW-10] what a client stopped waiting for says nothing about the upstream", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const up = new FakeUpstream({
      opening: () => promise,
      answers: tools({ count }),
    });
    const gw = gateway({ upstreams: { up }, clock: new FakeClock() });
    const init = { protocolVersion: "2026-07-28" } as const;
    const first = new GatewayExchange("tools/list", {}, init);
    const stopped = assert.rejects(ask(gw, first), /Stop/);
    await flush();
    first.abort(new Error("Stop"));
    await stopped;
    resolve();
    await flush();
    const { tools: listed } = await ask(gw, new GatewayExchange("tools/list", {}, init));
    assert.ok(Array.isArray(listed) && listed.length === 1);
    await gw.close();
  });

  test("[GTW-10] a held call is its principal's even where states aren't sealed", async () => {
    const up = asking();
    const gw = gateway({ upstreams: { up, modern: askingModern() }, clock: new FakeClock() });
    const call = (more: Record<string, unknown>, id = "alice", name = "up__ask") =>
      new GatewayExchange("tools/call", { name, ...more }, {
        protocolVersion: "2026-07-28",
        capabilities: { elicitation: {}, roots: {} },
        principal: { id },
      });
    const { requestState } = await ask(gw, call({}));
    await assert.rejects(ask(gw, call({ requestState }, "bob")), { code: -32602 });
    assert.equal(gw.stats().held, 1);
    const others = JSON.stringify({ upstream: "other", requestState: "one" });
    for (const name of ["modern__ask", "up__ask"]) {
      await assert.rejects(ask(gw, call({ requestState: others }, "alice", name)), {
        code: -32602,
      });
    }
    await gw.close();
  });

  test("[GTW-10] what an upstream says of the era isn't believed where it isn't of it", async () => {
    const up = new FakeUpstream({
      answers: tools({
        lie: () => ({ ...text(""), resultType: "task", ttlMs: 5, cacheScope: "public" }),
      }),
    });
    await modern({ upstreams: { up } }, async ({ gw }) => {
      const init = { protocolVersion: "2026-07-28" } as const;
      const exchange = new GatewayExchange("tools/call", { name: "up__lie" }, init);
      assert.equal((await ask(gw, exchange)).resultType, "complete");
    });
    const resources = new FakeUpstream({
      capabilities: { resources: {} },
      answers: {
        "resources/list": () => ({ resources: [] }),
        "resources/read": () => ({ contents: [], ttlMs: -1, cacheScope: "public" }),
      },
    });
    await modern({ upstreams: { resources } }, async ({ alice }) => {
      const { ttlMs, cacheScope } = await alice.ask("resources/read", { uri: "r://1" });
      assert.deepEqual({ ttlMs, cacheScope }, { ttlMs: 0, cacheScope: "private" });
    });
  });

  test("[GTW-10] held calls are bounded, in all and for each principal", async () => {
    const up = asking();
    const limits = { held: 3, heldPerPrincipal: 2 };
    await modern({ upstreams: { up }, limits }, async ({ alice, bob, gw }) => {
      await alice.say("up__ask");
      await alice.say("up__ask");
      const full = async (peer: ModernPeer) => await peer.error(await peer.call("up__ask"));
      assert.match((await full(alice)).message, /too many calls are waiting/);
      const first = await bob.say("up__ask");
      assert.match((await full(bob)).message, /too many calls are waiting/);
      assert.equal(gw.stats().held, 3);
      const [key = ""] = Object.keys(questionsOf(first));
      const retry = { inputResponses: { [key]: NAME }, requestState: stateOf(first) };
      await bob.say("up__ask", {}, retry);
      await until(() => up.live === 3);
    });
  });

  test("[GTW-10] a call that ends while it is held has its result for who comes back", async () => {
    let over: (() => void) | undefined;
    const up = new FakeUpstream({
      answers: tools({
        ask: (call) =>
          new Promise((resolve) => {
            over = () => resolve(text("gave up asking"));
            call.ask("elicitation/create", QUESTION).catch(() => {});
          }),
      }),
    });
    await modern({ upstreams: { up } }, async ({ alice }) => {
      const first = await alice.say("up__ask");
      over?.();
      await flush();
      const retry = { inputResponses: {}, requestState: stateOf(first) };
      assert.equal(textOf(await alice.say("up__ask", {}, retry)), "gave up asking");
    });
  });

  test("[GTW-10] a client that goes away cancels its call, held before or not", async () => {
    const up = asking({
      answers: tools({
        wait: () => new Promise(() => {}),
        ask: async (call) => {
          await call.ask("elicitation/create", QUESTION);
          return await new Promise(() => {});
        },
      }),
    });
    await modern({ upstreams: { up } }, async ({ alice, clock }) => {
      const gone = async (name: string, retry = {}) => {
        const stop = new AbortController();
        const response = alice.call(`up__${name}`, {}, retry, { signal: stop.signal });
        await flush();
        stop.abort();
        await clock.advance(1000);
        (await response.catch(() => undefined))?.body?.cancel().catch(() => {});
      };
      await gone("wait");
      await until(() => up.session(0).calls[0]?.signal.aborted === true);
      const first = await alice.say("up__ask");
      const [key = ""] = Object.keys(questionsOf(first));
      await gone("ask", { inputResponses: { [key]: NAME }, requestState: stateOf(first) });
      await until(() => up.session(1).calls[0]?.signal.aborted === true);
      await until(() => up.live === 0);
    });
  });

  test("[GTW-10] nobody is asked who can't be, nor outside of what may ask", async () => {
    const errors: unknown[] = [];
    const up = asking({
      capabilities: { tools: {}, prompts: {} },
      answers: {
        ...tools({
          ask: async (call) => {
            await call.ask("elicitation/create", QUESTION).catch((error) =>
              errors.push(error.code)
            );
            return { ...text("done"), resultType: "input_required" };
          },
        }),
        "prompts/list": async (call) => {
          await call.ask("roots/list", {}).catch((error) => errors.push(error.code));
          return { prompts: [] };
        },
      },
    });
    await modern({ upstreams: { up } }, async ({ alice }) => {
      const said = await alice.with({ capabilities: {} }).say("up__ask");
      assert.equal(said.resultType, "complete");
      await alice.ask("prompts/list");
      assert.deepEqual(errors, [-32021, -32000]);
    });
  });

  test("[GTW-8] a request gets the log messages that it asks for, and progress", async () => {
    await modern({ upstreams: { up: local(contractServer()) } }, async ({ alice }) => {
      const messages = async (logLevel: "debug" | "error" | undefined) => {
        const peer = alice.with({ logLevel });
        const response = await peer.call("up__log");
        if (response.headers.get("content-type") !== "text/event-stream") return [];
        return (await peer.frames(response).messages()).flatMap(({ method }) => method ?? []);
      };
      assert.deepEqual(await messages("debug"), ["notifications/message"]);
      assert.deepEqual(await messages("error"), []);
      assert.deepEqual(await messages(undefined), []);
      const _meta = { progressToken: "p" };
      const response = await alice.call("up__progress", { steps: 2 }, { _meta });
      const told = (await alice.frames(response).messages()).map(({ method }) => method);
      assert.deepEqual(told.slice(0, -1), Array(2).fill("notifications/progress"));
    });
  });
});

/** An upstream of the 2026 era whose tool asks by its results. */
function askingModern(
  asks: Record<string, unknown> = { who: { method: "elicitation/create", params: QUESTION } },
) {
  return new FakeUpstream({
    version: "2026-07-28",
    capabilities: { tools: {}, resources: {} },
    answers: {
      ...tools({
        ask: ({ params: { requestState, inputResponses, _meta } }) => {
          if (requestState === undefined) {
            return { resultType: "input_required", inputRequests: asks, requestState: "one" };
          }
          const got = JSON.stringify({ requestState, inputResponses, _meta });
          return {
            ...text(got),
            resultType: "complete",
            _meta: { [MetaKey.ServerInfo]: {}, x: 1 },
          };
        },
        forever: () => ({ resultType: "input_required", requestState: "again" }),
        task: () => ({ resultType: "task", taskId: "1" }),
      }),
      "resources/list": () => ({
        resultType: "complete",
        resources: [{ uri: "r://1", name: "r" }],
        ttlMs: 60_000,
        cacheScope: "public",
      }),
      "resources/read": () => ({
        resultType: "complete",
        contents: [],
        ttlMs: 60_000,
        cacheScope: "public",
      }),
    },
  });
}

describe("an upstream of the 2026 era", () => {
  test("[GTW-10] asks a 2025 client, whose answers it gets", async () => {
    const up = askingModern();
    const gw = gateway({ upstreams: { up } });
    const session = sessionOf("a");
    const capabilities = { elicitation: {} };
    await ask(gw, new GatewayExchange("initialize", {}, { session, capabilities }));
    await ask(gw, new GatewayExchange("logging/setLevel", { level: "error" }, { session }));
    const call = callOf("up__ask", session, { capabilities, answer: () => NAME });
    const result = await ask(gw, call);
    assert.deepEqual(JSON.parse(String(textOf(result))), {
      requestState: "one",
      inputResponses: { who: NAME },
      _meta: { [MetaKey.LogLevel]: "error" },
    });
    assert.deepEqual(result._meta, { x: 1 });
    assert.equal("resultType" in result, false);
    const read = await ask(
      gw,
      new GatewayExchange("resources/read", { uri: "r://1" }, { session }),
    );
    assert.deepEqual(read, { contents: [] });
    await gw.close();
  });

  test("[SRV-2] [GTW-10] what a 2025 client isn't able or willing to answer fails the tool", async () => {
    const refused = new McpError(-32021, "Declare it", { requiredCapabilities: { roots: {} } });
    const fails = new FakeUpstream({
      version: "2026-07-28",
      capabilities: { tools: {} },
      answers: tools({ need: () => Promise.reject(refused) }),
    });
    const gw = gateway({ upstreams: { up: askingModern(), fails } });
    const session = sessionOf("a");
    const no = () => Promise.reject(new McpError(-1, "The user said no"));
    const able = { capabilities: { elicitation: {} }, answer: no };
    const cases: [string, AskInit, string][] = [
      ["up__ask", able, "The user said no"],
      ["fails__need", able, "Declare it"],
    ];
    await ask(gw, new GatewayExchange("initialize", {}, { session, ...able }));
    for (const [name, init, told] of cases) {
      const result = await ask(gw, callOf(name, session, init));
      assert.equal(result.isError, true);
      assert.ok(String(textOf(result)).includes(told), String(textOf(result)));
    }
    const other = sessionOf("b");
    const result = await ask(gw, callOf("up__ask", other, { capabilities: {} }));
    assert.equal(result.isError, true);
    assert.match(String(textOf(result)), /"elicitation"/);
    await gw.close();
  });

  test("[GTW-10] asks a 2026 client by way of the gateway, which seals what is left with it", async () => {
    const up = askingModern();
    await modern({ upstreams: { up } }, async ({ alice, bob, gw }) => {
      const first = await alice.say("up__ask");
      assert.deepEqual(questionsOf(first).who, { method: "elicitation/create", params: QUESTION });
      assert.doesNotMatch(stateOf(first), /one/);
      assert.equal(gw.stats().held, 0);
      const retry = { inputResponses: { who: NAME }, requestState: stateOf(first) };
      const second = await alice.say("up__ask", {}, retry);
      assert.deepEqual(JSON.parse(String(textOf(second))), {
        requestState: "one",
        inputResponses: { who: NAME },
      });
      assert.equal((await bob.error(await bob.call("up__ask", {}, retry))).code, -32602);
      const read = await alice.ask("resources/read", { uri: "r://1" });
      assert.equal(read.ttlMs, 60_000);
      assert.equal(read.cacheScope, "private");
    });
  });

  test("[GTW-10] is held to what it may ask, and to come to an end", async () => {
    const gw = gateway({
      upstreams: {
        up: askingModern(),
        odd: askingModern({ x: { method: "tools/call", params: {} } }),
        none: askingModern({ x: 1 }),
        many: askingModern(
          Object.fromEntries(Array.from({ length: 101 }, (_, n) => [n, { method: "roots/list" }])),
        ),
      },
    });
    const session = sessionOf("a");
    for (const protocolVersion of ["2025-11-25", "2026-07-28"] as const) {
      const init = protocolVersion === "2025-11-25" ? { session } : {};
      const call = (name: string) =>
        ask(gw, new GatewayExchange("tools/call", { name }, { ...init, protocolVersion }));
      if (protocolVersion === "2026-07-28") {
        await assert.rejects(call("up__ask"), { code: -32021 });
      }
      await assert.rejects(call("odd__ask"), { code: -32601 });
      await assert.rejects(call("none__ask"), { code: -32603 });
      await assert.rejects(call("many__ask"), { code: -32603 });
      await assert.rejects(call("up__task"), { code: -32603 });
    }
    await assert.rejects(ask(gw, callOf("up__forever", session)), /too often/);
    await gw.close();
  });
});

test("[GTW-10] a question to a held call's client says nothing to the operator of what is asked", async () => {
  const up = asking();
  const events: McpEvent[] = [];
  const host = new GatewayHost();
  host.report = (event) => events.push(event);
  const gw = gateway({ upstreams: { up }, clock: new FakeClock() });
  const detach = gw.attach?.(host);
  const exchange = new GatewayExchange("tools/call", { name: "up__ask" }, {
    protocolVersion: "2026-07-28",
    capabilities: { elicitation: {}, roots: {} },
  });
  await ask(gw, exchange);
  assert.equal(exchange.required.length, 1);
  assert.equal(gw.stats().held, 1);
  detach?.();
  await until(() => up.live === 0);
  assert.equal(gw.stats().held, 0);
  assert.equal(up.session().calls[0]?.signal.aborted, true);
  assert.doesNotMatch(JSON.stringify(events), /Name\?/);
});
