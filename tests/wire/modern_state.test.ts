import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions, RequestOptions } from "../../src/handler/types.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock } from "../support/clock.ts";
import { CAPABLE, ModernPeer, stateOf } from "../support/modern.ts";
import { as, byToken, Events, textOf } from "../support/wire.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const OTHER_KEY = new Uint8Array(32).fill(7);
const TTL = 300_000;
const NAME = { message: "Who are you?", schema: z.object({ name: z.string() }) };
const ADA = { action: "accept", content: { name: "Ada" } };
const ANSWERS = { name: ADA };
const ARGS = { path: "/a", deep: { x: 1, y: [1, 2] } };

/** What tools, prompts and resources with questions have answered. */
function makeServer(ran: string[] = []): McpServer {
  const server = new McpServer({ name: "state", version: "1.0.0" });
  const inputSchema = z.record(z.string(), z.unknown());
  for (const tool of ["rename", "delete"]) {
    server.registerTool(tool, { inputSchema }, async (_args, ctx) => {
      const { content } = await ctx.elicit("name", NAME);
      ran.push(tool);
      return `${tool}: ${content?.name}`;
    });
  }
  server.registerTool("plain", { inputSchema }, () => {
    ran.push("plain");
    return "plain";
  });
  const argsSchema = z.object({ mood: z.string().optional() });
  for (const prompt of ["rename", "poem"]) {
    server.registerPrompt(prompt, { argsSchema }, async (_args, ctx) => {
      const { content } = await ctx.elicit("name", NAME);
      ran.push(prompt);
      return `${prompt}: ${content?.name}`;
    });
  }
  for (const resource of ["a", "b"]) {
    server.registerResource(resource, `test://${resource}`, {}, async (_uri, ctx) => {
      const { content } = await ctx.elicit("name", NAME);
      ran.push(resource);
      return `${resource}: ${content?.name}`;
    });
  }
  return server;
}

function world(options: McpHandlerOptions = {}) {
  const ran: string[] = [];
  const handler = createMcpHandler(makeServer(ran), { authenticate: byToken, ...options });
  const peer = new ModernPeer(handler, { capabilities: CAPABLE, headers: as("alice") });
  return { ran, handler, peer };
}

type World = ReturnType<typeof world>;

/** The state that a first round leaves. */
async function begun(
  { peer }: Pick<World, "peer">,
  method = "tools/call",
  params: JsonObject = { name: "rename", arguments: ARGS },
): Promise<string> {
  return stateOf(await peer.ask(method, params));
}

/** Checks that a state is turned away, and that nothing has run. */
async function refusedState(
  { peer, ran }: World,
  requestState: unknown,
  method = "tools/call",
  params: JsonObject = { name: "rename", arguments: ARGS },
): Promise<void> {
  const retry = { ...params, requestState, inputResponses: ANSWERS };
  const { code, message, data } = await peer.error(await peer.request(method, retry), method);
  assert.equal(code, -32602);
  assert.match(message, /requestState/);
  assert.equal(data, undefined);
  assert.deepEqual(ran, []);
}

async function takenState({ peer }: Pick<World, "peer">, requestState: string): Promise<void> {
  const said = await peer.say("rename", ARGS, { requestState, inputResponses: ANSWERS });
  assert.equal(textOf(said), "rename: Ada");
}

