/**
 * Results that a gateway keeps: of whom, for whom, for how long, and what is never kept.
 *
 * @module
 */
import { McpServer as SdkServer } from "@modelcontextprotocol/server";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler, type McpEvent, McpServer } from "../../mod.ts";
import {
  cached,
  type CacheOptions,
  gateway,
  type GatewayOptions,
  http,
  lazy,
  local,
  openapi,
  sdk,
  stdio,
  type Upstream,
  type UpstreamMiddleware,
} from "../../src/gateway/mod.ts";
import { withShare } from "../../src/gateway/client/common_sessions.ts";
import { checkShare } from "../../src/gateway/client/share_options.ts";
import { ResultCache } from "../../src/gateway/session/result_cache.ts";
import { UpstreamError } from "../../src/gateway/shared/upstream_error.ts";
import { audit } from "../../src/audit/mod.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import type { Dispatcher, Principal } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { metrics } from "../../src/telemetry/metrics.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { initialize, textOf as saidBy } from "../support/wire.ts";
import {
  type Answer,
  ask,
  type AskInit,
  FakeUpstream,
  type FakeUpstreamInit,
  GatewayExchange,
  GatewayHost,
  sessionOf,
  text,
  textOf,
} from "./core_support.ts";

const alice: Principal = { id: "alice" };
const bob: Principal = { id: "bob" };

/** A request that remembers whether it was answered with a kept result. */
class Asked extends GatewayExchange {
  cached = false;
  noteCached(): void {
    this.cached = true;
  }
}

interface WorldInit extends FakeUpstreamInit {
  /** What the tools of the upstream return, by name. */
  readonly results?: Readonly<Record<string, Answer>>;
  readonly annotations?: JsonObject;
  readonly cache?: CacheOptions;
  readonly options?: GatewayOptions;
  /** What is read. */
  readonly read?: Answer;
  readonly wrap?: (upstream: Upstream) => Upstream;
}

/** A gateway with one upstream that counts what reaches it. */
function world(init: WorldInit = {}) {
  const clock = new FakeClock();
  const reached: string[] = [];
  const counted: Answer = () => text(`${reached.length}`);
  const results: Readonly<Record<string, Answer>> = init.results ?? { get: counted, put: counted };
  let annotations = init.annotations ?? { readOnlyHint: true };
  const upstream = new FakeUpstream({
    capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
    ...init,
    answers: {
      "ping": () => ({}),
      "tools/list": () => ({
        tools: Object.keys(results).map((name) => ({
          name,
          inputSchema: { type: "object" },
          annotations: name === "put" ? {} : annotations,
        })),
      }),
      "resources/list": () => ({ resources: [{ uri: "demo://a", name: "a" }] }),
      "resources/templates/list": () => ({ resourceTemplates: [] }),
      "tools/call": (call, session) => {
        reached.push(String(call.params.name));
        const answer = results[String(call.params.name)];
        if (answer === undefined) throw new McpError(ErrorCode.InvalidParams, "No such tool");
        return answer(call, session);
      },
      "resources/read": (call, session) => {
        reached.push(String(call.params.uri));
        if (init.read !== undefined) return init.read(call, session);
        return { contents: [{ uri: String(call.params.uri), text: `${reached.length}` }] };
      },
    },
  });
  const wrap = init.wrap ?? ((given) => given);
  const kept = wrap(
    cached(upstream, init.cache ?? { tools: ["get"], resources: true, ttlMs: 60_000 }),
  );
  const gw = gateway({ upstreams: { up: kept }, clock, ...init.options });
  const host = new GatewayHost();
  gw.attach?.(host);
  const sessions = new Map<string, ReturnType<typeof sessionOf>>();
  const send = async (
    method: string,
    params: JsonObject,
    given: AskInit = {},
    to: Dispatcher = gw,
  ) => {
    const who = given.principal ?? alice;
    const isModern = given.protocolVersion === "2026-07-28";
    const owner = JSON.stringify([who.issuer, who.clientId, who.id]);
    const session = sessions.get(owner) ?? sessionOf(owner);
    sessions.set(owner, session);
    const init = { ...given, principal: who, ...!isModern && { session } };
    const exchange = new Asked(method, params, init);
    const result = await ask(to, exchange);
    return { result, text: textOf(result), cached: exchange.cached, exchange };
  };
  const list = (given?: AskInit, to?: Dispatcher) => send("tools/list", {}, given, to);
  const call = (args: JsonObject = {}, given?: AskInit, name = "up__get", to?: Dispatcher) =>
    send("tools/call", { name, arguments: args }, given, to);
  const read = (given?: AskInit, uri = "demo://a") => send("resources/read", { uri }, given);
  const relist = (next: JsonObject) => annotations = next;
  return { clock, upstream, gw, host, reached, send, list, call, read, relist };
}

