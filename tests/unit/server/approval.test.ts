import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { isPromise } from "../../../src/internal/types.ts";
import { ErrorCode, McpError } from "../../../src/protocol/errors.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import type { Approval } from "../../../src/server/questions/approval.ts";
import { FakeExchange, type FakeExchangeInit } from "../../support/exchange.ts";
import { dispatch } from "../../../src/protocol/route.ts";
import { errorTextOf, makeServer } from "./helpers.ts";

type Args = { path: string; dry?: boolean | undefined };

interface Outcome {
  readonly result: JsonObject;
  readonly exchange: FakeExchange;
  readonly ran: readonly Args[];
}

/** Calls a tool that needs an approval. */
async function call(
  approval: Approval<Args>,
  init: FakeExchangeInit,
  args: Args = { path: "/tmp/a" },
): Promise<Outcome> {
  const server = makeServer();
  const ran: Args[] = [];
  server.registerTool("delete", {
    title: "Delete a file",
    inputSchema: z.object({ path: z.string(), dry: z.boolean().optional() }),
    approval,
  }, (args) => {
    ran.push(args);
    return "deleted";
  });
  const exchange = new FakeExchange("tools/call", { name: "delete", arguments: args }, init);
  return { result: await dispatch(server, exchange), exchange, ran };
}

function answering(answer: FakeExchangeInit["answer"]): FakeExchangeInit {
  return { capabilities: { elicitation: {} }, answer };
}

const yes = answering(() => ({ action: "accept", content: { approve: true } }));
const refusal = {
  content: [{ type: "text", text: 'The tool "delete" was not approved' }],
  isError: true,
};

