import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { McpError, MissingCapabilityError } from "../../src/protocol/errors.ts";
import type { Exchange } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { ClientCapabilities } from "../../src/protocol/shapes.ts";
import { StopError } from "../../src/calls/lifetime/stop.ts";
import type { Approval } from "../../src/server/questions/approval.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock, flush } from "../support/clock.ts";
import {
  accepted,
  Events,
  type Frames,
  initialize,
  isPending,
  logMessage,
  type Peer,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";

const ALL: ClientCapabilities = { roots: {}, sampling: {}, elicitation: { form: {}, url: {} } };
const NOTHING = { sessions: 1, streams: 0, requests: 0, questions: 0, listens: 0 };

/** A handler whose tool asks for roots, or for what its arguments say, and says what came of it. */
function endpoint(options: McpHandlerOptions = {}) {
  const clock = new FakeClock();
  const events = new Events();
  const outcomes: unknown[] = [];
  const stub = new Stub({
    async ask(exchange) {
      const given = exchange.params.arguments as { method?: string; params?: JsonObject };
      const { method = "roots/list", params = {} } = given;
      try {
        const result = await exchange.ask(method, params);
        outcomes.push(result);
        return text(JSON.stringify(result));
      } catch (error) {
        outcomes.push(error);
        throw error;
      }
    },
    async three(exchange) {
      const asked = [1, 2, 3].map(() => exchange.ask("roots/list", {}));
      return text(JSON.stringify(await Promise.all(asked)));
    },
  });
  const handler = createMcpHandler(stub, { clock, onEvent: events.onEvent, ...options });
  return { clock, events, outcomes, stub, handler };
}

function codeOf(message: JsonObject | undefined): unknown {
  return (message?.error as { code?: unknown } | undefined)?.code;
}

describe("ASK: the way of a question", () => {
  test("[ASK-1] it is sent on the calling POST's stream, which it makes a stream, not on GET", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler, { capabilities: ALL });
    const server = await peer.listen();
    const call = peer.frames(await peer.call(1, "ask"));
    const question = await call.message();
    assert.deepEqual({ ...question, id: 0 }, {
      jsonrpc: "2.0",
      id: 0,
      method: "roots/list",
      params: {},
    });
    assert.equal(handler.stats().questions, 1);
    await peer.reply(question?.id, { roots: [] });
    assert.equal(textOf((await call.message())?.result), '{"roots":[]}');
    assert.equal(await call.next(), undefined);
    assert.deepEqual(handler.stats(), { ...NOTHING, streams: 1 });
    await peer.delete();
    assert.deepEqual(await server.messages(), []);
    await handler.close();
  });

  test("[ASK-1] where the POST takes JSON only, it is sent on the GET stream", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler, { capabilities: ALL, accept: "application/json" });
    const server = await peer.listen();
    const call = peer.call(1, "ask");
    const question = await server.message();
    assert.equal(question?.method, "roots/list");
    await peer.reply(question.id, { roots: [] });
    assert.equal(textOf(await peer.result(await call)), '{"roots":[]}');
    await handler.close();
  });

  test("[ASK-1] where there is no stream at all, the handler gets a typed error at once", async () => {
    const { handler, outcomes } = endpoint();
    const peer = await initialize(handler, { capabilities: ALL, accept: "application/json" });
    const message = await peer.json(await peer.call(1, "ask"));
    assert.equal(codeOf(message), -32000);
    assert.ok(outcomes[0] instanceof McpError);
    assert.equal(handler.stats().questions, 0);
    await handler.close();
  });

  test("[ASK-1] without sessions nobody could answer, so nobody is asked", async () => {
    const { handler, outcomes } = endpoint({ sessions: false });
    const peer = await initialize(handler, { capabilities: ALL });
    assert.ok(codeOf(await peer.json(await peer.call(1, "ask"))));
    assert.ok(outcomes[0] instanceof McpError);
    await handler.close();
  });

  test("[ASK-1] ids are unguessable and never the same", async () => {
    const worlds = [endpoint(), endpoint()];
    const ids = new Set<string>();
    for (const { handler } of worlds) {
      const peer = await initialize(handler, { capabilities: ALL });
      for (let i = 0; i < 50; i++) {
        const call = peer.frames(await peer.call(1, "ask"));
        const id = String((await call.message())?.id);
        // 128 random bits at the least, six a character.
        assert.match(id, /^q-[\w-]{22,}$/);
        ids.add(id);
        await peer.reply(id, { roots: [] });
        await call.messages();
      }
      await handler.close();
    }
    assert.equal(ids.size, 100);
  });

  test("[ASK-1] questions asked together are told apart", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler, { capabilities: ALL });
    const call = peer.frames(await peer.call(1, "three"));
    const ids = [];
    for (let i = 0; i < 3; i++) ids.push((await call.message())?.id);
    assert.equal(handler.stats().questions, 3);
    for (const i of [2, 0, 1]) await peer.reply(ids[i], { roots: [{ uri: `file:///${i}` }] });
    const answers = JSON.parse(String(textOf((await call.message())?.result)));
    assert.deepEqual(answers, [0, 1, 2].map((i) => ({ roots: [{ uri: `file:///${i}` }] })));
    await handler.close();
  });

  test("[ASK-1] a reply counts once; double, late, unknown and malformed ones → 202 and nothing", async () => {
    const { handler, events } = endpoint();
    const peer = await initialize(handler, { capabilities: ALL });
    const call = peer.frames(await peer.call(1, "ask"));
    const id = (await call.message())?.id;
    for (const wrong of ["q-unknown", "", 0, 1, `${id} `, "__proto__"]) {
      await peer.reply(wrong, { roots: [{ uri: "file:///wrong" }] });
    }
    await accepted(
      await peer.post({ jsonrpc: "2.0", id: null, error: { code: -32600, message: "?" } }),
    );
    assert.equal(handler.stats().questions, 1);
    await peer.reply(id, { roots: [{ uri: "file:///first" }] });
    await peer.reply(id, { roots: [{ uri: "file:///second" }] });
    assert.match(String(textOf((await call.message())?.result)), /first/);
    await peer.reply(id, { roots: [{ uri: "file:///late" }] });
    assert.equal(events.of("reply-unmatched").length, 9);
    assert.deepEqual(events.of("error"), []);
    await handler.close();
  });

  test("[ASK-1] an error in reply reaches the handler with code, message and data", async () => {
    const { handler, outcomes } = endpoint();
    const peer = await initialize(handler, { capabilities: ALL });
    const call = peer.frames(await peer.call(1, "ask"));
    const id = (await call.message())?.id;
    const error = { code: -1, message: "User rejected", data: { why: "no" } };
    await accepted(await peer.post({ jsonrpc: "2.0", id, error }));
    assert.deepEqual((await call.message())?.error, error);
    const [outcome] = outcomes;
    assert.ok(outcome instanceof McpError);
    assert.deepEqual([outcome.code, outcome.message, outcome.data], Object.values(error));
    await handler.close();
  });

  test("[ASK-1, STR-6] a question survives its connection: who comes back finds it", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler, { capabilities: ALL });
    const call = peer.frames(await peer.call(1, "ask"));
    const cursor = (await call.next())?.id;
    await call.cancel();
    const resumed = await peer.listen(cursor);
    const question = await resumed.message();
    assert.equal(question?.method, "roots/list");
    await peer.reply(question.id, { roots: [] });
    assert.equal(textOf((await resumed.message())?.result), '{"roots":[]}');
    await handler.close();
  });
});