describe("CACHE: what is kept", () => {
  test("[CACHE-1] a read-only tool that is named, for its time; off without the wrapper", async () => {
    const { list, call, reached, clock } = world();
    await list();
    assert.deepEqual([(await call()).cached, (await call()).cached], [false, true]);
    const again = await call();
    assert.equal(again.text, "1");
    assert.equal(reached.length, 1);
    await clock.advance(59_999);
    assert.equal((await call()).cached, true);
    await clock.advance(1);
    const late = await call();
    assert.deepEqual([late.cached, late.text], [false, "2"]);
    const plain = world({ wrap: (upstream) => ({ ...upstream, cache: undefined }) as Upstream });
    await plain.list();
    await plain.call();
    assert.equal((await plain.call()).cached, false);
  });

  test("[CACHE-1] not before it was listed as read-only, nor a tool that isn't named or isn't", async () => {
    const unlisted = world();
    await unlisted.call();
    assert.equal((await unlisted.call()).cached, false);
    const named = world({ cache: { tools: ["put"], ttlMs: 1_000 } });
    await named.list();
    for (const name of ["up__get", "up__put"]) {
      await named.call({}, {}, name);
      assert.equal((await named.call({}, {}, name)).cached, false, name);
    }
    const changed = world();
    await changed.list();
    await changed.call();
    assert.equal((await changed.call()).cached, true);
    changed.relist({ readOnlyHint: false });
    await changed.list({ principal: bob });
    assert.equal((await changed.call()).cached, false);
    assert.equal((await changed.call()).cached, false);
  });

  test("[CACHE-2] a resource, never longer than it says, and a client gets the time that is left", async () => {
    const read: Answer = ({ params: { uri } }) => {
      return { contents: [{ uri, text: "x" }], ttlMs: 10_000, cacheScope: "private" };
    };
    const modern: AskInit = { protocolVersion: "2026-07-28" };
    for (const ttlMs of [undefined, 60_000, 4_000]) {
      const cache = { resources: true, ...ttlMs !== undefined && { ttlMs } };
      const w = world({ version: "2026-07-28", read, cache });
      assert.equal((await w.read(modern)).result.ttlMs, 10_000);
      await w.clock.advance(3_000);
      const kept = await w.read(modern);
      assert.deepEqual([kept.cached, kept.result.ttlMs], [true, 7_000]);
      await w.clock.advance(Math.min(ttlMs ?? 10_000, 10_000) - 3_000 - 1);
      assert.equal((await w.read(modern)).cached, true);
      await w.clock.advance(1);
      assert.equal((await w.read(modern)).cached, false, `${ttlMs}`);
    }
  });

  test("[CACHE-2] without a time of its own or the operator's, or with one that is none, not at all", async () => {
    for (const ttlMs of [undefined, 0, -5, "60000", null, NaN]) {
      const read: Answer = ({ params: { uri } }) => ({
        contents: [{ uri, text: "x" }],
        ...ttlMs !== undefined && { ttlMs },
      });
      const w = world({ version: "2026-07-28", read, cache: { resources: true } });
      await w.read();
      assert.equal((await w.read()).cached, false, String(ttlMs));
    }
    const year: Answer = ({ params: { uri } }) => ({ contents: [{ uri, text: "x" }], ttlMs: 4e10 });
    const w = world({ version: "2026-07-28", read: year, cache: { resources: true } });
    await w.read();
    await w.clock.advance(3_599_999);
    assert.equal((await w.read()).cached, true);
    await w.clock.advance(1);
    assert.equal((await w.read()).cached, false);
  });
});

