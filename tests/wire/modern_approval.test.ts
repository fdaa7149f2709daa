/**
 * Approval in the 2026 era: a yes counts only for a question that was asked, and once.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock } from "../support/clock.ts";
import { CAPABLE, ModernPeer, questionsOf, type Retry, stateOf } from "../support/modern.ts";
import { as, byToken, Events, textOf } from "../support/wire.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const YES = { action: "accept", content: { approve: true } };
const ADA = { action: "accept", content: { name: "Ada" } };
const ARGS = { path: "/a" };

/** A handler whose tools need approval; `sign` asks a question of its own afterwards. */
function world(options: McpHandlerOptions = {}) {
  const ran: string[] = [];
  const server = new McpServer({ name: "approval", version: "1.0.0" });
  const inputSchema = z.object({ path: z.string() });
  server.registerTool("delete", { inputSchema, approval: true }, ({ path }) => {
    ran.push(path);
    return "Deleted";
  });
  const schema = z.object({ name: z.string() });
  server.registerTool("sign", { inputSchema, approval: true }, async ({ path }, ctx) => {
    const { content } = await ctx.elicit("name", { message: "Who?", schema });
    ran.push(path);
    return `Signed by ${content?.name}`;
  });
  server.registerTool("name", { inputSchema }, async (_args, ctx) => {
    const { content } = await ctx.elicit("name", { message: "Who?", schema });
    ran.push("name");
    return `Named ${content?.name}`;
  });
  const events = new Events();
  const onEvent = events.onEvent;
  const handler = createMcpHandler(server, { authenticate: byToken, onEvent, ...options });
  const peer = new ModernPeer(handler, { capabilities: CAPABLE, headers: as("alice") });
  return { ran, handler, peer, events };
}

/** Asks for approval, and returns a retry that gives an answer. */
async function asked(peer: ModernPeer, tool = "delete", answer: JsonObject = YES) {
  const result = await peer.say(tool, ARGS);
  const [key = ""] = Object.keys(questionsOf(result));
  return { requestState: stateOf(result), inputResponses: { [key]: answer } };
}

/** Checks that a retry is turned away because its state was used. */
async function refusedReplay(peer: ModernPeer, retry: Retry, tool = "delete"): Promise<void> {
  const { code, message } = await peer.error(await peer.call(tool, ARGS, retry));
  assert.equal(code, -32602);
  assert.match(message, /requestState was used before/);
}

