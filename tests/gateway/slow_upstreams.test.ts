/**
 * Upstreams that are silent, slow or broken hold up nobody who asks for lists.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway, type GatewayOptions } from "../../src/gateway/mod.ts";
import { RecentFailures } from "../../src/gateway/session/recent_failures.ts";
import type { Upstream } from "../../src/gateway/types.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { hide } from "../support/routes.ts";
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
  textOf,
  tools,
} from "./core_support.ts";

const session = sessionOf("a");
const MODERN = { protocolVersion: "2026-07-28" } as const;
const fine: FakeUpstreamInit = { answers: tools({ x: count }) };

/** Something that answers when the test says so. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { waits: () => promise, opens: resolve };
}

function over(inits: Readonly<Record<string, FakeUpstreamInit>>, options: GatewayOptions = {}) {
  const clock = new FakeClock();
  const ups = Object.fromEntries(
    Object.entries(inits).map(([name, init]) => [name, new FakeUpstream(init)]),
  );
  const gw = gateway({ upstreams: ups, clock, ...options });
  const host = new GatewayHost();
  gw.attach?.(host);
  const slow = () =>
    host.reported.flatMap((event) =>
      event.type === "upstream-slow" ? [`${event.upstream} ${event.during}`] : []
    );
  const told = () => host.told.map(([id, { method }]) => `${id} ${method}`);
  return { clock, gw, host, slow, told, up: (name: string) => ups[name] ?? assert.fail(name) };
}

function list(gw: Dispatcher, init: AskInit = { session }, method = "tools/list") {
  return ask(gw, new GatewayExchange(method, {}, init));
}

async function namesOf(listed: Promise<JsonObject>): Promise<unknown[]> {
  const { tools } = await listed;
  assert.ok(Array.isArray(tools));
  return tools.map(({ name }) => name);
}

/** Waits for what must come without any time passing. */
async function atOnce<T>(promise: Promise<T>): Promise<T> {
  let isOver = false;
  const settle = () => {
    isOver = true;
  };
  promise.then(settle, settle);
  for (let turn = 0; turn < 10 && !isOver; turn++) await flush();
  assert.ok(isOver, "It waits");
  return await promise;
}

const never = () => new Promise<never>(() => {});

for (
  const [what, silent] of [
    ["opens", { opening: never }],
    ["lists", { answers: { "tools/list": never } }],
  ] as const
) {
  for (const init of [{ session }, MODERN]) {
    const era = "session" in init ? "2025" : "2026";
    test(`[GTW-14] one that never ${what} holds up a list of ${era} for a second or two, once`, async () => {
      const { clock, gw, slow } = over({ silent, fine });
      const listed = namesOf(list(gw, init));
      await clock.advance(1999);
      assert.deepEqual(slow(), []);
      await clock.advance(1);
      assert.deepEqual(await atOnce(listed), ["fine__x"]);
      assert.deepEqual(slow(), ["silent tools/list"]);
      for (let n = 0; n < 5; n++) {
        assert.deepEqual(await atOnce(namesOf(list(gw, init))), ["fine__x"]);
        await clock.advance(1000);
      }
      await gw.close();
      assert.equal(clock.pending, 0);
    });
  }
}

describe("initialize and server/discover", () => {
  for (
    const [method, init] of [["initialize", { session }], ["server/discover", MODERN]] as const
  ) {
    test(`[GTW-14] ${method} tells what is known after a second or two`, async () => {
      const { clock, gw, slow } = over({ silent: { opening: never }, fine });
      const known = list(gw, init, method);
      await clock.advance(2000);
      const { capabilities } = await atOnce(known);
      const lists = { listChanged: true };
      assert.deepEqual(capabilities, { tools: lists, resources: lists, prompts: lists });
      assert.deepEqual(slow(), ["silent opening"]);
      // What comes next doesn't wait again, nor does another session of the same user.
      await atOnce(list(gw, init));
      await atOnce(list(gw, "session" in init ? { session: sessionOf("b") } : init, method));
      // Another user finds out alone.
      const other = list(gw, { ...init, session: undefined, principal: { id: "bob" } }, method);
      await clock.advance(1999);
      await assert.rejects(atOnce(other), /It waits/);
      await clock.advance(1);
      await atOnce(other);
      await gw.close();
      assert.equal(clock.pending, 0);
    });
  }

  test("[GTW-14] when one opens later, the session is told that its lists changed", async () => {
    const { waits, opens } = gate();
    const late = { opening: waits, capabilities: { tools: {}, prompts: {} }, ...fine };
    const { clock, gw, told } = over({ late, fine });
    const begun = list(gw, { session }, "initialize");
    await clock.advance(2000);
    await atOnce(begun);
    assert.deepEqual(told(), []);
    opens();
    await clock.advance(250);
    assert.deepEqual(told(), [
      "a notifications/tools/list_changed",
      "a notifications/prompts/list_changed",
    ]);
    assert.deepEqual(await atOnce(namesOf(list(gw))), ["late__x", "fine__x"]);
    await gw.close();
  });
});