describe("CACHE: for whom", () => {
  test("[CACHE-3] for one user and what their credentials allow", async () => {
    const w = world();
    await w.list();
    await w.call();
    assert.equal((await w.call({}, { principal: bob })).cached, false);
    assert.equal((await w.call({}, { principal: bob })).cached, true);
    const narrow = { ...alice, scopes: ["read"] };
    assert.equal((await w.call({}, { principal: narrow })).cached, false);
    assert.equal((await w.call({}, { principal: { ...alice, clientId: "c" } })).cached, false);
    const other = { headers: { authorization: "Bearer another" } };
    assert.equal((await w.call({}, other)).cached, false);
    assert.equal(
      (await w.call({}, { principal: { ...alice, issuer: "https://b.example" } })).cached,
      false,
    );
    assert.equal((await w.call()).cached, true);
  });

  test("[CACHE-3] nothing of somebody whom nobody knows, unless it is for all", async () => {
    const anonymous: AskInit = { principal: { id: "anonymous" } };
    for (const scope of ["user", "all"] as const) {
      const w = world({ cache: { tools: ["get"], ttlMs: 1_000, scope } });
      await w.list(anonymous);
      await w.call({}, anonymous);
      assert.equal((await w.call({}, anonymous)).cached, scope === "all", scope);
    }
  });

  test("[CACHE-3] for all where the operator says so and the result doesn't say otherwise", async () => {
    // Each row: the upstream's version, what a result says, and whether another user gets it.
    const table = [
      ["resources/read", "2025-11-25", undefined, true],
      ["resources/read", "2026-07-28", undefined, false],
      ["resources/read", "2026-07-28", "private", false],
      ["resources/read", "2026-07-28", "anything", false],
      ["resources/read", "2026-07-28", "public", true],
      ["tools/call", "2025-11-25", undefined, true],
      ["tools/call", "2026-07-28", undefined, true],
      ["tools/call", "2026-07-28", "private", false],
      ["tools/call", "2026-07-28", "public", true],
    ] as const;
    for (const [method, version, cacheScope, shared] of table) {
      const says = { ...cacheScope !== undefined && { cacheScope } };
      const w = world({
        version,
        read: ({ params: { uri } }) => ({ contents: [{ uri, text: "x" }], ttlMs: 5_000, ...says }),
        results: { get: () => ({ ...text("x"), ...says }) },
        cache: { tools: ["get"], resources: true, ttlMs: 9_000, scope: "all" },
      });
      await w.list();
      const use = (given?: AskInit) => method === "tools/call" ? w.call({}, given) : w.read(given);
      await use();
      const row = `${method} ${version} ${cacheScope}`;
      assert.equal((await use()).cached, true, row);
      assert.equal((await use({ principal: bob })).cached, shared, row);
    }
  });

  test("[CACHE-3] with forwarded headers, for requests with the same ones", async () => {
    const w = world({ wrap: (upstream) => upstream });
    const forwarding = cached({ ...bareOf(w.upstream), forwards: ["x-tenant"] }, {
      tools: ["get"],
      ttlMs: 60_000,
    });
    await w.gw.set("up", forwarding);
    await w.list();
    const tenant = (name: string) => ({
      headers: { "x-tenant": name, "x-other": `${Math.random()}` },
    });
    await w.call({}, tenant("one"));
    assert.equal((await w.call({}, tenant("one"))).cached, true);
    assert.equal((await w.call({}, tenant("two"))).cached, false);
    assert.equal((await w.call()).cached, false);
  });
});