describe("ASK: a yes in the 2026 era", () => {
  test("[ASK-4] [ASK-5] runs the tool once, however often it is sent", async () => {
    const { handler, peer, ran } = world();
    const retry = await asked(peer);
    assert.equal(textOf(await peer.say("delete", ARGS, retry)), "Deleted");
    await refusedReplay(peer, retry);
    await refusedReplay(peer, { ...retry, inputResponses: {} });
    assert.deepEqual(ran, ["/a"]);
    assert.equal(textOf(await peer.say("delete", ARGS, await asked(peer))), "Deleted");
    await handler.close();
  });

  test("[ASK-4] [ASK-5] runs the tool once when it is sent many times at once", async () => {
    const { handler, peer, ran } = world();
    const retry = await asked(peer);
    const answers = await Promise.all(
      Array.from(
        { length: 10 },
        async () => (await peer.answer(await peer.call("delete", ARGS, retry))).message,
      ),
    );
    assert.equal(answers.filter(({ result }) => result !== undefined).length, 1);
    assert.deepEqual(ran, ["/a"]);
    await handler.close();
  });

  test("[ASK-4] [ASK-5] of which nobody was asked is none: the user is asked", async () => {
    const { handler, peer, ran } = world();
    const { inputResponses } = await asked(peer);
    const result = await peer.say("delete", ARGS, { inputResponses });
    assert.match(String(Object.values(questionsOf(result))[0]?.params.message), /^Run the tool/);
    assert.deepEqual(ran, []);
    await handler.close();
  });

  test("[ASK-4] [ASK-5] with the state of another question of the call is none", async () => {
    const { handler, peer, ran } = world();
    const { inputResponses } = await asked(peer);
    const first = await asked(peer, "sign");
    const second = await peer.say("sign", ARGS, first);
    // The state of the second round has the first answer, so it is good for one run as well
    const retry = { requestState: stateOf(second), inputResponses: { name: ADA } };
    assert.equal(textOf(await peer.say("sign", ARGS, retry)), "Signed by Ada");
    await refusedReplay(peer, retry, "sign");
    await refusedReplay(peer, first, "sign");
    await refusedReplay(peer, { ...first, inputResponses }, "sign");
    assert.deepEqual(ran, ["/a"]);
    await handler.close();
  });

  test("[ASK-4] [ASK-5] doesn't take the place of a no that was given", async () => {
    const { handler, peer, ran } = world();
    const no = await asked(peer, "delete", { action: "decline" });
    assert.equal((await peer.say("delete", ARGS, no)).isError, true);
    const [key = ""] = Object.keys(no.inputResponses);
    await refusedReplay(peer, { ...no, inputResponses: { [key]: YES } });
    assert.deepEqual(ran, []);
    await handler.close();
  });

  test("[ASK-5] is not refused to others for being used, and is used by its owner alone", async () => {
    const { handler, peer, ran } = world();
    const retry = await asked(peer);
    const mallory = peer.with({ headers: as("mallory") });
    const foreign = await mallory.error(await mallory.call("delete", ARGS, retry));
    assert.match(foreign.message, /^Invalid requestState/);
    assert.equal(textOf(await peer.say("delete", ARGS, retry)), "Deleted");
    assert.equal(
      (await mallory.error(await mallory.call("delete", ARGS, retry))).message,
      foreign.message,
    );
    assert.deepEqual(ran, ["/a"]);
    await handler.close();
  });

  test("[ASK-5] is used even if it is written in another way", async () => {
    const { handler, peer, ran } = world();
    const retry = await asked(peer);
    assert.equal(textOf(await peer.say("delete", ARGS, retry)), "Deleted");
    const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (const last of digits) {
      const requestState = retry.requestState.slice(0, -1) + last;
      const { code } = await peer.error(
        await peer.call("delete", ARGS, { ...retry, requestState }),
      );
      assert.equal(code, -32602);
    }
    assert.deepEqual(ran, ["/a"]);
    await handler.close();
  });

  test("[ASK-5] is good once for all handlers of a store", async () => {
    const store = memoryStore();
    const [a, b] = [world({ store }), world({ store })];
    const retry = await asked(a.peer);
    assert.equal(textOf(await b.peer.say("delete", ARGS, retry)), "Deleted");
    await refusedReplay(a.peer, retry);
    assert.deepEqual([a.ran, b.ran], [[], ["/a"]]);
    await Promise.all([a.handler.close(), b.handler.close()]);
  });

  test("[ASK-5] the answer to any other question may be sent again", async () => {
    const { handler, peer, ran } = world();
    const requestState = stateOf(await peer.say("name", ARGS));
    const retry = { requestState, inputResponses: { name: ADA } };
    for (let i = 0; i < 2; i++) {
      assert.equal(textOf(await peer.say("name", ARGS, retry)), "Named Ada");
    }
    assert.deepEqual(ran, ["name", "name"]);
    await handler.close();
  });
});

describe("ASK: where used states are remembered", () => {
  const requests = { askTimeoutMs: 1_000, stateKeys: [KEY] };

  test("[ASK-5] a used state is remembered longer than it is good at a slow clock", async () => {
    const clock = new FakeClock();
    const slow = new FakeClock();
    const store = memoryStore();
    const a = world({ clock, store, requests });
    const b = world({ clock: slow, store, requests });
    const retry = await asked(a.peer);
    await a.peer.say("delete", ARGS, retry);
    await clock.advance(1_500);
    await refusedReplay(b.peer, retry);
    assert.deepEqual(b.ran, []);
    await Promise.all([a.handler.close(), b.handler.close()]);
  });

  test("[ASK-5] a store that fails lets nothing run", async () => {
    const store = memoryStore();
    const broken = {
      open: (settings: Parameters<typeof store.open>[0]) => ({
        ...store.open(settings),
        claims: {
          claim: () => Promise.reject(new Error("away")),
          holder: () => undefined,
          release() {},
        },
      }),
    };
    const { handler, peer, ran, events } = world({ store: broken });
    const { code } = await peer.error(await peer.call("delete", ARGS, await asked(peer)));
    assert.equal(code, -32603);
    assert.deepEqual(ran, []);
    assert.equal(events.of("error").length, 1);
    await handler.close();
  });

  test("[ASK-5] [SES-5] the clients of a user have one share of the approvals that are remembered", async () => {
    const { handler, events } = world({
      authenticate: ({ headers }) => ({ id: "alice", clientId: headers.get("x-client") ?? "" }),
    });
    const use = async (client: number) => {
      const headers = { "x-client": `${client}` };
      const peer = new ModernPeer(handler, { capabilities: CAPABLE, headers });
      const no = { action: "decline" };
      return await peer.call("delete", ARGS, await asked(peer, "delete", no));
    };
    for (let i = 0; i < 1_000; i++) await (await use(i % 10)).body?.cancel();
    const { error } = await (await use(10)).json();
    assert.deepEqual([error.code, /too many/.test(error.message)], [-32603, true]);
    assert.deepEqual(events.of("error"), []);
    await handler.close();
  });
});