describe("ASK: capabilities", () => {
  const sample = { messages: [], maxTokens: 1 };
  const form = { message: "?", requestedSchema: { type: "object", properties: {} } };
  const cases: readonly (readonly [string, string, JsonObject, ClientCapabilities, string])[] = [
    ["roots", "roots/list", {}, { sampling: {}, elicitation: {} }, "2025-11-25"],
    ["sampling", "sampling/createMessage", sample, { roots: {}, elicitation: {} }, "2025-11-25"],
    ["elicitation", "elicitation/create", form, { roots: {}, sampling: {} }, "2025-11-25"],
    ["elicitation", "elicitation/create", form, {}, "2025-06-18"],
    ["elicitation", "elicitation/create", form, ALL, "2025-03-26"],
    ["elicitation", "elicitation/create", form, ALL, "2024-11-05"],
  ];
  for (const [capability, method, params, capabilities, version] of cases) {
    const has = Object.keys(capabilities).join(", ") || "nothing";
    test(`[ASK-2] ${method} is not sent to a client of ${version} with ${has}`, async () => {
      const { handler, outcomes } = endpoint();
      const peer = await initialize(handler, { version, capabilities });
      const server = await peer.listen();
      const message = await peer.json(await peer.call(1, "ask", { method, params }));
      assert.ok(message.error);
      const [error] = outcomes;
      assert.ok(error instanceof MissingCapabilityError);
      assert.equal(error.capability, capability);
      assert.equal(handler.stats().questions, 0);
      await peer.delete();
      assert.deepEqual(await server.messages(), []);
      await handler.close();
    });
  }

  for (
    const [method, params] of [["roots/list", {}], ["sampling/createMessage", sample], [
      "elicitation/create",
      form,
    ]] as const
  ) {
    test(`[ASK-2] ${method} is sent to a client that has the capability`, async () => {
      const { handler } = endpoint();
      const peer = await initialize(handler, { capabilities: ALL });
      const call = peer.frames(await peer.call(1, "ask", { method, params }));
      const question = await call.message();
      assert.deepEqual([question?.method, question?.params], [method, params]);
      await peer.delete();
      await handler.close();
    });
  }
});

