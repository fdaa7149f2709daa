import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway } from "../../src/gateway/mod.ts";
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
  text,
  textOf,
  tools,
} from "./core_support.ts";

const session = sessionOf("a");

async function names(
  gw: Dispatcher,
  method = "tools/list",
  key = "tools",
  id = "name",
  init: AskInit = { session },
): Promise<unknown[]> {
  const result = await ask(gw, new GatewayExchange(method, {}, init));
  const entries = result[key];
  assert.ok(Array.isArray(entries));
  return entries.map((entry) => entry[id]);
}

/** A gateway over several upstreams, with an endpoint that writes down what it is told. */
function over(
  inits: Readonly<Record<string, FakeUpstreamInit>>,
  options: Parameters<typeof gateway>[0] = {},
) {
  const clock = new FakeClock();
  const ups = Object.fromEntries(
    Object.entries(inits).map(([name, init]) => [name, new FakeUpstream(init)]),
  );
  const gw = gateway({ upstreams: ups, clock, ...options });
  const host = new GatewayHost();
  gw.attach?.(host);
  return { clock, gw, host, up: (name: string) => ups[name] ?? assert.fail(name) };
}

const changing = { tools: { listChanged: true } };
const resourceful = { resources: { listChanged: true, subscribe: true } };

function resources(uris: readonly string[], templates: readonly string[] = []) {
  return {
    "resources/list": () => ({ resources: uris.map((uri) => ({ uri, name: uri })) }),
    "resources/templates/list": () => ({
      resourceTemplates: templates.map((uriTemplate) => ({ uriTemplate, name: uriTemplate })),
    }),
  };
}