test("[GTW-14] server/discover of a request alone tells of an upstream again, once that answers", async () => {
  let isDown = true;
  const broken: FakeUpstreamInit = {
    ...fine,
    opening: async () => {
      await flush();
      if (isDown) throw new Error("Down");
    },
    instructions: "I am back.",
  };
  const { clock, gw } = over({ broken, fine });
  const told = async () => (await atOnce(list(gw, MODERN, "server/discover"))).instructions;
  assert.equal(await told(), undefined);
  isDown = false;
  await clock.advance(10_000);
  // It is tried again while nobody waits
  assert.equal(await told(), undefined);
  await flush();
  assert.match(String(await told()), /I am back/);
  await gw.close();
  assert.deepEqual([clock.pending, gw.stats().sessions], [0, 0]);
});

test("[GTW-14] server/discover doesn't open one session after another with a silent upstream", async () => {
  let opened = 0;
  const opening = () => {
    opened++;
    return never();
  };
  const { clock, gw } = over({ silent: { opening }, fine }, { stateless: "request" });
  await Promise.all([list(gw, MODERN, "server/discover"), clock.advance(2000)]);
  for (let n = 0; n < 20; n++) await atOnce(list(gw, MODERN, "server/discover"));
  assert.equal(opened, 2);
  await clock.advance(10_000);
  for (let n = 0; n < 20; n++) await atOnce(list(gw, MODERN, "server/discover"));
  assert.equal(opened, 3);
  await gw.close();
  assert.equal(clock.pending, 0);
});

test("[GTW-14] each session is told of an upstream that opens late, whoever asked before", async () => {
  const { waits, opens } = gate();
  const { clock, gw, told } = over({ late: { opening: waits, ...fine }, fine });
  const begun = list(gw, { session }, "initialize");
  await clock.advance(2000);
  await atOnce(begun);
  await atOnce(list(gw, { session }));
  await atOnce(list(gw, { session: sessionOf("b") }, "initialize"));
  await atOnce(list(gw, { session: sessionOf("c") }));
  opens();
  await clock.advance(250);
  const changed = "notifications/tools/list_changed";
  assert.deepEqual(told(), [`a ${changed}`, `b ${changed}`, `c ${changed}`]);
  await gw.close();
});

describe("a list that comes later", () => {
  test("[GTW-14] is there for the next request, of which the session is told", async () => {
    const { waits, opens } = gate();
    const late = {
      capabilities: { tools: { listChanged: true } },
      answers: {
        ...fine.answers,
        "tools/list": async () => {
          await waits();
          return { tools: [{ name: "x" }] };
        },
      },
    };
    const { clock, gw, told, up } = over({ late, fine });
    const first = namesOf(list(gw));
    await clock.advance(2000);
    assert.deepEqual(await atOnce(first), ["fine__x"]);
    await clock.advance(5000);
    opens();
    await clock.advance(250);
    assert.deepEqual(told(), ["a notifications/tools/list_changed"]);
    assert.deepEqual(await atOnce(namesOf(list(gw))), ["late__x", "fine__x"]);
    assert.deepEqual(up("late").session().methods, ["tools/list"]);
    await gw.close();
  });

  test("[GTW-14] is fetched for a 2026 client although its request is over", async () => {
    const { waits, opens } = gate();
    const ups = { late: { opening: waits, ...fine }, fine };
    const { clock, gw, up, told } = over(ups, { stateless: "request" });
    const first = namesOf(list(gw, MODERN));
    await clock.advance(2000);
    assert.deepEqual(await atOnce(first), ["fine__x"]);
    await clock.advance(10_000);
    opens();
    await flush();
    assert.equal(up("late").live, 0);
    await clock.advance(30_000);
    assert.deepEqual(await atOnce(namesOf(list(gw, MODERN))), ["late__x", "fine__x"]);
    assert.equal(up("late").sessions.length, 1);
    assert.deepEqual(told(), []);
    // After a minute it is asked for again.
    await clock.advance(60_000);
    assert.deepEqual(await atOnce(namesOf(list(gw, MODERN))), ["late__x", "fine__x"]);
    assert.equal(up("late").sessions.length, 2);
    await gw.close();
    assert.deepEqual([clock.pending, gw.stats().sessions], [0, 0]);
  });

  test("[GTW-14] is given up after its time, with what was opened for it", async () => {
    for (const silent of [{ opening: never }, { answers: { "tools/list": never } }]) {
      const { clock, gw, host } = over({ silent, fine });
      await Promise.all([list(gw, MODERN), clock.advance(2000)]);
      await clock.advance(30_000);
      const failed = host.reported.filter(({ type }) => type === "upstream-failed");
      assert.equal(failed.length, 1);
      assert.equal(clock.pending > 0, true);
      await gw.close();
      assert.equal(clock.pending, 0);
    }
  });
});