describe("ASK: how long", () => {
  for (
    const [options, ms] of [[{}, 300_000], [{ requests: { askTimeoutMs: 700 } }, 700]] as const
  ) {
    test(`[ASK-3] a question is given up after ${ms} ms, and the client is told`, async () => {
      const { handler, clock, outcomes } = endpoint(options);
      const peer = await initialize(handler, { capabilities: ALL });
      const call = peer.frames(await peer.call(1, "ask"));
      const question = await call.message();
      const next = call.message();
      await clock.advance(ms - 1);
      assert.equal(await isPending(next), true);
      await clock.advance(1);
      const cancelled = await next;
      assert.equal(cancelled?.method, "notifications/cancelled");
      assert.equal((cancelled.params as JsonObject).requestId, question?.id);
      assert.equal(codeOf(await call.message()), -32001);
      assert.ok(outcomes[0] instanceof McpError);
      assert.deepEqual(handler.stats(), NOTHING);
      await peer.reply(question?.id, { roots: [] });
      assert.equal(outcomes.length, 1);
      await handler.close();
    });
  }

  const ends: readonly (readonly [
    string,
    string,
    (world: ReturnType<typeof endpoint>, peer: Peer) => Promise<unknown>,
  ])[] = [
    ["the call is cancelled", "cancelled", (_world, peer) => peer.cancel(1)],
    ["the session ends", "session-ended", (_world, peer) => peer.delete()],
    ["the call times out", "timeout", ({ clock }) => clock.advance(60_000)],
    ["the server closes", "shutdown", async ({ handler, clock }) => {
      const closed = handler.close({ graceMs: 1 });
      await clock.advance(1);
      await closed;
    }],
  ];
  for (const [name, kind, end] of ends) {
    test(`[ASK-3] a question is aborted when ${name}`, async () => {
      const world = endpoint({ requests: { timeoutMs: 60_000 } });
      const { handler, outcomes } = world;
      const peer = await initialize(handler, { capabilities: ALL });
      const call = peer.frames(await peer.call(1, "ask"));
      await call.message();
      await end(world, peer);
      await call.messages();
      await flush();
      const [reason] = outcomes;
      assert.ok(reason instanceof StopError);
      assert.equal(reason.kind, kind);
      assert.equal(handler.stats().questions, 0);
      assert.equal(handler.stats().requests, 0);
      await handler.close();
    });
  }

  test("[ASK-3] a call that is over asks nothing, and is told why at once", async () => {
    const clock = new FakeClock();
    const calls: Exchange[] = [];
    const stub = new Stub({
      brief(exchange) {
        calls.push(exchange);
        return text("done");
      },
      async endless(exchange) {
        calls.push(exchange);
        return await new Promise<never>(() => {});
      },
    });
    const handler = createMcpHandler(stub, { clock });
    const peer = await initialize(handler, { capabilities: ALL });
    const server = await peer.listen();
    await server.next();
    await peer.result(await peer.call(1, "brief"));
    const endless = peer.call(2, "endless");
    await flush();
    await peer.cancel(2);
    await accepted(await endless);
    const [brief, cancelled] = calls;
    await assert.rejects(brief?.ask("roots/list", {}) ?? assert.fail(), { name: "McpError" });
    await assert.rejects(cancelled?.ask("roots/list", {}) ?? assert.fail(), (error) => {
      return error instanceof StopError && error.kind === "cancelled";
    });
    assert.equal(handler.stats().questions, 0);
    await peer.delete();
    assert.deepEqual(await server.messages(), []);
    await handler.close();
  });

  test("[ASK-3, SES-6] a dispatcher's own question is aborted when its session ends", async () => {
    const { handler, stub } = endpoint();
    const peer = await initialize(handler, { capabilities: ALL });
    const stream = await peer.listen();
    const { signal } = new AbortController();
    const answer = stub.host?.ask?.(String(peer.sessionId), "roots/list", {}, signal);
    const failed = assert.rejects(answer ?? assert.fail(), (error) => {
      return error instanceof StopError && error.kind === "session-ended";
    });
    assert.equal((await stream.message())?.method, "roots/list");
    await peer.delete();
    await failed;
    await handler.close();
  });

  test("[SES-9, ASK-1] nobody is asked on the GET stream before the client is ready", async () => {
    const { handler, stub } = endpoint();
    const peer = await initialize(handler, {
      capabilities: ALL,
      accept: "application/json",
      ready: false,
    });
    const stream = await peer.listen();
    const message = await peer.json(await peer.call(1, "ask"));
    assert.match(JSON.stringify(message.error), /open a GET stream/);
    await peer.notify("notifications/initialized");
    const call = peer.call(2, "ask");
    const question = await stream.message();
    assert.equal(question?.method, "roots/list");
    await peer.reply(question?.id, { roots: [] });
    await peer.result(await call);
    assert.equal(stub.exchanges.at(-1)?.session?.id, peer.sessionId);
    await handler.close();
  });

  test("[ASK-3] a handler that finishes without waiting for its question leaves none behind", async () => {
    const clock = new FakeClock();
    const stub = new Stub({
      hasty(exchange) {
        void exchange.ask("roots/list", {});
        return text("done");
      },
    });
    const handler = createMcpHandler(stub, { clock });
    const peer = await initialize(handler, { capabilities: ALL });
    await peer.frames(await peer.call(1, "hasty")).messages();
    await clock.advance(400_000);
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });
});