describe("ASK: requestState", () => {
  test("[ASK-5] it says nothing to who reads it", async () => {
    const { handler, peer } = world();
    const first = await begun({ peer });
    assert.match(first, /^[A-Za-z0-9_-]+$/);
    const seen = atob(first.replaceAll("-", "+").replaceAll("_", "/"));
    assert.doesNotMatch(seen, /alice|rename|path|name|answers/);
    assert.notEqual(await begun({ peer }), first);
    await handler.close();
  });

  test("[ASK-5] the answers of earlier rounds travel in it, and stay secret", async () => {
    const handler = createMcpHandler(secretive(), { authenticate: byToken });
    const peer = new ModernPeer(handler, { capabilities: CAPABLE, headers: as("alice") });
    const first = await peer.say("twice");
    const second = await peer.say("twice", {}, {
      requestState: first.requestState,
      inputResponses: { name: { action: "accept", content: { name: "Topsecret" } } },
    });
    const state = stateOf(second);
    assert.doesNotMatch(atob(state.replaceAll("-", "+").replaceAll("_", "/")), /Topsecret/);
    const third = await peer.say("twice", {}, {
      requestState: state,
      inputResponses: { again: ADA },
    });
    assert.equal(textOf(third), "Topsecret, Ada");
    await handler.close();
  });

  const same: Readonly<Record<string, JsonObject>> = {
    "the same request": { name: "rename", arguments: ARGS },
    "arguments in another order of keys": {
      arguments: { deep: { y: [1, 2], x: 1 }, path: "/a" },
      name: "rename",
    },
    "another progress token": { name: "rename", arguments: ARGS, _meta: { progressToken: 9 } },
  };
  for (const [what, params] of Object.entries(same)) {
    test(`[ASK-5] it is good for ${what}`, async () => {
      const own = world();
      const requestState = await begun(own);
      const retry = { ...params, requestState, inputResponses: ANSWERS };
      assert.equal(textOf(await own.peer.ask("tools/call", retry)), "rename: Ada");
      await own.handler.close();
    });
  }

  test("[ASK-5] it is good again and again: nothing is kept of it here", async () => {
    const own = world();
    const requestState = await begun(own);
    for (let i = 0; i < 3; i++) await takenState(own, requestState);
    await own.handler.close();
  });

  const forged: Readonly<Record<string, (state: string) => unknown>> = {
    "nothing": () => "",
    "null": () => null,
    "a number": () => 7,
    "an object": () => ({ answers: {} }),
    "nonsense": () => "nonsense",
    "other characters": (state) => `${state}=`,
    "its first half": (state) => state.slice(0, state.length / 2),
    "all but its last byte": (state) => state.slice(0, -2),
    "all but its first byte": (state) => state.slice(2),
    "more behind it": (state) => `${state}AAAA`,
    "its first character changed": (state) => (state[0] === "A" ? "B" : "A") + state.slice(1),
    "its middle changed": (state) => {
      const at = state.length >> 1;
      return state.slice(0, at) + (state[at] === "A" ? "B" : "A") + state.slice(at + 1);
    },
    "plain JSON in Base64": () => btoa(JSON.stringify({ until: 9e15, data: { answers: {} } })),
    "a very long text": () => "A".repeat(200_000),
  };
  for (const [what, forge] of Object.entries(forged)) {
    test(`[ASK-5] ${what} → -32602, also for a tool that asks nothing`, async () => {
      const own = world();
      const state = forge(await begun(own));
      await refusedState(own, state);
      await refusedState(own, state, "tools/call", { name: "plain", arguments: {} });
      await refusedState(own, state, "tools/list", {});
      await own.handler.close();
    });
  }

  const elsewhere: Readonly<Record<string, readonly [string, JsonObject]>> = {
    "another tool": ["tools/call", { name: "delete", arguments: ARGS }],
    "a tool that asks nothing": ["tools/call", { name: "plain", arguments: ARGS }],
    "a tool that doesn't exist": ["tools/call", { name: "none", arguments: ARGS }],
    "other arguments": ["tools/call", { name: "rename", arguments: { ...ARGS, path: "/b" } }],
    "other arguments deep inside": [
      "tools/call",
      { name: "rename", arguments: { ...ARGS, deep: { x: 1, y: [2, 1] } } },
    ],
    "fewer arguments": ["tools/call", { name: "rename", arguments: { path: "/a" } }],
    "more arguments": ["tools/call", { name: "rename", arguments: { ...ARGS, more: 1 } }],
    "no arguments": ["tools/call", { name: "rename" }],
    "another method": ["prompts/get", { name: "rename", arguments: {} }],
    "a list": ["tools/list", {}],
    "discovery": ["server/discover", {}],
  };
  for (const [what, [method, params]] of Object.entries(elsewhere)) {
    test(`[ASK-5] on ${what} → -32602`, async () => {
      const own = world();
      await refusedState(own, await begun(own), method, params);
      await own.handler.close();
    });
  }

  test("[ASK-5] on another method with the very same parameters → -32602", async () => {
    const own = world();
    const params = { name: "rename", arguments: {} };
    const ofTool = await begun(own, "tools/call", params);
    const ofPrompt = await begun(own, "prompts/get", params);
    await refusedState(own, ofTool, "prompts/get", params);
    await refusedState(own, ofPrompt, "tools/call", params);
    await own.handler.close();
  });

  test("[ASK-5] a prompt's is for that prompt and its arguments, a resource's for its URI", async () => {
    const own = world();
    const poem = { name: "poem", arguments: { mood: "sad" } };
    const ofPoem = await begun(own, "prompts/get", poem);
    const happy = { name: "poem", arguments: { mood: "happy" } };
    await refusedState(own, ofPoem, "prompts/get", happy);
    await refusedState(own, ofPoem, "prompts/get", { ...poem, name: "rename" });
    const ofA = await begun(own, "resources/read", { uri: "test://a" });
    await refusedState(own, ofA, "resources/read", { uri: "test://b" });
    const retry = { inputResponses: ANSWERS };
    await own.peer.ask("prompts/get", { ...poem, ...retry, requestState: ofPoem });
    await own.peer.ask("resources/read", { uri: "test://a", ...retry, requestState: ofA });
    assert.deepEqual(own.ran, ["poem", "a"]);
    await own.handler.close();
  });

  test("[ASK-5] another principal's → -32602, whichever part of it differs", async () => {
    const principals = [
      { id: "alice", issuer: "https://a.example", clientId: "app" },
      { id: "bob", issuer: "https://a.example", clientId: "app" },
      { id: "alice", issuer: "https://b.example", clientId: "app" },
      { id: "alice", issuer: "https://a.example", clientId: "other" },
      { id: "alice" },
    ];
    const ran: string[] = [];
    const handler = createMcpHandler(makeServer(ran), {
      authenticate: (request) => principals[Number(request.headers.get("x-who"))] ?? { id: "" },
    });
    const peer = new ModernPeer(handler, { capabilities: CAPABLE });
    const as = (who: number) => peer.with({ headers: { "x-who": String(who) } });
    const requestState = await begun({ peer: as(0) });
    for (let who = 1; who < principals.length; who++) {
      await refusedState({ handler, ran, peer: as(who) }, requestState);
    }
    await takenState({ peer: as(0) }, requestState);
    await handler.close();
  });

  test("[ASK-5] the operator isn't told what is in it, the client not why it is no good", async () => {
    const events = new Events();
    const own = world({ onEvent: events.onEvent });
    const requestState = await begun(own);
    const bob = { ...own, peer: own.peer.with({ headers: as("bob") }) };
    await refusedState(bob, requestState);
    const foreign = await bob.peer.error(await bob.peer.call("rename", ARGS, { requestState }));
    const nonsense = await bob.peer.error(
      await bob.peer.call("rename", ARGS, { requestState: "x" }),
    );
    assert.equal(foreign.message, nonsense.message);
    assert.doesNotMatch(JSON.stringify(events.all), new RegExp(requestState.slice(0, 20)));
    await own.handler.close();
  });
});