describe("CACHE: what is never kept", () => {
  const never: Readonly<Record<string, Answer>> = {
    "a result with isError": () => ({ ...text("x"), isError: true }),
    "an error": () => {
      throw new McpError(ErrorCode.InternalError, "Broken");
    },
    "a task": () => ({ task: { taskId: "t", status: "working" }, content: [] }),
    "a result that belongs to a task": () => ({
      ...text("x"),
      _meta: { "io.modelcontextprotocol/related-task": { taskId: "t" } },
    }),
    "a handle": () => ({ ...text("x"), _meta: { "mooring/longCall": "h" } }),
    "a result without content": () => ({}),
    "a large result": () => text("x".repeat(2_000)),
    "JSON that isn't": () => ({ ...text("x"), structuredContent: { big: 1n } }),
    "a call that asked": async (call) => {
      await call.ask("elicitation/create", {
        message: "?",
        requestedSchema: { type: "object", properties: {} },
      });
      return text("x");
    },
    "a call during which the server asked": async (_call, session) => {
      await session.opened.downstream.ask(
        "roots/list",
        {},
        new AbortController().signal,
      ).catch(() => {});
      return text("x");
    },
    "a call during which the list changed": (_call, session) => {
      session.opened.downstream.notified({ method: "notifications/tools/list_changed" });
      return text("x");
    },
    "a call that tells that the list changed": (call) => {
      call.notify({ method: "notifications/tools/list_changed" });
      return text("x");
    },
  };
  for (const [what, answer] of Object.entries(never)) {
    test(`[CACHE-4] ${what}`, async () => {
      const cache = { tools: ["get"], ttlMs: 60_000, maxResultBytes: 1_500 };
      const w = world({ results: { get: answer }, cache });
      const given: AskInit = {
        capabilities: { elicitation: {}, roots: {} },
        answer: () => ({ action: "accept", content: {} }),
      };
      await w.list(given);
      const use = () => w.call({}, given).then(({ cached }) => cached, () => false);
      assert.deepEqual([await use(), await use()], [false, false]);
      assert.equal(w.reached.length, 2);
    });
  }

  test("[CACHE-4] calls that run while the server asks one of them, whichever it is", async () => {
    const gates: PromiseWithResolvers<void>[] = [];
    const get: Answer = async () => {
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      await gate.promise;
      return text("x");
    };
    const w = world({ results: { get } });
    const given: AskInit = { capabilities: { roots: {} }, answer: () => ({ roots: [] }) };
    await w.list(given);
    const use = (n: number) => w.call({ n }, given);
    const running = [use(1), use(2)];
    await flush();
    const { downstream } = w.upstream.session().opened;
    await downstream.ask("roots/list", {}, new AbortController().signal).catch(() => {});
    gates.forEach(({ resolve }) => resolve());
    await Promise.all(running);
    const later = [use(1), use(2)];
    await flush();
    gates.forEach(({ resolve }) => resolve());
    assert.deepEqual((await Promise.all(later)).map(({ cached }) => cached), [false, false]);
    assert.deepEqual((await Promise.all([use(1), use(2)])).map(({ cached }) => cached), [
      true,
      true,
    ]);
  });

  test("[CACHE-6] what was read before a change and arrives after it", async () => {
    let isFirst = true;
    const read: Answer = ({ params: { uri } }, { opened }) => {
      if (isFirst) opened.downstream.notified({ method: "notifications/resources/updated" });
      isFirst = false;
      return { contents: [{ uri, text: "x" }] };
    };
    const w = world({ read });
    const cached = [(await w.read()).cached, (await w.read()).cached, (await w.read()).cached];
    assert.deepEqual(cached, [false, false, true]);
  });

  test("[CACHE-6] after a change of the list a tool has to be listed again as read-only", async () => {
    const w = world();
    await w.list();
    await w.call();
    const method = "notifications/tools/list_changed";
    w.upstream.session().opened.downstream.notified({ method });
    for (const expected of [false, false]) assert.equal((await w.call()).cached, expected);
    await w.list();
    for (const expected of [false, true]) assert.equal((await w.call()).cached, expected);
  });

  for (const resultType of ["input_required", "task", "anything"]) {
    test(`[CACHE-4] a result of the type ${resultType}`, () => {
      const cache = new ResultCache(SETTINGS, new FakeClock());
      learn(cache);
      const place = placeOf(cache);
      cache.keep(place, { ...text("x"), resultType });
      assert.equal(cache.size, 0);
      cache.keep(place, { ...text("x"), resultType: "complete" });
      assert.equal(cache.size, 1);
    });
  }

  for (const key of ["inputResponses", "requestState", "task"]) {
    test(`[CACHE-4] a request with ${key} has no place`, () => {
      const cache = new ResultCache(SETTINGS, new FakeClock());
      const params = { name: "get", [key]: {} };
      assert.equal(cache.placeOf({ ...REQUEST, params }, PARTY), undefined);
    });
  }
});

const SETTINGS = {
  tools: new Set(["get"]),
  resources: true,
  ttlMs: 60_000,
  scope: "user",
  forwards: [],
  maxEntries: 10,
  maxBytes: 5_000,
  maxResultBytes: 2_000,
} as const;
const REQUEST = {
  method: "tools/call",
  params: { name: "get", arguments: {} },
  principal: alice,
  request: new Request("http://gateway.example/mcp"),
};
const PARTY = { user: "alice", capabilities: {}, version: "2025-11-25" } as const;

function learn(cache: ResultCache): void {
  cache.learn(
    { tools: [{ name: "get", annotations: { readOnlyHint: true } }] },
    cache.toolsGeneration,
  );
}

function placeOf(cache: ResultCache, args: JsonObject = {}) {
  const place = cache.placeOf({ ...REQUEST, params: { name: "get", arguments: args } }, PARTY);
  assert.ok(place);
  return place;
}