describe("a failure", () => {
  test("[GTW-14] is remembered for a while, then tried again while nobody waits", async () => {
    let tries = 0;
    const { waits, opens } = gate();
    const broken: FakeUpstreamInit = {
      ...fine,
      opening: async () => {
        if (++tries === 1) throw new Error("Down");
        await waits();
      },
    };
    const { clock, gw, told } = over({ broken, fine });
    for (let second = 0; second < 10; second++) {
      assert.deepEqual(await atOnce(namesOf(list(gw))), ["fine__x"]);
      assert.equal(tries, 1);
      await clock.advance(1000);
    }
    for (let n = 0; n < 5; n++) {
      assert.deepEqual(await atOnce(namesOf(list(gw))), ["fine__x"]);
      assert.equal(tries, 2);
    }
    opens();
    await clock.advance(250);
    assert.deepEqual(told(), ["a notifications/tools/list_changed"]);
    assert.deepEqual(await atOnce(namesOf(list(gw))), ["broken__x", "fine__x"]);
    await gw.close();
  });

  test("[GTW-14] of long ago is forgotten", async () => {
    let isDown = true;
    const opening = () => {
      if (isDown) throw new Error("Down");
    };
    const { clock, gw } = over({ broken: { ...fine, opening }, fine });
    assert.deepEqual(await namesOf(list(gw)), ["fine__x"]);
    isDown = false;
    await clock.advance(70_000);
    assert.deepEqual(await namesOf(list(gw)), ["broken__x", "fine__x"]);
    await gw.close();
  });

  test("[GTW-14] is forgotten with the upstream, and known to its own credentials only", async () => {
    const opening = () => {
      throw new Error("Down");
    };
    const { gw } = over({ a: { opening }, fine });
    await list(gw);
    await gw.set("a", new FakeUpstream(fine));
    assert.deepEqual(await namesOf(list(gw)), ["a__x", "fine__x"]);
    let tries = 0;
    const counting = () => {
      tries++;
      throw new Error("Down");
    };
    await gw.set("a", new FakeUpstream({ opening: counting }));
    for (const authorization of ["one", "one", "two"]) {
      await list(gw, { ...MODERN, headers: { authorization } });
    }
    assert.equal(tries, 2);
    await gw.close();
  });

  test("[GTW-14] of one list leaves the others", async () => {
    const half = {
      capabilities: { tools: {}, prompts: {} },
      answers: {
        ...fine.answers,
        "prompts/list": () => {
          throw new McpError(-32603, "Broken");
        },
      },
    };
    const { gw } = over({ half, fine });
    await list(gw, { session }, "prompts/list");
    assert.deepEqual(await namesOf(list(gw)), ["half__x", "fine__x"]);
    await gw.close();
  });

  test("[GTW-14] for want of a place is no reason to leave an upstream alone", async () => {
    const { clock, gw } = over({ up: fine, other: fine }, { limits: { upstreamSessions: 3 } });
    await namesOf(list(gw));
    const second = namesOf(list(gw, { session: sessionOf("b") }));
    await clock.advance(2000);
    assert.equal((await atOnce(second)).length, 1);
    const alone = gw.only("up");
    const refused = assert.rejects(list(alone, { session }, "initialize"), /too busy/);
    await clock.advance(2000);
    await atOnce(refused);
    await gw.sessionEnded?.("a", "ended");
    // The list that is tried again is there for the next request.
    await atOnce(list(gw, { session: sessionOf("b") }));
    assert.equal((await atOnce(namesOf(list(gw, { session: sessionOf("b") })))).length, 2);
    await atOnce(list(alone, { session }, "initialize"));
    await gw.close();
    assert.deepEqual([clock.pending, gw.stats().sessions], [0, 0]);
  });

  test("[GTW-14] failures are kept within bounds", async () => {
    const clock = new FakeClock();
    const failures = new RecentFailures(clock, { retryMs: 10_000, most: 3 });
    for (let n = 0; n < 10; n++) failures.add("up", `${n}`, { error: n, isSlow: false });
    assert.equal(failures.size, 3);
    assert.equal(failures.get("up", "9")?.error, 9);
    await clock.advance(70_000);
    assert.equal(failures.get("up", "9"), undefined);
    failures.add("up", "new", { error: 1, isSlow: false });
    assert.equal(failures.size, 1);
    failures.removeAll("up");
    assert.equal(failures.size, 0);
  });
});