describe("ASK: how long a state is good", () => {
  for (const [askTimeoutMs, ms] of [[undefined, TTL], [1_000, 1_000]] as const) {
    test(`[ASK-5] for ${ms} ms and not one more`, async () => {
      const clock = new FakeClock();
      const own = world({ clock, requests: { askTimeoutMs } });
      const requestState = await begun(own);
      await clock.advance(ms - 1);
      await takenState(own, requestState);
      own.ran.length = 0;
      await clock.advance(1);
      await refusedState(own, requestState);
      await own.handler.close();
    });
  }

  test("[ASK-5] every round begins its time anew", async () => {
    const clock = new FakeClock();
    const own = world({ clock });
    let requestState = await begun(own);
    for (let i = 0; i < 3; i++) {
      await clock.advance(TTL - 1);
      requestState = stateOf(await own.peer.say("rename", ARGS, { requestState }));
    }
    await takenState(own, requestState);
    await own.handler.close();
  });
});

describe("ASK: the keys of states", () => {
  const keyed = (...stateKeys: (string | Uint8Array)[]) => world({ requests: { stateKeys } });

  test("[ASK-5] another handler without shared keys → -32602", async () => {
    const [one, other] = [world(), world()];
    await refusedState(other, await begun(one));
    await refusedState(keyed(KEY), await begun(one));
    await refusedState(world(), await begun(keyed(KEY)));
    await one.handler.close();
    await other.handler.close();
  });

  test("[ASK-5] another handler with the same keys goes on with it", async () => {
    await takenState(keyed(KEY), await begun(keyed(KEY)));
    await takenState(keyed(new TextEncoder().encode(KEY)), await begun(keyed(KEY)));
  });

  test("[ASK-5] keys rotate: the first seals, all open", async () => {
    const before = await begun(keyed(KEY));
    const during = await begun(keyed(OTHER_KEY, KEY));
    await takenState(keyed(OTHER_KEY, KEY), before);
    await takenState(keyed(OTHER_KEY), during);
    await refusedState(keyed(OTHER_KEY), before);
    await refusedState(keyed(KEY), during);
  });

  test("[ASK-5] a key that is changed afterwards changes nothing", async () => {
    const bytes = OTHER_KEY.slice();
    const own = keyed(bytes);
    const requestState = await begun(own);
    bytes.fill(0);
    await takenState(own, requestState);
    await refusedState({ ...keyed(bytes) }, requestState);
    await takenState(keyed(OTHER_KEY), requestState);
  });

  // The point is what happens when the type is not kept.
  const wrong = [
    [{ stateKeys: ["short"] }, RangeError],
    [{ stateKeys: [KEY.slice(1)] }, RangeError],
    [{ stateKeys: [KEY, new Uint8Array(31)] }, RangeError],
    [{ stateKeys: [""] }, RangeError],
    [{ stateKeys: [7] }, TypeError],
    [{ stateKeys: [undefined] }, TypeError],
    [{ stateKeys: [[...OTHER_KEY]] }, TypeError],
    [{ stateKeys: KEY }, TypeError],
    [{ stateKeys: OTHER_KEY }, TypeError],
    [{ stateKeys: {} }, TypeError],
    [{ askTimeoutMs: 0 }, RangeError],
    [{ askTimeoutMs: 1.5 }, RangeError],
  ] as unknown as [RequestOptions, ErrorConstructor][];
  for (const [requests, type] of wrong) {
    const [[option = "", value] = []] = Object.entries(requests);
    test(`[ASK-5] ${option} of ${JSON.stringify(value)?.slice(0, 40)} is misuse, and not repeated`, () => {
      assert.throws(() => world({ requests }), (error) => {
        assert.ok(error instanceof type, String(error));
        assert.match(error.message, new RegExp(option));
        assert.doesNotMatch(error.message, /0123456789abc|short/);
        return true;
      });
    });
  }
});

/** A server whose tool asks twice. */
function secretive(): McpServer {
  const server = new McpServer({ name: "secretive", version: "1.0.0" });
  server.registerTool("twice", {}, async (_args, ctx) => {
    const first = await ctx.elicit("name", NAME);
    const second = await ctx.elicit("again", NAME);
    return `${first.content?.name}, ${second.content?.name}`;
  });
  return server;
}