describe("CACHE: the key and the bounds", () => {
  test("[CACHE-5] the order of keys and _meta don't matter; arguments, version and capabilities do", async () => {
    const w = world();
    await w.list();
    await w.call({ a: 1, b: { c: 2, d: 3 } });
    assert.equal((await w.call({ b: { d: 3, c: 2 }, a: 1 })).cached, true);
    const params = {
      name: "up__get",
      arguments: { a: 1, b: { c: 2, d: 3 } },
      _meta: { progressToken: 1 },
    };
    assert.equal((await w.send("tools/call", params)).cached, true);
    assert.equal((await w.call({ a: "1", b: { c: 2, d: 3 } })).cached, false);
    assert.equal((await w.call({ a: [1, 2] })).cached, false);
    assert.equal((await w.call({ a: [2, 1] })).cached, false);
    await w.call();
    assert.equal((await w.send("tools/call", { name: "up__get" })).cached, true);
    const cache = new ResultCache(SETTINGS, new FakeClock());
    const key = (party: Partial<Parameters<ResultCache["placeOf"]>[1]>) =>
      cache.placeOf(REQUEST, { ...PARTY, ...party })?.own;
    const keys = [{}, { version: "2026-07-28" }, { capabilities: { roots: {} } }, {
      user: "bob",
    }] as const;
    assert.equal(new Set(keys.map(key)).size, 4);
    const long = { name: "get", arguments: { text: "x".repeat(20_000) } };
    assert.equal(cache.placeOf({ ...REQUEST, params: long }, PARTY), undefined);
  });

  test("[CACHE-5] whoever changes a result that they got changes nobody else's", async () => {
    const w = world();
    await w.list();
    await w.call();
    const { result } = await w.call();
    assert.ok(Array.isArray(result.content) && isObject(result.content[0]));
    Object.assign(result.content[0], { text: "changed" });
    assert.equal((await w.call()).text, "1");
  });

  test("[CACHE-7] entries and bytes have bounds; the least recently used go first", () => {
    const cache = new ResultCache(SETTINGS, new FakeClock());
    learn(cache);
    for (let n = 0; n < 1_000; n++) {
      cache.keep(placeOf(cache, { n }), text(`${n}`));
      // The first is used again and again
      assert.ok(cache.get(placeOf(cache, { n: 0 })), `${n}`);
      assert.ok(cache.size <= 10 && cache.bytes <= 5_000);
    }
    assert.equal(cache.size, 10);
    for (let n = 0; n < 100; n++) {
      cache.keep(placeOf(cache, { n }), text("é".repeat(800)));
      assert.ok(cache.bytes <= 5_000, `${cache.bytes}`);
    }
    assert.ok(cache.size >= 2 && cache.size < 10, `${cache.size}`);
    cache.keep(placeOf(cache, { n: -1 }), text("é".repeat(1_000)));
    assert.equal(cache.get(placeOf(cache, { n: -1 })), undefined);
    cache.clear();
    assert.deepEqual([cache.size, cache.bytes], [0, 0]);
  });

  test("[CACHE-7] a result that has expired is removed when it is asked for", async () => {
    const clock = new FakeClock();
    const cache = new ResultCache(SETTINGS, clock);
    learn(cache);
    cache.keep(placeOf(cache), text("x"));
    await clock.advance(60_000);
    assert.equal(cache.get(placeOf(cache)), undefined);
    assert.deepEqual([cache.size, cache.bytes], [0, 0]);
  });
});

describe("CACHE: what ends it", () => {
  const RESULTS = ["tools", "resources"] as const;
  const ends: readonly [string, readonly string[], (w: ReturnType<typeof world>) => unknown][] = [
    [
      "tools/list_changed",
      ["tools"],
      (w) => tell(w, "notifications/tools/list_changed"),
    ],
    ["prompts/list_changed", [], (w) => tell(w, "notifications/prompts/list_changed")],
    [
      "resources/list_changed",
      ["resources"],
      (w) => tell(w, "notifications/resources/list_changed"),
    ],
    ["resources/updated", ["resources"], (w) => tell(w, "notifications/resources/updated")],
    [
      "the end of the connection",
      RESULTS,
      (w) => w.upstream.session().opened.downstream.ended(new UpstreamError("closed")),
    ],
    ["a restart by the operator", RESULTS, (w) => w.gw.upstreamControl?.restart("up")],
    ["an upstream in its place", RESULTS, (w) => {
      w.upstream.identity = "another";
      return w.gw.set("up", cached(w.upstream, { tools: ["get"], resources: true, ttlMs: 60_000 }));
    }],
    [
      "another time",
      RESULTS,
      (w) => w.gw.set("up", cached(w.upstream, { tools: ["get"], resources: true, ttlMs: 50_000 })),
    ],
    ["its removal", RESULTS, async (w) => {
      await w.gw.remove("up");
      await w.gw.set("up", cached(w.upstream, { tools: ["get"], resources: true, ttlMs: 60_000 }));
    }],
    [
      "the same upstream once more",
      [],
      (w) => w.gw.set("up", cached(w.upstream, { tools: ["get"], resources: true, ttlMs: 60_000 })),
    ],
  ];
  for (const [what, gone, act] of ends) {
    test(`[CACHE-6] ${what}`, async () => {
      const w = world();
      await w.list();
      await w.list({ principal: bob });
      for (const principal of [alice, bob]) {
        await w.call({}, { principal });
        await w.read({ principal });
        assert.equal((await w.call({}, { principal })).cached, true);
        assert.equal((await w.read({ principal })).cached, true);
      }
      await act(w);
      await flush();
      for (const principal of [alice, bob]) {
        assert.equal((await w.call({}, { principal })).cached, !gone.includes("tools"));
        assert.equal((await w.read({ principal })).cached, !gone.includes("resources"));
      }
    });
  }

  function tell({ upstream }: ReturnType<typeof world>, method: string): void {
    upstream.session().opened.downstream.notified({ method, params: { uri: "demo://b" } });
  }
});