describe("ASK: approval", () => {
  /** A server with a tool that has to be approved, and how often it ran. */
  function guarded(approval: Approval<{ path: string }>, options: McpHandlerOptions = {}) {
    const clock = new FakeClock();
    const ran: unknown[] = [];
    const server = new McpServer({ name: "guarded", version: "1.0.0" });
    server.registerTool("remove", {
      title: "Remove a file",
      inputSchema: {
        type: "object",
        properties: { path: { type: "string" } },
        required: ["path"],
      },
      approval: approval as Approval<unknown>,
    }, (args) => {
      ran.push(args);
      return "removed";
    });
    return { clock, ran, handler: createMcpHandler(server, { clock, ...options }) };
  }

  const CAN = { capabilities: { elicitation: { form: {} } } };
  const ARGS = { path: "/etc/\u202epasswd" };

  async function asked(peer: Peer): Promise<{ call: Frames; question: JsonObject }> {
    const call = peer.frames(await peer.call(1, "remove", ARGS));
    const question = await call.message();
    assert.equal(question?.method, "elicitation/create");
    return { call, question };
  }

  /** Checks that a call was refused as a tool's error, and that the tool didn't run. */
  function denied(result: unknown, ran: readonly unknown[]): void {
    const { isError } = result as { isError?: unknown };
    assert.equal(isError, true, JSON.stringify(result));
    assert.deepEqual(ran, []);
  }

  test("[ASK-4] an explicit yes runs the tool, after a preview of the arguments", async () => {
    const { handler, ran } = guarded(true);
    const peer = await initialize(handler, CAN);
    const { call, question } = await asked(peer);
    assert.deepEqual(ran, []);
    const { message, requestedSchema } = question.params as JsonObject;
    assert.match(String(message), /Remove a file/);
    assert.match(String(message), /\/etc\/\\u202epasswd/, "what hides is shown");
    assert.ok("approve" in ((requestedSchema as JsonObject).properties as JsonObject));
    await peer.reply(question.id, { action: "accept", content: { approve: true } });
    assert.equal(textOf((await call.message())?.result), "removed");
    assert.deepEqual(ran, [ARGS]);
    await handler.close();
  });

  const noes: Readonly<Record<string, JsonObject>> = {
    "a decline": { action: "decline" },
    "a cancel": { action: "cancel" },
    "an accept without content": { action: "accept" },
    "an accept with approve: false": { action: "accept", content: { approve: false } },
    "an accept with approve: 'true'": { action: "accept", content: { approve: "true" } },
    "an accept with approve: 1": { action: "accept", content: { approve: 1 } },
    "an accept with something else": { action: "accept", content: { ok: true } },
    "a decline with approve: true": { action: "decline", content: { approve: true } },
    "an unknown action": { action: "yes", content: { approve: true } },
    "an empty answer": {},
  };
  for (const [name, reply] of Object.entries(noes)) {
    test(`[ASK-4] ${name} is a no`, async () => {
      const { handler, ran } = guarded(true);
      const peer = await initialize(handler, CAN);
      const { call, question } = await asked(peer);
      await peer.reply(question.id, reply);
      denied((await call.message())?.result, ran);
      await handler.close();
    });
  }

  test("[ASK-4] an error in reply is a no", async () => {
    const { handler, ran } = guarded(true);
    const peer = await initialize(handler, CAN);
    const { call, question } = await asked(peer);
    const error = { code: -32603, message: "?" };
    await accepted(await peer.post({ jsonrpc: "2.0", id: question.id, error }));
    denied((await call.message())?.result, ran);
    await handler.close();
  });

  test("[ASK-4] no answer in time is a no, and a late yes changes nothing", async () => {
    const { handler, ran, clock } = guarded(true);
    const peer = await initialize(handler, CAN);
    const { call, question } = await asked(peer);
    await clock.advance(300_000);
    denied((await call.messages()).at(-1)?.result, ran);
    await peer.reply(question.id, { action: "accept", content: { approve: true } });
    await flush();
    assert.deepEqual(ran, []);
    await handler.close();
  });

  test("[ASK-4] a client that can't be asked, or has no stream to be asked on, gets a no", async () => {
    const { handler, ran } = guarded(true);
    const mute = await initialize(handler, { capabilities: {} });
    denied(await mute.result(await mute.call(1, "remove", ARGS)), ran);
    const old = await initialize(handler, { ...CAN, version: "2025-03-26" });
    denied(await old.result(await old.call(1, "remove", ARGS)), ran);
    const json = await initialize(handler, { ...CAN, accept: "application/json" });
    denied(await json.result(await json.call(1, "remove", ARGS)), ran);
    await handler.close();
  });

  test("[ASK-4] a call that is cancelled while it waits never runs, even if the yes comes then", async () => {
    const { handler, ran } = guarded(true);
    const peer = await initialize(handler, CAN);
    const { call, question } = await asked(peer);
    await peer.cancel(1);
    assert.deepEqual(await call.messages(), []);
    await peer.reply(question.id, { action: "accept", content: { approve: true } });
    await flush();
    assert.deepEqual(ran, []);
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[ASK-4] a function decides by the arguments; what it throws is a no", async () => {
    const decide: Approval<{ path: string }> = ({ path }) => {
      if (path === "throw") throw new Error("secret");
      return path === "ask" ? "Really?" : false;
    };
    const { handler, ran } = guarded(decide);
    const peer = await initialize(handler, CAN);
    const free = await peer.result(await peer.call(1, "remove", { path: "free" }));
    assert.equal(textOf(free), "removed");
    ran.length = 0;
    const thrown = await peer.result(await peer.call(2, "remove", { path: "throw" }));
    denied(thrown, ran);
    assert.doesNotMatch(JSON.stringify(thrown), /secret/);
    const call = peer.frames(await peer.call(3, "remove", { path: "ask" }));
    const question = await call.message();
    assert.match(String((question?.params as JsonObject).message), /^Really\?/);
    await peer.reply(question?.id, { action: "decline" });
    denied((await call.message())?.result, ran);
    await handler.close();
  });

  test("[ASK-4] arguments that don't fit are refused before anybody is asked", async () => {
    const { handler, ran } = guarded(true);
    const peer = await initialize(handler, CAN);
    const { result } = await peer.json(await peer.call(1, "remove", {}));
    assert.ok(isObject(result) && result.isError === true, JSON.stringify(result));
    assert.deepEqual(ran, []);
    await handler.close();
  });
});

describe("ASK: what is no question", () => {
  test("[ASK-1] a reply to nothing is accepted in any session, and unknown to the dispatcher", async () => {
    const { handler, stub } = endpoint();
    const peer = await initialize(handler);
    await peer.reply("q-nothing", {});
    await handler.notify(String(peer.sessionId), logMessage(1));
    assert.equal(stub.notifications.length, 1);
    assert.equal(stub.exchanges.length, 1);
    await handler.close();
  });
});
