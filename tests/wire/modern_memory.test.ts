import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { Fetch } from "../support/wire.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { CAPABLE, headersFor, ModernPeer, stateOf } from "../support/modern.ts";
import { memoryInUse } from "./memory.ts";

const NOTHING = { sessions: 0, streams: 0, requests: 0, questions: 0, listens: 0 };
/** What may be left over for whatever reason: a hundred bytes a call would be twice as much. */
const SLACK_BYTES = 1_000_000;

/** Posts messages as they are, without looking at what comes: so many take no time. */
async function post(fetch: Fetch, message: JsonObject, accept: string): Promise<string> {
  const { method, params } = message;
  const headers = {
    "content-type": "application/json",
    accept,
    ...headersFor(String(method), params as JsonObject),
  };
  const body = JSON.stringify(message);
  const init = { method: "POST", headers, body };
  return await (await fetch(new Request("http://localhost/mcp", init))).text();
}

/** Checks that many rounds leave no more in memory than some did. */
async function flat(rounds: number, round: () => Promise<void>): Promise<void> {
  for (let i = 0; i < rounds / 10; i++) await round();
  const before = await memoryInUse();
  for (let i = 0; i < rounds; i++) await round();
  const grown = await memoryInUse() - before;
  assert.ok(grown < SLACK_BYTES, `It grew by ${grown} bytes`);
}

/** A server that answers, talks, asks and fails. */
function world() {
  const server = new McpServer({ name: "memory", version: "1.0.0" });
  server.registerTool("add", {
    inputSchema: z.object({ a: z.number(), b: z.number() }),
  }, ({ a, b }) => `${a + b}`);
  server.registerTool("later", {}, async (_args, ctx) => {
    await Promise.resolve();
    return String(ctx.signal.aborted);
  });
  server.registerTool("talk", {}, (_args, ctx) => {
    ctx.progress(1);
    return "Talked";
  });
  server.registerTool("ask", {}, async (_args, ctx) => {
    const { content } = await ctx.elicit("name", {
      message: "Who are you?",
      schema: z.object({ name: z.string() }),
    });
    return String(content?.name);
  });
  const handler = createMcpHandler(server);
  return { handler, peer: new ModernPeer(handler, { capabilities: CAPABLE }) };
}

describe("ERA: nothing of a finished exchange is left", () => {
  test(
    "[ERA-1] after 20,000 calls, answered at once or later, well or badly",
    { timeout: 60_000 },
    async () => {
      const { handler, peer } = world();
      const args = { a: 1, b: 2 };
      const messages = [
        peer.message("tools/call", { name: "add", arguments: args }),
        peer.message("tools/call", { name: "later" }),
        peer.message("tools/call", { name: "add", arguments: {} }),
        peer.message("tools/call", { name: "none" }),
      ];
      await flat(500, async () => {
        for (let i = 0; i < 10; i++) {
          await Promise.all(messages.map((message) => post(handler, message, "application/json")));
        }
      });
      assert.deepEqual(handler.stats(), NOTHING);
      await handler.close();
    },
  );

  test("[ERA-4] after 4,000 streams", { timeout: 60_000 }, async () => {
    const { handler, peer } = world();
    const message = peer.message("tools/call", { name: "talk", _meta: { progressToken: 1 } });
    await flat(100, async () => {
      await Promise.all(
        Array.from({ length: 40 }, () => post(handler, message, "text/event-stream")),
      );
    });
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[ASK-5] after 4,000 questions, half of them answered", { timeout: 60_000 }, async () => {
    const { handler, peer } = world();
    const question = peer.message("tools/call", { name: "ask" });
    const requestState = stateOf(await peer.say("ask"));
    const inputResponses = { name: { action: "accept", content: { name: "Ada" } } };
    const answer = peer.message("tools/call", {
      name: "ask",
      arguments: {},
      requestState,
      inputResponses,
    });
    assert.match(await post(handler, answer, "application/json"), /Ada/);
    await flat(40, async () => {
      await Promise.all(
        Array.from(
          { length: 100 },
          (_, n) => post(handler, n % 2 === 0 ? question : answer, "application/json"),
        ),
      );
    });
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[ERA-5] after 2,000 subscriptions", { timeout: 60_000 }, async () => {
    const { handler, peer } = world();
    await flat(50, async () => {
      const open = await Promise.all(
        Array.from({ length: 40 }, (_, n) => peer.listen({ toolsListChanged: true }, n)),
      );
      await Promise.all(open.map((frames) => frames.cancel()));
    });
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });
});