describe("CACHE: refused at the start", () => {
  const upstream = new FakeUpstream();
  const refused: readonly [string, () => unknown, RegExp][] = [
    ["no upstream", () => cached(Object.create(null), { resources: true }), /Give an upstream/],
    ["nothing", () => cached(upstream, {}), /"tools" or "resources"/],
    ["tools without a time", () => cached(upstream, { tools: ["a"] }), /"ttlMs" with "tools"/],
    ["no time", () => cached(upstream, { resources: true, ttlMs: 0 }), /ttlMs/],
    ["no names", () => cached(upstream, { tools: [""], ttlMs: 1 }), /names of tools/],
    [
      "no scope",
      () => cached(upstream, { resources: true, scope: Object("x") }),
      /"user" or "all"/,
    ],
    ["no entries", () => cached(upstream, { resources: true, maxEntries: 0 }), /maxEntries/],
    [
      "twice",
      () => cached(lazy(cached(upstream, { resources: true })), { resources: true }),
      /once/,
    ],
    [
      "a wrong name",
      () => cached(upstream, JSON.parse('{"resources": true, "ttl": 1}')),
      /ttlMs/,
    ],
  ];
  for (const [what, act, message] of refused) {
    test(`[CACHE-8] ${what}`, () => assert.throws(act, message));
  }

  const url = "https://up.example/mcp";
  const document = { openapi: "3.1.0", info: { title: "x", version: "1" }, paths: {} };
  const account = { headers: () => ({}), refused: async () => false };
  const token = () => "token";
  const users: readonly [string, Upstream, RegExp | undefined][] = [
    ["http", http({ url, auth: "ours" }), undefined],
    ["stdio", stdio({ command: "x" }), undefined],
    ["openapi", openapi({ document, auth: "ours" }), undefined],
    ["http, headers", http({ url, forwardHeaders: ["x-tenant"] }), /by "forwardHeaders"/],
    ["http, a function", http({ url, auth: token }), /by a function as "auth"/],
    ["http, accounts", http({ url, auth: account }), /by accounts as "auth"/],
    ["http, shared", http({ url, auth: token, share: "user" }), /by a function as "auth"/],
    ["lazy http", lazy(http({ url, auth: token })), /by a function as "auth"/],
    [
      "openapi, headers",
      openapi({ document, forwardHeaders: ["x-tenant"] }),
      /by "forwardHeaders"/,
    ],
    ["openapi, a function", openapi({ document, auth: token }), /by a function as "auth"/],
    [
      "openapi, a function of a scheme",
      openapi({ document, auth: { schemes: { a: "ours", b: token } } }),
      /by a function as "auth"/,
    ],
    ["local", local(new McpServer({ name: "x", version: "1" })), /by the principal/],
    ["sdk", sdk(() => Object.create(null)), /by the principal/],
  ];
  for (const [what, given, message] of users) {
    test(`[CACHE-8] ${what}: for all${message === undefined ? "" : " is refused"}`, () => {
      const all = () => cached(given, { resources: true, scope: "all" });
      if (message === undefined) assert.equal(all().cache?.scope, "all");
      else assert.throws(all, message);
      assert.equal(cached(given, { resources: true }).cache?.scope, "user");
    });
  }
});