test("[GTW-14] if no upstream's list is there in time, the error says so", async () => {
  const { clock, gw } = over({ a: { opening: never }, b: { opening: never } });
  const refused = assert.rejects(list(gw), (error) => {
    assert.ok(error instanceof McpError);
    assert.equal(error.message, 'Ask again later: the upstream "a" didn\'t answer in time');
    return true;
  });
  await clock.advance(2000);
  await atOnce(refused);
  await gw.close();
});

test("[GTW-14] the call of a slow upstream's tool waits for the upstream", async () => {
  const { waits, opens } = gate();
  const { clock, gw } = over({ late: { opening: waits, ...fine }, fine });
  await Promise.all([list(gw), clock.advance(2000)]);
  const called = ask(gw, callOf("late__x", session, { mayUse: () => true }));
  await clock.advance(10_000);
  opens();
  assert.equal(textOf(await atOnce(called)), "1");
  await gw.close();
});

test("[GTW-14] a list that several wait for is fetched once, also for requests of 2026", async () => {
  for (const init of [{ session }, MODERN]) {
    const { waits, opens } = gate();
    const answers = {
      "tools/list": async () => {
        await waits();
        return { tools: [{ name: "x" }] };
      },
    };
    const { gw, up } = over({ up: { answers }, fine });
    const asked = Array.from({ length: 10 }, () => new GatewayExchange("tools/list", {}, init));
    const [gone, ...rest] = asked.map((exchange) => ask(gw, exchange));
    const other = list(gw, { ...MODERN, principal: { id: "bob" } });
    await flush();
    // The first client goes away; the others still get what it began.
    asked[0]?.abort(new Error("Gone"));
    await assert.rejects(async () => await gone, /Gone/);
    opens();
    for (const each of rest) assert.deepEqual(await namesOf(atOnce(each)), ["up__x", "fine__x"]);
    await other;
    assert.equal(up("up").sessions.flatMap(({ methods }) => methods).length, 2);
    await gw.close();
    assert.equal(gw.stats().sessions, 0);
  }
});

test("[GTW-14] a client with ever new tokens has a limited number of late lists", async () => {
  const { clock, gw, up } = over({ silent: { answers: { "tools/list": never } }, fine });
  const listed = (token: unknown) =>
    namesOf(list(gw, { session, headers: { authorization: `Bearer ${token}` } }));
  const first = Array.from({ length: 100 }, (_, n) => listed(n));
  await clock.advance(2000);
  const asked = () => up("silent").session().methods.length;
  assert.equal(asked(), 100);
  for (let n = 100; n < 150; n++) assert.deepEqual(await atOnce(listed(n)), ["fine__x"]);
  for (const names of await Promise.all(first)) assert.deepEqual(names, ["fine__x"]);
  assert.equal(asked(), 100);
  await clock.advance(8000);
  const again = listed("again");
  await clock.advance(2000);
  assert.deepEqual(await atOnce(again), ["fine__x"]);
  assert.equal(asked(), 101);
  await gw.close();
  assert.equal(clock.pending, 0);
});

test("[GTW-14] a request of 2026 that nobody waits for any more ends with its fetch", async () => {
  const ups = { silent: { answers: { "tools/list": never } }, fine };
  const { gw, up, clock } = over(ups, { stateless: "request" });
  const asked = new GatewayExchange("tools/list", {}, MODERN);
  const listed = assert.rejects(ask(gw, asked), /Gone/);
  await flush();
  asked.abort(new Error("Gone"));
  await listed;
  await flush();
  assert.equal(up("silent").live, 0);
  await gw.close();
  assert.equal(clock.pending, 0);
});