describe("approval", () => {
  test("[ASK-4] shows the arguments and runs the tool on an explicit yes", async () => {
    const { result, exchange, ran } = await call(true, yes);
    assert.deepEqual(result, { content: [{ type: "text", text: "deleted" }] });
    assert.deepEqual(ran, [{ path: "/tmp/a" }]);
    assert.equal(exchange.asked.length, 1);
    const [{ method, params } = { method: "", params: {} }] = exchange.asked;
    assert.equal(method, "elicitation/create");
    assert.equal(
      params.message,
      'Run the tool "Delete a file"?\n\n{\n  "path": "/tmp/a"\n}',
    );
    assert.deepEqual(params.requestedSchema, {
      type: "object",
      properties: {
        approve: { type: "boolean", title: "Approve", description: "Whether the tool may run" },
      },
      required: ["approve"],
    });
  });

  const refusals: readonly [string, FakeExchangeInit, number][] = [
    ["a decline", answering(() => ({ action: "decline", content: { approve: true } })), 0],
    ["a cancel", answering(() => ({ action: "cancel", content: { approve: true } })), 0],
    ["an accept without content", answering(() => ({ action: "accept" })), 0],
    ["approve: false", answering(() => ({ action: "accept", content: { approve: false } })), 0],
    ['approve: "true"', answering(() => ({ action: "accept", content: { approve: "true" } })), 0],
    ["approve: 1", answering(() => ({ action: "accept", content: { approve: 1 } })), 0],
    ["an unknown action", answering(() => ({ action: "ok", content: { approve: true } })), 0],
    ["an empty answer", answering(() => ({})), 0],
    ["no capability", { capabilities: {} }, 0],
    ["no forms", { capabilities: { elicitation: { url: {} } } }, 0],
    ["an old version", { ...yes, protocolVersion: "2025-03-26" }, 0],
    [
      "a timeout",
      answering(() => Promise.reject(new McpError(ErrorCode.NotAvailable, "No answer in time"))),
      0,
    ],
    [
      "no stream",
      answering(() => Promise.reject(new McpError(ErrorCode.Refused, "No stream"))),
      0,
    ],
    ["any other failure", answering(() => Promise.reject(new Error("broken"))), 1],
  ];
  for (const [what, init, reports] of refusals) {
    test(`[ASK-4] ${what} is a no`, async () => {
      const { result, exchange, ran } = await call(true, init);
      assert.deepEqual(result, refusal);
      assert.deepEqual(ran, []);
      const errors = exchange.reported.filter(({ type }) => type === "error");
      assert.equal(errors.length, reports);
    });
  }

  test("[ASK-4] a stopped call doesn't run, even when the yes was on its way", async () => {
    const reason = new Error("stopped");
    for (const late of [false, true]) {
      const ran: string[] = [];
      const server = makeServer();
      server.registerTool("delete", { approval: true }, () => {
        ran.push("ran");
        return "deleted";
      });
      const exchange = new FakeExchange(
        "tools/call",
        { name: "delete" },
        answering(() => {
          exchange.abort(reason);
          if (!late) throw reason;
          return { action: "accept", content: { approve: true } };
        }),
      );
      await assert.rejects(async () => dispatch(server, exchange), reason);
      assert.deepEqual(ran, []);
    }
  });

  test("[ASK-4] asks only when the function of the arguments says so", async () => {
    const seen: Args[] = [];
    const approval = (args: Args) => {
      seen.push(args);
      return args.dry !== true;
    };
    const dry = await call(approval, { capabilities: {} }, { path: "a", dry: true });
    assert.equal(dry.ran.length, 1);
    assert.equal(dry.exchange.asked.length, 0);
    const wet = await call(approval, yes, { path: "a" });
    assert.equal(wet.ran.length, 1);
    assert.equal(wet.exchange.asked.length, 1);
    assert.deepEqual((await call(async () => true, { capabilities: {} })).result, refusal);
    assert.deepEqual(seen, [{ path: "a", dry: true }, { path: "a" }]);
  });

  test("[ASK-4] a text is the question, above the arguments", async () => {
    const { exchange } = await call(({ path }) => `Delete ${path} for ever?`, yes);
    const message = String(exchange.asked[0]?.params.message);
    assert.match(message, /^Delete \/tmp\/a for ever\?\n\n\{/);
    assert.equal((await call(() => "", yes)).exchange.asked.length, 1);
  });

  test("[ASK-4] a function that throws, or returns something else, runs nothing unasked", async () => {
    const error = new Error("broken");
    const thrown = await call(() => {
      throw error;
    }, yes);
    assert.deepEqual(thrown.result, refusal);
    assert.deepEqual(thrown.ran, []);
    assert.deepEqual(thrown.exchange.reported, [
      { type: "error", during: "approval of Delete a file", error },
    ]);
    const odd = await call((() => undefined) as unknown as () => boolean, yes);
    assert.equal(odd.exchange.asked.length, 1);
  });

  test("[ASK-4] the preview is bounded, and nothing in it can hide", async () => {
    const path = `\u202egnp.exe\u200b\n${"x".repeat(5_000)}`;
    const { exchange } = await call(true, yes, { path });
    const message = String(exchange.asked[0]?.params.message);
    assert.ok(message.length < 2_200, `${message.length}`);
    assert.match(message, /\\u202egnp\.exe\\u200b\\n/);
    assert.match(message, /… \(30\d\d more characters\)$/);
  });

  test("[ASK-4] invisible characters are shown in the question and in the preview", async () => {
    const path = "a\u{e0041}\u3164\u180e\ufe0f\x9b\u2066b";
    const { exchange } = await call(({ path }) => `Delete ${path}?`, yes, { path });
    const message = String(exchange.asked[0]?.params.message);
    const shown = "a\\u{e0041}\\u3164\\u180e\\ufe0f\\u009b\\u2066b";
    assert.equal(message, `Delete ${shown}?\n\n{\n  "path": "${shown}"\n}`);
  });

  test("[ASK-4] asks nobody about arguments that don't fit", async () => {
    const server = makeServer();
    server.registerTool("delete", { inputSchema: { path: z.string() }, approval: true }, () => "x");
    const exchange = new FakeExchange("tools/call", { name: "delete", arguments: {} }, yes);
    assert.match(errorTextOf(await dispatch(server, exchange)), /Fix "path"/);
    assert.deepEqual(exchange.asked, []);
  });

  test("a tool without approval runs at once", () => {
    const server = makeServer();
    server.registerTool("now", { approval: false }, () => "x");
    assert.ok(!isPromise(dispatch(server, new FakeExchange("tools/call", { name: "now" }))));
  });
});