describe("CACHE: judged and seen like any call", () => {
  test("[CACHE-9] policy, rates and the gateway's middleware come before a hit", async () => {
    const seen: (boolean | undefined)[] = [];
    const watching: UpstreamMiddleware = async (request, next) => {
      const result = await next();
      if (request.method === "tools/call") seen.push(request.isCached?.());
      return result;
    };
    const w = world({ options: { middleware: [watching] } });
    await w.list();
    await w.call();
    await w.call();
    assert.deepEqual(seen, [false, true]);
    w.gw.setPolicy({ upstreams: { up: { tools: { deny: ["get"] } } } });
    await assert.rejects(w.call());
    w.gw.setPolicy(undefined);
    assert.equal((await w.call()).cached, true);
  });

  test("[CACHE-9] middleware that changes arguments changes the key", async () => {
    const middleware: UpstreamMiddleware[] = [
      ({ method, params, principal }, next) =>
        next(method === "tools/call" ? { ...params, arguments: { for: principal.id } } : params),
    ];
    const w = world({
      options: { middleware },
      cache: { tools: ["get"], ttlMs: 60_000, scope: "all" },
    });
    await w.list();
    await w.call();
    assert.equal((await w.call({}, { principal: bob })).cached, false);
    assert.equal((await w.call()).cached, true);
  });

  test("[CACHE-9] rates count hits, and refuse them", async () => {
    let left = 3;
    const limiter = { check: () => ({ allowed: left-- > 0 }) };
    const w = world({
      options: { policy: { upstreams: { up: { tools: { rateLimit: { get: limiter } } } } } },
    });
    await w.list();
    for (const cached of [false, true, true]) assert.equal((await w.call()).cached, cached);
    await assert.rejects(w.call(), /rate|many|later/i);
    assert.equal(w.reached.length, 1);
  });

  test("[CACHE-9] [CACHE-10] authorize, scopes, events, audit and metrics, in both eras", async () => {
    let lines = "";
    const trail = audit({ write: (more) => void (lines += more) });
    const events: McpEvent[] = [];
    const measured = metrics();
    const server = new McpServer({ name: "up", version: "1.0.0" });
    let runs = 0;
    server.registerTool(
      "get",
      { annotations: { readOnlyHint: true }, scopes: ["read"] },
      () => `${++runs}`,
    );
    const gw = gateway({
      upstreams: { up: cached(local(server), { tools: ["get"], ttlMs: 600_000 }) },
      middleware: [measured.upstream],
    });
    let allowed = true;
    let scopes = ["read"];
    const handler = createMcpHandler(gw, {
      authenticate: () => ({ id: "alice", scopes }),
      authorize: () => allowed,
      onEvent: (event) => {
        events.push(event);
        trail.onEvent(event);
        measured.onEvent(event);
      },
    });
    const peer = await initialize(handler);
    const modern = new ModernPeer(handler);
    const old = async () => saidBy(await peer.result(await peer.call(1, "up__get")));
    await peer.result(await peer.request(2, "tools/list"));
    const said = [await old(), await old()];
    // The capabilities that the upstream sees are another client's
    for (let call = 0; call < 2; call++) said.push(saidBy(await modern.say("up__get")));
    assert.deepEqual(said, ["1", "1", said[2], said[2]]);
    const before = runs;
    allowed = false;
    await peer.call(3, "up__get");
    allowed = true;
    scopes = [];
    await peer.call(4, "up__get");
    assert.equal(runs, before);
    const finished = events.flatMap((event) =>
      event.type === "request-finished" && event.method === "tools/call" &&
        event.outcome === "result"
        ? [event.cached]
        : []
    );
    const hits = finished.filter((cached) => cached === true).length;
    assert.deepEqual(finished.slice(0, 2), [undefined, true]);
    assert.equal(finished[3], true);
    assert.match(
      await measured.text(),
      new RegExp(`mooring_cached_results_total\\{upstream="up"\\} ${hits}\\n`),
    );
    assert.match(
      await measured.text(),
      new RegExp(`mcp_client_operation_duration_seconds_count\\{[^}]*get[^}]*\\} ${runs}\\n`),
    );
    await handler.close();
    await gw.close();
    await trail.close();
    const audited = lines.trim().split("\n").map((line) => JSON.parse(line))
      .filter(({ act, outcome }) => act === "call" && outcome === "result");
    assert.equal(audited.filter((entry) => entry.cached === true).length, hits);
  });
});

