/**
 * The questions of upstreams, as a client gets them.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { gateway, sdk } from "../../src/gateway/mod.ts";
import type { ServerTransport } from "../../src/gateway/upstreams/sdk.ts";
import type { JsonObject, RequestId } from "../../src/protocol/jsonrpc.ts";
import { visibleQuestion } from "../../src/gateway/session/visible_question.ts";
import { CAPABLE, ModernPeer, questionsOf } from "../support/modern.ts";
import { initialize } from "../support/wire.ts";
import {
  ask,
  callOf,
  FakeUpstream,
  GatewayExchange,
  GatewayHost,
  sessionOf,
  text,
  textOf,
  tools,
} from "./core_support.ts";

const HIDDEN = "a\u{e0041}\u3164\u180e\ufe0f\x9b\u202e\u2066\u200b\u00adb";
const SHOWN = "a\\u{e0041}\\u3164\\u180e\\ufe0f\\u009b\\u202e\\u2066\\u200b\\u00adb";

/** A form whose texts, but not its data, are as given. */
function form(text: string): JsonObject {
  return {
    mode: "form",
    message: `Two\nlines: ${text}`,
    requestedSchema: {
      type: "object",
      properties: {
        title: { type: "string", title: text, description: text, default: HIDDEN },
        colour: { type: "string", enum: [HIDDEN], enumNames: [text] },
        size: { type: "string", oneOf: [{ const: HIDDEN, title: text }] },
        tags: { type: "array", items: { anyOf: [{ const: HIDDEN, title: text }] } },
      },
    },
    _meta: { title: HIDDEN },
  };
}

function prompt(text: string): JsonObject {
  return {
    systemPrompt: text,
    messages: [
      { role: "user", content: { type: "text", text } },
      {
        role: "assistant",
        content: [{ type: "text", text }, {
          type: "tool_use",
          id: "1",
          name: "say",
          input: { text: HIDDEN },
        }],
      },
    ],
    maxTokens: 10,
  };
}

const YES = { action: "accept", content: {} };
const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };

/** A server of 2025-11-25 by hand, which asks within `tools/call` and answers with what it gets. */
function rawServer(questions: readonly JsonObject[]) {
  return sdk(() => ({
    async connect(transport: ServerTransport) {
      const answers: unknown[] = [];
      let call: RequestId = 0;
      // The transport takes any message
      const receive = (message: JsonObject & { id: RequestId }) => {
        const { id, method } = message;
        const send = (result: JsonObject) => transport.send({ jsonrpc: "2.0", id, result });
        if (method === "initialize") {
          return send({
            protocolVersion: "2025-11-25",
            capabilities: { tools: {} },
            serverInfo: { name: "raw", version: "1" },
          });
        }
        if (method === "tools/call") {
          call = id;
          return questions.forEach((question, at) =>
            transport.send({ jsonrpc: "2.0", id: `q${at}`, ...question }, {
              relatedRequestId: call,
            })
          );
        }
        if (method !== undefined) return;
        answers[Number(String(id).slice(1))] = message.error ?? message.result;
        if (Object.keys(answers).length < questions.length) return;
        const result = text(JSON.stringify(answers));
        return transport.send({ jsonrpc: "2.0", id: call, result });
      };
      transport.onmessage = receive as ServerTransport["onmessage"];
      await transport.start();
    },
  }));
}

/** A server that asks for roots as soon as it is initialized. `answered` has what it got. */
function eagerServer(answered: unknown[]) {
  return sdk(() => ({
    async connect(transport: ServerTransport) {
      const receive = (message: JsonObject & { id: RequestId }) => {
        const { id, method, result } = message;
        if (method === "initialize") {
          return transport.send({
            jsonrpc: "2.0",
            id,
            result: {
              protocolVersion: "2025-11-25",
              capabilities: { tools: {} },
              serverInfo: { name: "eager", version: "1" },
            },
          });
        }
        if (method === "notifications/initialized") {
          return transport.send({ jsonrpc: "2.0", id: "roots", method: "roots/list" });
        }
        if (method === undefined) answered.push(result);
      };
      transport.onmessage = receive as ServerTransport["onmessage"];
      await transport.start();
    },
  }));
}