describe("resources", () => {
  const with_ = (
    uris: readonly string[],
    waits: () => Promise<void> = () => Promise.resolve(),
  ) => ({
    capabilities: { resources: {} },
    answers: {
      "resources/list": async () => {
        await waits();
        return { resources: uris.map((uri) => ({ uri, name: uri })) };
      },
      "resources/templates/list": () => ({ resourceTemplates: [] }),
      "resources/read": () => ({ contents: [], from: uris.join() }),
    },
  });

  test("[GTW-14] are read without waiting for an upstream that is silent", async () => {
    const { waits, opens } = gate();
    const { clock, gw } = over({ late: with_(["r://late"], waits), fine: with_(["r://fine"]) });
    const read = (uri: string) =>
      ask(gw, new GatewayExchange("resources/read", { uri }, { session }));
    const first = read("r://fine");
    await clock.advance(2000);
    assert.equal((await atOnce(first)).from, "r://fine");
    assert.equal((await atOnce(read("r://fine"))).from, "r://fine");
    // It may have what nobody else has.
    const late = read("r://late");
    await clock.advance(3000);
    opens();
    assert.equal((await atOnce(late)).from, "r://late");
    await gw.close();
  });
});

test("[GTW-14, AUTH-5] a hidden resource is looked for as long as an unknown one", async () => {
  const lists = (own: readonly string[]) => ({
    capabilities: { resources: {} },
    answers: {
      "resources/list": () => ({ resources: own.map((uri) => ({ uri, name: uri })) }),
      "resources/templates/list": () => ({ resourceTemplates: [] }),
    },
  });
  for (const method of ["resources/read", "resources/subscribe", "completion/complete"]) {
    const times: unknown[] = [];
    for (const own of [["test://secret"], []]) {
      const silent = { capabilities: { resources: {} }, answers: { "resources/list": never } };
      const { clock, gw } = over({ silent, fine: lists(own) });
      const uri = "test://secret";
      const params = method === "completion/complete"
        ? { ref: { type: "ref/resource", uri } }
        : { uri };
      const mayUse = () => Promise.resolve(false);
      const hidden = hide(gw, new GatewayExchange(method, params, { session, mayUse }), "item");
      const began = clock.now();
      const refused = Promise.resolve(hidden).catch((
        error,
      ) => [clock.now() - began, error.message]);
      for (let n = 0; n < 20; n++) await clock.advance(1000);
      times.push(await atOnce(refused));
      await gw.close();
    }
    assert.deepEqual(times[0], times[1]);
  }
});

describe("one upstream alone", () => {
  for (
    const [method, init] of [["initialize", { session }], ["server/discover", MODERN]] as const
  ) {
    test(`[GTW-14] ${method} fails if it is silent, and then at once for a while`, async () => {
      const { clock, gw, up } = over({ silent: { opening: never } });
      const silent = gw.only("silent");
      const refusal = /the upstream "silent" (?:didn't answer in time|can't be used now)/;
      const first = assert.rejects(list(silent, init, method), refusal);
      await clock.advance(10_000);
      await atOnce(first);
      await gw.sessionEnded?.("a", "ended");
      await assert.rejects(atOnce(list(silent, init, method)), refusal);
      await assert.rejects(atOnce(list(silent, init)), refusal);
      assert.equal(up("silent").sessions.length, 0);
      await gw.close();
      assert.equal(clock.pending, 0);
    });
  }

  test("[GTW-14] is waited for longer than one of many, and a program while it starts", async () => {
    for (const [kind, ms] of [["local", 9000], ["stdio", 29_000]] as const) {
      const { waits, opens } = gate();
      const fake = new FakeUpstream({ opening: waits, ...fine });
      const upstream: Upstream = {
        kind,
        identity: "slow",
        open: (init) => fake.open(init),
      };
      const clock = new FakeClock();
      const gw = gateway({ upstreams: { slow: upstream }, clock });
      for (const view of [gw.only("slow"), gw]) {
        const listed = namesOf(list(view));
        await clock.advance(view === gw ? 0 : ms);
        opens();
        assert.equal((await atOnce(listed)).length, 1);
      }
      await gw.close();
      assert.equal(clock.pending, 0);
    }
  });

  test("[GTW-14] that refuses is tried again at once, as nobody waits for that", async () => {
    let isDown = true;
    const opening = () => {
      if (isDown) throw new Error("Down");
    };
    const { gw } = over({ up: { opening, ...fine } });
    const alone = gw.only("up");
    await assert.rejects(list(alone, { session }, "initialize"), /"up" can't be used now/);
    isDown = false;
    await list(alone, { session }, "initialize");
    assert.deepEqual(await namesOf(list(alone)), ["x"]);
    await gw.close();
  });
});