describe("CACHE: where it holds", () => {
  const modern: AskInit = { protocolVersion: "2026-07-28" };
  const rows: readonly [
    string,
    WorldInit,
    AskInit,
    (w: ReturnType<typeof world>) => [Dispatcher, string],
  ][] = [
    ["2025 to 2025", {}, {}, (w) => [w.gw, "up__get"]],
    ["2026 to 2025", {}, modern, (w) => [w.gw, "up__get"]],
    ["2025 to 2026", { version: "2026-07-28" }, {}, (w) => [w.gw, "up__get"]],
    ["2026 to 2026", { version: "2026-07-28" }, modern, (w) => [w.gw, "up__get"]],
    ["alone, 2025", {}, {}, (w) => [w.gw.only("up"), "get"]],
    ["alone, 2026 to 2025", {}, modern, (w) => [w.gw.only("up"), "get"]],
    ["alone, 2026", { version: "2026-07-28" }, modern, (w) => [w.gw.only("up"), "get"]],
    ["lazy", { wrap: lazy }, {}, (w) => [w.gw.only("up"), "get"]],
    [
      "each request a session",
      { options: { stateless: "request" } },
      modern,
      (w) => [w.gw, "up__get"],
    ],
    [
      "middleware",
      { options: { middleware: [(_request, next) => next()] } },
      {},
      (w) => [w.gw, "up__get"],
    ],
  ];
  for (const [what, init, given, target] of rows) {
    test(`[CACHE-11] ${what}`, async () => {
      const w = world(init);
      const [to, name] = target(w);
      await w.list(given, to);
      const first = await w.call({}, given, name, to);
      const second = await w.call({}, given, name, to);
      assert.deepEqual([first.cached, second.cached], [false, true]);
      assert.deepEqual(second.result, first.result);
      assert.equal(w.reached.length, 1);
      await w.gw.close();
    });
  }

  for (const kind of ["local", "http", "openapi", "sdk"] as const) {
    test(`[CACHE-11] ${kind}, merged and alone, for clients of both eras`, async () => {
      const asked: string[] = [];
      const server = new McpServer({ name: kind, version: "1.0.0" });
      server.registerTool("get", { annotations: { readOnlyHint: true } }, () => {
        asked.push("get");
        return "got";
      });
      const served = createMcpHandler(server);
      const document = {
        openapi: "3.1.0",
        info: { title: "x", version: "1" },
        paths: { "/get": { get: { operationId: "get", responses: {} } } },
      };
      const api = () => {
        asked.push("get");
        return Promise.resolve(Response.json({ text: "got" }));
      };
      const upstreams: Readonly<Record<typeof kind, () => Upstream>> = {
        local: () => local(server),
        http: () =>
          http({
            url: "http://localhost/mcp",
            fetch: (url, init) => served(new Request(url, init)),
          }),
        openapi: () => openapi({ document, baseUrl: "http://localhost/api", fetch: api }),
        sdk: () =>
          sdk(() => {
            const own = new SdkServer({ name: kind, version: "1.0.0" });
            own.registerTool("get", { annotations: { readOnlyHint: true } }, () => {
              asked.push("get");
              return { content: [{ type: "text", text: "got" }] };
            });
            return own;
          }),
      };
      const gw = gateway({
        upstreams: { up: cached(upstreams[kind](), { tools: ["get"], ttlMs: 600_000 }) },
      });
      for (const [to, name] of [[gw, "up__get"], [gw.only("up"), "get"]] as const) {
        const hits: (true | undefined)[] = [];
        const handler = createMcpHandler(to, {
          authenticate: () => ({ id: "alice" }),
          onEvent: (event) => {
            if (event.type === "request-finished" && event.tool !== undefined) {
              hits.push(event.cached);
            }
          },
        });
        const peer = await initialize(handler);
        await peer.result(await peer.request(1, "tools/list"));
        const modern = new ModernPeer(handler);
        for (let round = 0; round < 2; round++) {
          assert.match(String(saidBy(await peer.result(await peer.call(2, name)))), /got/);
          assert.match(String(saidBy(await modern.say(name))), /got/);
        }
        assert.deepEqual(hits.slice(2), [true, true]);
        await handler.close();
      }
      assert.ok(asked.length <= 4, `${asked.length}`);
      await gw.close();
      await served.close();
    });
  }

  test("[CACHE-11] one cache for the merged view and the upstream alone", async () => {
    const w = world();
    await w.list();
    await w.call();
    assert.equal((await w.call({}, {}, "get", w.gw.only("up"))).cached, true);
  });

  test("[CACHE-11] tool search finds and calls", async () => {
    const w = world();
    const view = w.gw.view({ toolSearch: true });
    await w.send("tools/call", { name: "search_tools", arguments: { query: "get" } }, {}, view);
    const params = { name: "call_tool", arguments: { name: "up__get", arguments: { a: 1 } } };
    const answers = [
      await w.send("tools/call", params, {}, view),
      await w.send("tools/call", params, {}, view),
    ];
    assert.deepEqual(answers.map(({ cached }) => cached), [false, true]);
  });

  test("[CACHE-11] a program that all use", async () => {
    const w = world();
    const common = withShare(bareOf(w.upstream), checkShare("test", { share: "all" }));
    await w.gw.set("up", cached(common, { tools: ["get"], ttlMs: 1_000 }));
    await w.list();
    await w.call();
    assert.deepEqual(
      [(await w.call()).cached, (await w.call({}, { principal: bob })).cached],
      [true, false],
    );
    await w.gw.close();
  });

  test("[CACHE-11] calls of several users at once each run, and one's cancellation is theirs", async () => {
    const gates: PromiseWithResolvers<void>[] = [];
    const w = world({
      results: {
        get: async () => {
          const gate = Promise.withResolvers<void>();
          gates.push(gate);
          await gate.promise;
          return text(`${gates.length}`);
        },
      },
      cache: { tools: ["get"], ttlMs: 1_000, scope: "all" },
    });
    await w.list();
    await w.list({ principal: bob });
    const calls = [w.call(), w.call({}, { principal: bob })];
    await flush();
    assert.equal(gates.length, 2);
    gates.forEach(({ resolve }) => resolve());
    assert.deepEqual((await Promise.all(calls)).map(({ cached }) => cached), [false, false]);
    assert.equal((await w.call()).cached, true);
  });
});

/** The upstream with nothing but what it must have. */
function bareOf(upstream: FakeUpstream): Upstream {
  return { kind: upstream.kind, identity: upstream.identity, open: (init) => upstream.open(init) };
}