describe("a question right after the handshake", () => {
  for (const only of [undefined, "up"]) {
    const view = only === undefined ? "merged" : "alone";
    test(`[GTW-10] reaches the stream that the client opens, without a call: ${view}`, async () => {
      const answered: unknown[] = [];
      const gw = gateway({ upstreams: { up: eagerServer(answered) } });
      const handler = createMcpHandler(gw.view(only === undefined ? {} : { only }));
      const peer = await initialize(handler, { capabilities: { roots: {} } });
      // The upstream has asked by now, and found no stream.
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
      const frames = await peer.listen();
      const question = await frames.message();
      assert.equal(question?.method, "roots/list");
      const roots = [{ uri: "file:///srv", name: "srv" }];
      await peer.reply(question?.id, { roots });
      while (answered.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      assert.deepEqual(answered, [{ roots }]);
      await frames.cancel();
      await handler.close({ graceMs: 0 });
      await gw.close();
    });
  }
});

describe("what an upstream is told of a client that can't be asked", () => {
  test("[GTW-8] [GTW-10] -32601 without the capability, -32602 for an undeclared mode", async () => {
    const sample = { messages: [], maxTokens: 1 };
    const visit = { mode: "url", message: "Go", url: "https://a.example/", elicitationId: "1" };
    const up = rawServer([
      { method: "roots/list" },
      { method: "sampling/createMessage", params: sample },
      { method: "elicitation/create", params: visit },
    ]);
    const gw = gateway({ upstreams: { up } });
    const handler = createMcpHandler(gw);
    const capabilities = { elicitation: { form: {} } };
    const old = await initialize(handler, { capabilities });
    const modern = new ModernPeer(handler, { capabilities });
    const results = [
      await old.result(await old.call(1, "up__x")),
      await modern.say("up__x"),
    ];
    for (const result of results) {
      const told: JsonObject[] = JSON.parse(String(textOf(result)));
      assert.deepEqual(told.map(({ code }) => code), [-32601, -32601, -32602]);
    }
    await old.delete();
    await handler.close({ graceMs: 0 });
    await gw.close();
  });
});

describe("what the user sees of an upstream's question", () => {
  test("[ASK-4] [GTW-8] all texts show what is in them, data stays as it is", () => {
    assert.deepEqual(visibleQuestion(form(HIDDEN)), form(SHOWN));
    assert.deepEqual(visibleQuestion(prompt(HIDDEN)), prompt(SHOWN));
    assert.deepEqual(visibleQuestion(form("Plain")), form("Plain"));
    const url = "https://example.com/?to=a%20b";
    const visit = { mode: "url", message: "Go", url, elicitationId: "1" };
    assert.deepEqual(visibleQuestion(visit), visit);
    for (
      const [given, seen] of [
        ["https://pay\u00adpal.com/\u202etxt", "https://paypal.com/%E2%80%AEtxt"],
        ["\u200bno url", "\\u200bno url"],
      ] as const
    ) {
      assert.equal(visibleQuestion({ ...visit, url: given }).url, seen);
    }
  });

  test("[ASK-4] [GTW-8] a question may be as deep as it likes", () => {
    let deep: unknown = HIDDEN;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    assert.equal(visibleQuestion({ message: HIDDEN, deep }).message, SHOWN);
  });

  const old = () =>
    new FakeUpstream({
      answers: tools({
        ask: async (call) =>
          text(JSON.stringify(await call.ask("elicitation/create", form(HIDDEN)))),
      }),
    });
  const modern = () => {
    const inputRequests = { who: { method: "elicitation/create", params: form(HIDDEN) } };
    return new FakeUpstream({
      version: "2026-07-28",
      answers: tools({
        ask: ({ params: { requestState } }) =>
          requestState === undefined
            ? { resultType: "input_required", inputRequests, requestState: "one" }
            : { ...text("done"), resultType: "complete" },
      }),
    });
  };

  for (const [era, make] of Object.entries({ "2025": old, "2026": modern })) {
    test(`[ASK-4] [GTW-8] a 2025 client of a ${era} upstream`, async () => {
      const gw = gateway({ upstreams: { up: make() } });
      const session = sessionOf("a");
      await ask(gw, new GatewayExchange("initialize", {}, { session, capabilities }));
      const call = callOf("up__ask", session, { capabilities, answer: () => YES });
      await ask(gw, call);
      assert.deepEqual(call.asked, [{ method: "elicitation/create", params: form(SHOWN) }]);
      await gw.close();
    });

    test(`[ASK-4] [GTW-8] a 2026 client of a ${era} upstream`, async () => {
      const gw = gateway({ upstreams: { up: make() } });
      const handler = createMcpHandler(gw);
      const peer = new ModernPeer(handler, { capabilities: CAPABLE });
      const { params } = Object.values(questionsOf(await peer.say("up__ask")))[0] ?? {};
      assert.deepEqual(params, form(SHOWN));
      await handler.close({ graceMs: 0 });
      await gw.close();
    });
  }

  test("[ASK-4] [GTW-8] a client that is asked outside of calls", async () => {
    const asked: unknown[] = [];
    class Host extends GatewayHost {
      override ask(_session: string, method: string, params?: JsonObject) {
        asked.push({ method, params });
        return Promise.resolve(YES);
      }
    }
    const upstream = old();
    const gw = gateway({ upstreams: { up: upstream } });
    const detach = gw.attach?.(new Host());
    const session = sessionOf("a");
    await ask(gw, new GatewayExchange("initialize", {}, { session, capabilities }));
    const { downstream } = upstream.session().opened;
    const { signal } = new AbortController();
    await downstream.ask("elicitation/create", form(HIDDEN), signal);
    assert.deepEqual(asked, [{ method: "elicitation/create", params: form(SHOWN) }]);
    detach?.();
    await gw.close();
  });
});