describe("merged lists", () => {
  test("[GTW-8] tools and prompts are in the order of their upstreams, under prefixes", async () => {
    const capabilities = { tools: {}, prompts: {} };
    const answers = {
      ...tools({ x: count, y: count }),
      "prompts/list": () => ({ prompts: [{ name: "hello world" }] }),
    };
    const { gw } = over({ b: { capabilities, answers }, a: { capabilities, answers } });
    assert.deepEqual(await names(gw), ["b__x", "b__y", "a__x", "a__y"]);
    assert.deepEqual(
      await names(gw, "prompts/list", "prompts"),
      ["b__hello world", "a__hello world"],
    );
    assert.deepEqual(await names(gw.only("a")), ["x", "y"]);
  });

  test("[GTW-8] calls go to their upstream, under its own name for the tool", async () => {
    const { gw, up } = over({
      a: { answers: tools({ "_x__y": ({ params }) => text(String(params.name)) }) },
      b: { answers: tools({ "_x__y": count }) },
    }, { separator: "__" });
    assert.equal(textOf(await ask(gw, callOf("a___x__y", session))), "_x__y");
    assert.equal(up("b").sessions.length, 0);
    for (const name of ["c__x", "x", "a__", "__x", "", "a", "constructor__x"]) {
      await assert.rejects(ask(gw, callOf(name, session)), (error) => {
        assert.ok(error instanceof McpError);
        assert.equal(error.message, `Unknown tool: "${name}"`);
        return true;
      });
    }
    await assert.rejects(
      ask(gw, new GatewayExchange("tools/call", { name: 1 }, { session })),
      /Give a tool's name/,
    );
  });

  test("[GTW-8] the separator can be another one", async () => {
    const { gw } = over({ "a_b": { answers: tools({ x: count }) } }, { separator: "." });
    assert.deepEqual(await names(gw), ["a_b.x"]);
    assert.equal(textOf(await ask(gw, callOf("a_b.x", session))), "1");
  });

  test("[GTW-8] prompts and completions find their upstream", async () => {
    const answers = {
      "prompts/get": ({ params }: { params: JsonObject }) => ({ messages: [], got: params.name }),
      "completion/complete": ({ params }: { params: JsonObject }) => ({ ref: params.ref }),
      ...resources(["r://1"], ["t://{x}"]),
    };
    const capabilities = { prompts: {}, resources: {}, completions: {} };
    const { gw } = over({ a: {}, b: { answers, capabilities } });
    const got = await ask(gw, new GatewayExchange("prompts/get", { name: "b__p" }, { session }));
    assert.equal(got.got, "p");
    for (
      const [given, expected] of [
        [{ type: "ref/prompt", name: "b__p" }, { type: "ref/prompt", name: "p" }],
        [{ type: "ref/resource", uri: "t://{x}" }, { type: "ref/resource", uri: "t://{x}" }],
      ]
    ) {
      const params = { ref: given, argument: { name: "x", value: "" } };
      const { ref } = await ask(
        gw,
        new GatewayExchange("completion/complete", params, { session }),
      );
      assert.deepEqual(ref, expected);
    }
    for (const ref of [{ type: "ref/prompt", name: "c__p" }, { type: "ref/other" }, 1]) {
      await assert.rejects(
        ask(gw, new GatewayExchange("completion/complete", { ref }, { session })),
        { code: -32602 },
      );
    }
  });

  test("[GTW-8, APP-1] a URI belongs to the upstream that lists it, or to the closest template", async () => {
    const read = (name: string) => ({ "resources/read": () => ({ contents: [], from: name }) });
    const { gw, host } = over({
      a: {
        capabilities: resourceful,
        answers: {
          ...resources(["r://1", "https://x.example"], ["db://{table}", "x{y}"]),
          ...read("a"),
        },
      },
      b: {
        capabilities: resourceful,
        answers: {
          ...resources(["r://1", "https://x.example", "r://2"], ["db://users/{id}", "f://{p}/end"]),
          ...read("b"),
        },
      },
      c: {
        capabilities: resourceful,
        answers: { ...resources([], ["db://{any}", "{+all}end"]), ...read("c") },
      },
    });
    assert.deepEqual(await names(gw, "resources/list", "resources", "uri"), [
      "r://a__1",
      "https://x.example",
      "r://b__1",
      "r://2",
    ]);
    await names(gw, "resources/list", "resources", "uri");
    assert.deepEqual(host.reported.filter(({ type }) => type === "upstream-entries-dropped"), [{
      type: "upstream-entries-dropped",
      upstream: "b",
      list: "resources/list",
      reason: "duplicate",
      count: 1,
    }]);
    for (
      const [uri, from] of [
        ["r://a__1", "a"],
        ["r://b__1", "b"],
        ["https://x.example", "a"],
        ["r://2", "b"],
        ["db://a__orders", "a"],
        ["db://c__orders", "c"],
        ["db://users/1", "b"],
        ["f://a/b/end", "b"],
        ["g://end", "c"],
      ]
    ) {
      const result = await ask(gw, new GatewayExchange("resources/read", { uri }, { session }));
      assert.equal(result.from, from, uri);
    }
    // What several have is nobody's: "r://1" and "db://orders".
    for (const uri of ["no://where", "f://a", "r://1", "db://orders"]) {
      await assert.rejects(
        ask(gw, new GatewayExchange("resources/read", { uri }, { session })),
        { code: -32002 },
      );
    }
  });

  test("[GTW-8] pages hold as much as the client's endpoint says, and cursors are checked", async () => {
    const handlers = Object.fromEntries(Array.from({ length: 5 }, (_, n) => [`t${n}`, count]));
    const { gw } = over({ a: { answers: tools(handlers) }, b: { answers: tools(handlers) } });
    const seen: unknown[] = [];
    let cursor: unknown;
    do {
      const params = cursor === undefined ? {} : { cursor };
      const page = await ask(
        gw,
        new GatewayExchange("tools/list", params, { session, pageSize: 4 }),
      );
      assert.ok(Array.isArray(page.tools) && page.tools.length <= 4);
      seen.push(...page.tools.map(({ name }) => name));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    assert.equal(new Set(seen).size, 10);
    for (const bad of ["", "x", 7, null, btoa("t.0"), btoa("p.4"), btoa("t.04"), "é"]) {
      await assert.rejects(
        ask(gw, new GatewayExchange("tools/list", { cursor: bad }, { session })),
        { code: -32602 },
        String(bad),
      );
    }
  });

  test("[GTW-8] lists are kept until they change, by those who say when they change", async () => {
    const { clock, gw, host, up } = over({
      says: { capabilities: changing, answers: tools({ x: count }) },
      mute: { answers: tools({ x: count }) },
    });
    const lists = (name: string) =>
      up(name).session().methods.filter((method) => method === "tools/list").length;
    for (let n = 0; n < 3; n++) await names(gw);
    assert.deepEqual([lists("says"), lists("mute")], [1, 1]);
    await clock.advance(5000);
    await names(gw);
    assert.deepEqual([lists("says"), lists("mute")], [1, 2]);
    const { downstream } = up("says").session().opened;
    for (let n = 0; n < 10; n++) {
      downstream.notified({ method: "notifications/tools/list_changed", params: { odd: 1 } });
    }
    await clock.advance(250);
    assert.deepEqual(host.told, [["a", { method: "notifications/tools/list_changed" }]]);
    await names(gw);
    assert.deepEqual([lists("says"), lists("mute")], [2, 2]);
  });

  test("[GTW-8] a list that changes while it is fetched is not kept", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let lists = 0;
    const { gw, up } = over({
      a: {
        capabilities: changing,
        answers: {
          "tools/list": async () => {
            if (++lists === 1) await promise;
            return { tools: [{ name: `t${lists}`, inputSchema: {} }] };
          },
        },
      },
    });
    const first = names(gw);
    await flush();
    up("a").session().opened.downstream.notified({ method: "notifications/tools/list_changed" });
    resolve();
    await first;
    assert.deepEqual(await names(gw), ["a__t2"]);
    assert.deepEqual(await names(gw), ["a__t2"]);
    assert.equal(lists, 2);
  });

  test("[GTW-8] who asks at once for a list waits for one", async () => {
    const { gw, up } = over({ a: { answers: tools({ x: count }) } }, { listCacheMs: 0 });
    await Promise.all(Array.from({ length: 10 }, () => names(gw)));
    assert.deepEqual(up("a").session().methods, ["tools/list"]);
  });

  test("[GTW-8] an upstream that can't list doesn't take the others' lists away", async () => {
    const { clock, gw, host } = over({
      dead: {
        opening: () => {
          throw new Error("token=secret");
        },
      },
      broken: {
        answers: {
          "tools/list": () => {
            throw new McpError(-32603, "Broken");
          },
        },
      },
      slow: { answers: { "tools/list": () => new Promise(() => {}) } },
      fine: { answers: tools({ x: count }) },
    });
    const listed = names(gw);
    await clock.advance(10_000);
    assert.deepEqual(await listed, ["fine__x"]);
    const failed = host.reported.filter((event) => event.type === "upstream-failed");
    assert.deepEqual(failed.map(({ upstream }) => upstream).sort(), ["broken", "dead", "slow"]);
    // For a moment nobody waits for them again.
    assert.deepEqual(await names(gw), ["fine__x"]);
    await assert.rejects(ask(gw, callOf("dead__x", session)), (error) => {
      assert.ok(error instanceof McpError);
      assert.match(error.message, /"dead" can't be used now/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    await assert.rejects(names(gw.only("broken")), /Broken/);
    await gw.close();
    assert.equal(clock.pending, 0);
  });

  test("[GTW-8] what is no entry, is there twice, or has no possible name is left out", async () => {
    const odd = [
      null,
      1,
      {},
      { name: 1 },
      { name: "" },
      { name: "a b" },
      { name: "ü" },
      { name: "x".repeat(126) },
      { name: "x\n" },
      { name: "ok" },
      { name: "ok", description: "again" },
    ];
    const { gw, host } = over({ a: { answers: { "tools/list": () => ({ tools: odd }) } } });
    assert.deepEqual(await names(gw), ["a__ok"]);
    assert.deepEqual(
      host.reported.flatMap((event) =>
        event.type === "upstream-entries-dropped" ? [[event.reason, event.count]] : []
      ),
      [["invalid", 9], ["duplicate", 1]],
    );
  });

  test("[GTW-8] lists are bounded in pages, entries and bytes", async () => {
    const endless = (make: (page: number) => readonly JsonObject[]) => {
      let page = 0;
      return {
        answers: {
          "tools/list": () => ({ tools: make(page), nextCursor: `c${++page}` }),
        },
      };
    };
    const limits = { listPages: 7, listEntries: 50, listBytes: 10_000 };
    const { gw, host, up } = over({
      pages: endless(() => []),
      entries: endless((page) =>
        Array.from({ length: 20 }, (_, n) => ({ name: `t${page * 20 + n}` }))
      ),
      bytes: endless((page) => [{ name: `t${page}`, description: "x".repeat(3000) }]),
      circle: { answers: { "tools/list": () => ({ tools: [], nextCursor: "same" }) } },
    }, { limits });
    const listed = await names(gw, "tools/list", "tools", "name", { session, pageSize: 1000 });
    const of = (name: string) => listed.filter((each) => String(each).startsWith(name)).length;
    assert.deepEqual([of("pages"), of("entries"), of("bytes")], [0, 50, 3]);
    assert.equal(up("pages").session().calls.length, 7);
    assert.equal(up("circle").session().calls.length, 2);
    const cut = host.reported.flatMap((event) =>
      event.type === "upstream-entries-dropped" ? [`${event.upstream} ${event.reason}`] : []
    );
    assert.deepEqual(cut.sort(), ["bytes limit", "entries limit", "pages limit"]);
  });

  test("[GTW-8] who can't do something isn't asked for it, and lists without it", async () => {
    const { gw, up } = over({ a: { capabilities: {}, answers: tools({ x: count }) }, b: {} });
    assert.deepEqual(await names(gw), []);
    assert.deepEqual(up("a").session().methods, []);
    assert.deepEqual(up("b").session().methods, ["tools/list"]);
  });

  test("[GTW-8] where tools are hidden from some, what isn't there looks just like them", async () => {
    const { gw } = over({ a: { answers: tools({ x: count }) } });
    const error = async (run: () => unknown) => {
      try {
        await run();
      } catch (error) {
        assert.ok(error instanceof McpError);
        return [error.code, error.message, error.data];
      }
      return assert.fail("It didn't fail");
    };
    const init = { session, mayUse: () => true };
    const absent = await error(() => ask(gw, callOf("a__gone", session, init)));
    const hidden = await error(() => hide(gw, callOf("a__gone", session, init), "item"));
    assert.deepEqual(hidden, absent);
    assert.deepEqual(absent, [-32602, 'Unknown tool: "a__gone"', undefined]);
    assert.equal(textOf(await ask(gw, callOf("a__x", session, init))), "1");
    await assert.rejects(async () => await hide(gw, new GatewayExchange("prompts/list"), "item"), {
      code: -32601,
    });
  });

  test("[GTW-8] what upstreams can do is said together, and what they say of their use", async () => {
    const { gw } = over({
      a: { capabilities: { tools: {}, logging: {}, tasks: {} }, instructions: "Use a." },
      b: { capabilities: { resources: { subscribe: true } }, instructions: "Use b." },
    });
    const init = await ask(gw, new GatewayExchange("initialize", {}, { session }));
    assert.deepEqual(init.capabilities, {
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      logging: {},
    });
    assert.equal(init.protocolVersion, "2025-11-25");
    assert.equal(init.instructions, "# a\n\nUse a.\n\n# b\n\nUse b.");
    const alone = await ask(gw.only("a"), new GatewayExchange("initialize", {}, { session }));
    assert.equal(alone.instructions, "Use a.");
    const modern = { protocolVersion: "2026-07-28" } as const;
    const { capabilities } = await ask(gw, new GatewayExchange("server/discover", {}, modern));
    assert.deepEqual(capabilities, {
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      logging: {},
    });
  });

  test("[GTW-8] what the gateway itself is told to say goes first", async () => {
    const info = { name: "mine", version: "2.0.0" };
    const { gw } = over({ a: { instructions: "x".repeat(5000) } }, { info, instructions: "Mine." });
    const init = await ask(gw, new GatewayExchange("initialize", {}, { session }));
    assert.deepEqual([init.instructions, init.serverInfo], ["Mine.", info]);
    const { gw: other } = over({ a: { instructions: "x".repeat(5000) } });
    const { instructions } = await ask(other, new GatewayExchange("initialize", {}, { session }));
    assert.equal(instructions, `${"x".repeat(4096)}…`);
  });

  test("[GTW-8] an upstream that can't be reached keeps nobody from the others", async () => {
    let dead = true;
    const { clock, gw } = over({
      late: {
        opening: () => {
          if (dead) throw new Error("Down");
        },
        answers: tools({ x: count }),
      },
      hangs: { opening: () => new Promise(() => {}) },
      fine: { capabilities: { prompts: {} } },
    });
    const begun = ask(gw, new GatewayExchange("initialize", {}, { session }));
    await clock.advance(30_000);
    const { capabilities } = await begun;
    const lists = { listChanged: true };
    assert.deepEqual(capabilities, { tools: lists, resources: lists, prompts: lists });
    dead = false;
    assert.equal(textOf(await ask(gw, callOf("late__x", session))), "1");
  });
});
