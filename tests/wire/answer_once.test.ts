/**
 * Calls with a key: a repeat gets the answer of the first one, whether that has ended, runs here, or runs at
 * another node; and an honest error where there is no answer to give.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { audit } from "../../src/audit/mod.ts";
import { metrics } from "../../src/telemetry/metrics.ts";
import { mcpWorker } from "../../src/adapters/workers.ts";
import { serveStdio } from "../../src/adapters/stdio.ts";
import { storeFailed } from "../../src/calls/refused_error.ts";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import type { Store } from "../../src/cluster/types.ts";
import { gateway, http, lazy, local } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import type { RecordStore } from "../../src/internal/record_store.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { NODE_LOST } from "../../src/protocol/node_loss.ts";
import { McpServer } from "../../src/server/server.ts";
import type { RequestContext } from "../../src/server/types.ts";
import { KEPT_MS, MOST_BYTES, MOST_KEYS } from "../../src/sessions/kept_answers.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { z } from "zod";
import { FakeClock } from "../support/clock.ts";
import { KEY as SECRET } from "../support/cluster.ts";
import { ModernPeer } from "../support/modern.ts";
import { settle } from "../support/settle.ts";
import { as, BOTH, byToken, Events, type Fetch, Gate, initialize, Stub } from "../support/wire.ts";
import { Objects } from "../support/worker_objects.ts";

const DAY_MS = 24 * 60 * 60_000;

/** What came back: a result, or an error. */
interface Came {
  readonly status: number;
  readonly result: JsonObject | undefined;
  readonly error: JsonObject | undefined;
}

interface More {
  readonly signal?: AbortSignal;
  readonly params?: JsonObject;
}

/** Calls a tool with a key, or without one. */
type Send = (name: string, args?: JsonObject, key?: unknown, more?: More) => Promise<Came>;

function paramsOf(name: string, args: JsonObject, key: unknown, more: More): JsonObject {
  const _meta = key === undefined ? {} : { _meta: { "mooring/callKey": key } };
  return { name, arguments: args, ..._meta, ...more.params };
}

async function came(response: Response): Promise<Came> {
  const text = await response.text();
  const stream = response.headers.get("content-type") === "text/event-stream";
  const texts = stream
    ? text.split("\n").flatMap((line) => line.startsWith("data: {") ? [line.slice(6)] : [])
    : [text];
  const message: unknown = JSON.parse(texts.at(-1) ?? "{}");
  assert.ok(isObject(message));
  const part = (value: unknown) => isObject(value) ? value : undefined;
  return { status: response.status, result: part(message.result), error: part(message.error) };
}

type Connect = (fetch: Fetch, headers?: Record<string, string>, accept?: string) => Promise<Send>;

const ERAS: Readonly<Record<"2025" | "2026", Connect>> = {
  async "2025"(fetch, headers = as("ada"), accept = "application/json") {
    const peer = await initialize(fetch, { headers, accept });
    let id = 100;
    return async (name, args = {}, key, more = {}) =>
      await came(await peer.request(++id, "tools/call", paramsOf(name, args, key, more)));
  },
  async "2026"(fetch, headers = as("ada"), accept = "application/json") {
    const peer = new ModernPeer(fetch, { headers, accept, capabilities: { elicitation: {} } });
    return async (name, args = {}, key, { signal, ...more } = {}) => {
      const params = paramsOf(name, args, key, more);
      return await came(await peer.request("tools/call", params, { signal }));
    };
  },
};

/** A server whose tools count their runs, and what its tests need. */
function makeServer() {
  const runs: string[] = [];
  const contexts: RequestContext[] = [];
  const finish = new Gate<string>();
  const server = new McpServer({ name: "test", version: "1.0.0" });
  const once = { answerOnce: true } as const;
  const twice = {
    answerOnce: true,
    annotations: { idempotentHint: true },
    retryOnNodeLoss: true,
  } as const;
  const inputSchema = z.object({ a: z.any().optional(), b: z.any().optional() });
  const count = (name: string) => {
    runs.push(name);
    return `${name} ${runs.length}`;
  };
  server.registerTool("pay", { ...once, inputSchema }, () => count("pay"));
  server.registerTool("other", { ...once, inputSchema }, () => count("other"));
  server.registerTool("plain", { inputSchema }, () => count("plain"));
  const work = (name: string) => async (_args: unknown, ctx: RequestContext) => {
    const text = count(name);
    contexts.push(ctx);
    ctx.progress(1, 2, "Half");
    return `${text} ${await finish.promise}`;
  };
  server.registerTool("work", once, work("work"));
  server.registerTool("again", twice, work("again"));
  server.registerTool("plain_work", {}, work("plain_work"));
  const fail = (name: string) => () => {
    throw new McpError(ErrorCode.InternalError, count(name));
  };
  server.registerTool("fails", once, fail("fails"));
  server.registerTool("fails_again", twice, fail("fails_again"));
  server.registerTool("unhappy", once, () => ({
    content: [{ type: "text", text: count("unhappy") }],
    isError: true,
  }));
  server.registerTool("large", once, () => `${count("large")} ${"x".repeat(MOST_BYTES)}`);
  server.registerTool("asks", once, async (_args, ctx) => {
    const schema = z.object({ sure: z.boolean() });
    const { action } = await ctx.elicit("sure", { message: "Sure?", schema });
    return `${count("asks")} ${action}`;
  });
  return { server, runs, contexts, finish };
}

function endpoint(options: McpHandlerOptions = {}, made = makeServer()) {
  const clock = new FakeClock();
  const events = new Events();
  const handler = createMcpHandler(made.server, {
    clock,
    authenticate: byToken,
    onEvent: events.onEvent,
    ...options,
  });
  return { ...made, clock, events, handler };
}

/** Lets time pass in small steps, with all that follows from each. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    await clock.advance(250);
    await settle();
  }
}

function textOf({ result }: Came): string {
  const [block] = Array.isArray(result?.content) ? result.content : [];
  return isObject(block) ? String(block.text) : assert.fail("no text");
}

function reasonOf({ error }: Came): unknown {
  return isObject(error?.data) ? error.data.reason : undefined;
}

for (const era of ["2025", "2026"] as const) {
  const connect = ERAS[era];

  describe(`ONCE: one answer, ${era}`, () => {
    for (const accept of ["application/json", BOTH]) {
      test(`[ONCE-1] a repeat gets the answer of the first call: ${accept}`, async () => {
        const { handler, runs } = endpoint();
        await using _closed = handler;
        const send = await connect(handler, undefined, accept);
        const first = await send("pay", { a: 1 }, "k1");
        assert.equal(textOf(first), "pay 1");
        assert.deepEqual(await send("pay", { a: 1 }, "k1"), first);
        // From a new connection, as after a lost one
        const later = await connect(handler, undefined, accept);
        assert.deepEqual(await later("pay", { a: 1 }, "k1"), first);
        assert.deepEqual(runs, ["pay"]);
        assert.equal(textOf(await send("pay", { a: 1 }, "k2")), "pay 2");
        assert.equal(textOf(await send("pay", { a: 1 })), "pay 3");
      });
    }

    test("[ONCE-2] a key that is none is refused; a tool without the option ignores each", async () => {
      const { handler, runs } = endpoint();
      await using _closed = handler;
      const send = await connect(handler);
      for (const key of ["", "x".repeat(129), 1, null, "a b", "\u00e9", "a\n", ["a"]]) {
        const { error } = await send("pay", {}, key);
        assert.equal(error?.code, ErrorCode.InvalidParams, JSON.stringify(key));
        assert.match(String(error?.message), /1 to 128 visible ASCII characters/);
        assert.match(textOf(await send("plain", {}, key)), /^plain/);
      }
      assert.equal(runs.includes("pay"), false);
      for (const key of ["x".repeat(128), "__proto__", "constructor", "!~"]) {
        const first = await send("pay", {}, key);
        assert.deepEqual(await send("pay", {}, key), first, key);
      }
      assert.equal(runs.filter((name) => name === "pay").length, 4);
    });

    test("[ONCE-3] while the first call runs, repeats wait for its answer", async () => {
      const { handler, runs, clock, finish } = endpoint();
      await using _closed = handler;
      const send = await connect(handler);
      const calls = [send("work", {}, "k")];
      await settle();
      calls.push(send("work", {}, "k"), (await connect(handler))("work", {}, "k"));
      await pass(clock, 20_000);
      finish.open("done");
      await pass(clock, 1_000);
      const texts = (await Promise.all(calls)).map(textOf);
      assert.deepEqual(texts, ["work 1 done", "work 1 done", "work 1 done"]);
      assert.deepEqual(runs, ["work"]);
    });

    test("[ONCE-4] a repeat that waits ends at its own time limit, and stops nothing", async () => {
      const store = memoryStore();
      const made = makeServer();
      const patient = endpoint({ store }, made);
      const { clock } = patient;
      const hasty = endpoint({ store, clock, requests: { maxTimeoutMs: 3_000 } }, made);
      await using _hasty = hasty.handler;
      await using _patient = patient.handler;
      const first = (await connect(patient.handler))("work", {}, "k");
      await settle();
      const repeat = (await connect(hasty.handler))("work", {}, "k");
      await pass(clock, 2_000);
      assert.equal(hasty.handler.stats().requests, 1, "It counts as a request of its own");
      await pass(clock, 2_000);
      assert.match(String((await repeat).error?.message), /timed out/);
      made.finish.open("done");
      await settle();
      assert.equal(textOf(await first), "work 1 done");
      assert.equal(textOf(await (await connect(hasty.handler))("work", {}, "k")), "work 1 done");
      assert.deepEqual(made.runs, ["work"]);
    });

    test("[ONCE-5] the same key with another tool or other arguments is refused", async () => {
      const { handler, runs } = endpoint();
      await using _closed = handler;
      const send = await connect(handler);
      const first = await send("pay", { a: 1, b: 2 }, "k");
      for (
        const [name, args] of [["pay", { a: 2 }], ["pay", {}], ["other", { a: 1, b: 2 }]] as const
      ) {
        const refused = await send(name, args, "k");
        assert.equal(refused.error?.code, ErrorCode.InvalidParams);
        assert.equal(reasonOf(refused), "key-in-use");
        assert.match(String(refused.error?.message), /another tool, with other arguments/);
      }
      assert.deepEqual(await send("pay", { b: 2, a: 1 }, "k"), first, "The order doesn't matter");
      assert.deepEqual(runs, ["pay"]);
    });

    test("[ONCE-6] the keys of one principal are unknown to all others", async () => {
      const { handler, runs } = endpoint();
      await using _closed = handler;
      const ada = await connect(handler);
      const ben = await connect(handler, as("ben"));
      await ada("pay", { a: 1 }, "k");
      assert.equal(textOf(await ben("pay", { a: 2 }, "k")), "pay 2");
      assert.equal(textOf(await ada("pay", { a: 1 }, "k")), "pay 1");
      assert.equal(runs.length, 2);
    });

    test("[ONCE-7] isError is an answer; a JSON-RPC error is none, and the tool says what follows", async () => {
      const { handler, runs } = endpoint();
      await using _closed = handler;
      const send = await connect(handler);
      const unhappy = await send("unhappy", {}, "a");
      assert.deepEqual(await send("unhappy", {}, "a"), unhappy);
      assert.equal(unhappy.result?.isError, true);
      assert.match(String((await send("fails", {}, "b")).error?.message), /^fails/);
      const lost = await send("fails", {}, "b");
      assert.match(String(lost.error?.message), /with this key failed: the tool may have run/);
      assert.deepEqual(lost.error?.data, { reason: "answer-lost", mayHaveRun: true });
      await send("fails_again", {}, "c");
      assert.match(String((await send("fails_again", {}, "c")).error?.message), /^fails_again 4/);
      assert.deepEqual(runs, ["unhappy", "fails", "fails_again", "fails_again"]);
    });

    test("[ONCE-7] what was refused before its tool ran is forgotten", async () => {
      let calls = 0;
      const stub = new Stub({
        work(exchange) {
          if (++calls === 1) throw storeFailed(exchange, new Error("away"), "task store");
          return { resultType: "complete", content: [{ type: "text", text: String(calls) }] };
        },
      });
      const dispatcher: Dispatcher = {
        route: (message) => ({ ...stub.route(message), answerOnce: "work" }),
      };
      await using handler = createMcpHandler(dispatcher, { authenticate: byToken });
      const send = await connect(handler);
      assert.equal((await send("work", {}, "k")).status, 503);
      assert.equal(textOf(await send("work", {}, "k")), "2");
      assert.equal(textOf(await send("work", {}, "k")), "2");
    });

    test("[ONCE-7] a call that was stopped has no answer, and the tool says what follows", async () => {
      const { handler, runs, clock } = endpoint({ requests: { maxTimeoutMs: 3_000 } });
      await using _closed = handler;
      const send = await connect(handler);
      const first = [send("work", {}, "a"), send("again", {}, "b")];
      await pass(clock, 4_000);
      for (const { error } of await Promise.all(first)) {
        assert.match(String(error?.message), /timed out/);
      }
      const lost = await send("work", {}, "a");
      assert.match(String(lost.error?.message), /with this key was stopped: the tool may have run/);
      const again = send("again", {}, "b");
      await pass(clock, 4_000);
      await again;
      assert.deepEqual(runs.toSorted(), ["again", "again", "work"]);
    });

    test("[ONCE-8] answers are kept for 15 minutes, and nothing is left then", async () => {
      const { handler, runs, clock } = endpoint();
      await using _closed = handler;
      const send = await connect(handler);
      await send("pay", {}, "k");
      await clock.advance(KEPT_MS / 2);
      assert.equal(textOf(await send("pay", {}, "later")), "pay 2");
      await clock.advance(KEPT_MS / 2 - 1);
      assert.equal(textOf(await send("pay", {}, "k")), "pay 1");
      await clock.advance(1);
      assert.equal(textOf(await send("pay", {}, "k")), "pay 3");
      assert.equal(textOf(await send("pay", {}, "later")), "pay 2");
      assert.equal(runs.length, 3);
    });

    test("[ONCE-8] the key of a call that doesn't end is kept for a day", async () => {
      const { handler, runs, clock, finish } = endpoint();
      await using _closed = handler;
      const send = await connect(handler);
      const first = send("work", {}, "k");
      await settle();
      clock.set(clock.now() + DAY_MS - 1);
      const later = await connect(handler);
      assert.equal(reasonOf(await later("work", {}, "k")), "node-lost");
      clock.set(clock.now() + 1);
      const again = later("work", {}, "k");
      await settle();
      assert.deepEqual(runs, ["work", "work"]);
      finish.open("done");
      assert.deepEqual([textOf(await first), textOf(await again)], ["work 1 done", "work 2 done"]);
      assert.equal(textOf(await later("work", {}, "k")), "work 2 done");
    });

    test("[ONCE-9] the store has no room for another owner: nothing runs, and others have answers", async () => {
      const inner = memoryStore();
      // One owner, and one call that runs
      const answers: Store["answers"] = (clock) =>
        inner.answers?.(clock, 2) ?? assert.fail("no answers");
      const { handler, runs } = endpoint({ store: { ...inner, answers } });
      await using _closed = handler;
      const ada = await connect(handler);
      const ben = await connect(handler, as("ben"));
      await ada("pay", {}, "k");
      assert.equal(reasonOf(await ben("pay", {}, "k")), "answer-limit");
      assert.deepEqual(runs, ["pay"]);
      assert.equal(textOf(await ada("pay", {}, "k")), "pay 1");
      assert.equal(textOf(await ada("pay", {}, "other")), "pay 2");
    });

    test("[ONCE-9] an answer that is too large is given, not kept: the tool doesn't run again", async () => {
      const { handler, runs } = endpoint();
      await using _closed = handler;
      const send = await connect(handler);
      assert.match(textOf(await send("large", {}, "k")), /^large 1 x/);
      const lost = await send("large", {}, "k");
      assert.equal(reasonOf(lost), "answer-lost");
      assert.match(String(lost.error?.message), /too large to keep/);
      assert.equal(textOf(await send("pay", {}, "other")), "pay 2", "There is still room");
      assert.deepEqual(runs, ["large", "pay"]);
    });

    test("[ONCE-9] each owner has 1,000 keys at most: past them nothing runs", async () => {
      const { handler, runs, clock } = endpoint();
      await using _closed = handler;
      const send = await connect(handler);
      const key = (index: number) => `k${index}`;
      for (let index = 0; index < MOST_KEYS; index += 100) {
        await Promise.all(Array.from({ length: 100 }, (_, at) => send("pay", {}, key(index + at))));
      }
      const refused = await send("pay", {}, "more");
      assert.equal(reasonOf(refused), "answer-limit");
      assert.equal(runs.length, MOST_KEYS);
      assert.match(textOf(await send("pay", {}, key(5))), /^pay/, "Repeats have their answers");
      assert.match(textOf(await send("pay", {})), /^pay/);
      assert.match(textOf(await (await connect(handler, as("ben")))("pay", {}, "k")), /^pay/);
      await clock.advance(KEPT_MS);
      assert.match(textOf(await send("pay", {}, "more")), /^pay/);
    });

    test("[ONCE-10] another node waits for the answer, and has it when the first is gone", async () => {
      const store = memoryStore();
      const made = makeServer();
      const one = endpoint({ store }, made);
      const two = endpoint({ store, clock: one.clock }, made);
      await using _closed = two.handler;
      const first = (await connect(one.handler))("work", {}, "k");
      await settle();
      const repeat = (await connect(two.handler))("work", {}, "k");
      await pass(one.clock, 30_000);
      made.finish.open("done");
      await pass(one.clock, 1_000);
      assert.equal(textOf(await first), "work 1 done");
      assert.deepEqual(await repeat, await first);
      await one.handler.close({ graceMs: 0 });
      assert.deepEqual(await (await connect(two.handler))("work", {}, "k"), await first);
      assert.deepEqual(made.runs, ["work"]);
    });

    for (const [name, outcome] of [["work", "lost"], ["again", "runs"]] as const) {
      test(`[ONCE-11] the node dies: ${name}`, async () => {
        const store = memoryStore();
        const [one, two] = [endpoint({ store }), endpoint({ store })];
        await using _closed = two.handler;
        await using _one = one.handler;
        const dying = (await connect(one.handler))(name, {}, "k");
        await settle();
        // The clock of the first stands still: it gives no sign of life any more
        const send = await connect(two.handler);
        const repeat = send(name, {}, "k");
        const another = send(name, {}, "k");
        await pass(two.clock, 10_000);
        if (outcome === "lost") {
          const { error } = await repeat;
          assert.deepEqual([error?.message, error?.data], [NODE_LOST.message, NODE_LOST.data]);
          assert.deepEqual((await another).error, error);
          assert.deepEqual(two.runs, []);
          // It was only slow
          one.finish.open("done");
          assert.equal(textOf(await dying), "work 1 done");
          assert.equal(textOf(await send(name, {}, "k")), "work 1 done");
          return;
        }
        assert.deepEqual(two.runs, ["again"]);
        two.finish.open("two");
        await pass(two.clock, 500);
        assert.equal(textOf(await repeat), "again 1 two");
        assert.deepEqual(await another, await repeat);
        assert.deepEqual(two.runs, ["again"]);
        one.finish.open("one");
        assert.equal(textOf(await dying), "again 1 one");
        assert.equal(textOf(await send(name, {}, "k")), "again 1 two", "The later run counts");
      });
    }

    test("[ONCE-12] a store that fails before the tool runs: 503, and nothing has run", async () => {
      const { store, state } = breakable();
      const { handler, runs } = endpoint({ store, requests: { stateKeys: [SECRET] } });
      await using _closed = handler;
      const send = await connect(handler);
      state.broken = true;
      assert.equal((await send("pay", {}, "k")).status, 503);
      assert.equal(textOf(await send("pay")), "pay 1");
      state.broken = false;
      assert.equal(textOf(await send("pay", {}, "k")), "pay 2");
      assert.equal(runs.length, 2);
    });

    test("[ONCE-12] one that fails after that: the answer is given, and kept when it is back", async () => {
      const { store, state } = breakable();
      const { handler, runs, finish, clock, events } = endpoint({
        store,
        requests: { stateKeys: [SECRET] },
      });
      await using _closed = handler;
      const send = await connect(handler);
      const first = send("work", {}, "k");
      await settle();
      state.broken = true;
      finish.open("done");
      await settle();
      assert.equal(textOf(await first), "work 1 done");
      assert.ok(
        events.all.some((event) => event.type === "error" && event.during === "keeping an answer"),
      );
      await pass(clock, 4_000);
      state.broken = false;
      await pass(clock, 2_000);
      assert.deepEqual(await send("work", {}, "k"), await first);
      assert.deepEqual(runs, ["work"]);
    });

    test("[ONCE-13] a store of many processes has no answer or key in the clear", async () => {
      const { store, state } = breakable();
      const options = { store, requests: { stateKeys: [SECRET] } };
      const made = makeServer();
      const [one, two] = [endpoint(options, made), endpoint(options, made)];
      await using _one = one.handler;
      await using _two = two.handler;
      const first = await (await connect(one.handler))("pay", { a: "secret-a" }, "secret-k");
      assert.deepEqual(
        await (await connect(two.handler))("pay", { a: "secret-a" }, "secret-k"),
        first,
      );
      assert.ok(state.written.length > 0);
      assert.doesNotMatch(state.written.join("\n"), /secret|pay|ada/);
    });

    test("[ONCE-14] SQLite has the answers after a restart", async () => {
      const folder = mkdtempSync(join(tmpdir(), "answers-"));
      using _removed = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
      const made = makeServer();
      for (const _ of [1, 2]) {
        using store = sqliteStore({ path: join(folder, "mcp.sqlite") });
        const { handler } = endpoint({ store }, made);
        await using _closed = handler;
        assert.equal(textOf(await (await connect(handler))("pay", {}, "k")), "pay 1");
      }
    });

    test("[ONCE-15] a Worker keeps them in Durable Objects, and leaves nothing", async () => {
      const { server, runs } = makeServer();
      const worker = mcpWorker(server, {
        authenticate: byToken,
        requests: { stateKeys: [SECRET] },
      });
      const objects = new Objects(worker);
      using _closed = { [Symbol.dispose]: () => objects.close() };
      const fetch = (request: Request) => worker.fetch(request, objects.env);
      const first = await (await connect(fetch))("pay", {}, "k");
      assert.deepEqual(await (await connect(fetch))("pay", {}, "k"), first);
      assert.deepEqual(runs, ["pay"]);
      const names = [...objects.alarms.keys()].filter((name) => name.startsWith("answers"));
      assert.equal(names.length, 1, "An alarm ends the answers, and no sign of life is left");
    });

    test("[ONCE-16] behind a gateway: tools of this process, each server with its own keys", async () => {
      const [one, two] = [makeServer(), makeServer()];
      const upstreams = { one: local(one.server), two: local(two.server) };
      for (const toolSearch of [false, true]) {
        const gw = gateway({ upstreams });
        const handler = createMcpHandler(gw.view({ toolSearch }), { authenticate: byToken });
        await using _closed = handler;
        const send = await connect(handler);
        const call = (name: string, key?: string) =>
          toolSearch
            ? send("call_tool", { name, arguments: { a: 1 } }, key)
            : send(name, { a: 1 }, key);
        const first = await call("one__pay", "k");
        assert.match(textOf(first), /^pay/);
        assert.deepEqual(await call("one__pay", "k"), first);
        assert.equal(reasonOf(await call("two__pay", "k")), "key-in-use");
        await gw.close();
      }
      assert.deepEqual([one.runs.length, two.runs.length], [2, 0]);
    });

    test("[ONCE-16] a server elsewhere gets the key itself", async () => {
      const inner = endpoint({ authenticate: undefined });
      await using _inner = inner.handler;
      const keys: unknown[] = [];
      const upstream = http({
        url: "http://inner.example/mcp",
        fetch: async (input, init) => {
          const request = new Request(input, init);
          const text = await request.clone().text();
          const body: unknown = text === "" ? undefined : JSON.parse(text);
          const params = isObject(body) && isObject(body.params) ? body.params : {};
          if (params.name === "plain" && isObject(params._meta)) {
            keys.push(params._meta["mooring/callKey"]);
          }
          return await inner.handler(request);
        },
      });
      const gw = gateway({ upstreams: { inner: upstream } });
      const handler = createMcpHandler(gw, { authenticate: byToken });
      await using _closed = handler;
      const send = await connect(handler);
      await send("inner__plain", {}, "k");
      await send("inner__plain", {}, "k");
      assert.deepEqual(keys, ["k", "k"]);
      assert.deepEqual(inner.runs, ["plain", "plain"]);
      await gw.close();
    });

    test("[ONCE-21] events, the audit trail and a counter tell repeats that got an answer", async () => {
      let lines = "";
      const trail = audit({ write: (more) => void (lines += more) });
      const measured = metrics();
      const events = new Events();
      const { handler, clock, finish } = endpoint({
        longCalls: { afterMs: 5_000 },
        onEvent(event) {
          for (const one of [events, trail, measured]) one.onEvent(event);
        },
      });
      await using _closed = handler;
      const send = await connect(handler);
      const waits = [send("again", {}, "k1"), send("again", {}, "k1")];
      await pass(clock, 1_000);
      const [long] = [send("work", {}, "k2")];
      await pass(clock, 1_000);
      const late = send("work", {}, "k2");
      await pass(clock, 10_000);
      await Promise.all([...waits, long, late]);
      finish.open("done");
      await pass(clock, 1_000);
      for (const key of ["k3", "k3", "k4", undefined]) await send("pay", { a: 1 }, key);
      // One that is refused is no answer.
      await send("pay", { a: 2 }, "k3");
      const told = (type: "request-finished" | "long-call-ended") =>
        events.of(type).filter(({ repeated }) => repeated === true).map(({ tool }) => tool);
      assert.deepEqual(told("request-finished"), ["pay"]);
      assert.deepEqual(told("long-call-ended").toSorted(), ["again", "work"]);
      assert.match(await measured.text(), /^mooring_repeated_calls_total 3$/m);
      await trail.close();
      const audited = lines.trim().split("\n").map((line) => JSON.parse(line))
        .filter(({ repeated }) => repeated === true).map(({ act }) => act);
      assert.deepEqual(audited, ["long-call-ended", "long-call-ended", "call"]);
    });

    test("[ONCE-17] a call that runs long: a repeat has a handle of its own, and then the answer", async () => {
      const { handler, runs, clock, finish } = endpoint({ longCalls: { afterMs: 5_000 } });
      await using _closed = handler;
      const send = await connect(handler);
      const handles: string[] = [];
      for (let times = 0; times < 2; times++) {
        const call = send("work", {}, "k");
        await pass(clock, 6_000);
        handles.push(/call_[\w-]+/.exec(textOf(await call))?.[0] ?? assert.fail());
      }
      assert.notEqual(handles[0], handles[1]);
      finish.open("done");
      await pass(clock, 1_000);
      for (const handle of handles) {
        assert.equal(textOf(await send("wait_for_result", { handle })), "work 1 done");
      }
      assert.equal(textOf(await send("work", {}, "k")), "work 1 done");
      assert.deepEqual(runs, ["work"]);
    });
  });
}

describe("ONCE: what differs by era and host", () => {
  test("[ONCE-18] 2026: a client that goes away doesn't stop a call with a key", async () => {
    for (const accept of ["application/json", BOTH]) {
      const { handler, runs, contexts, clock, finish } = endpoint();
      await using _closed = handler;
      const send = await ERAS["2026"](handler, undefined, accept);
      const gone = new AbortController();
      const { signal } = gone;
      const first = send("work", {}, "k", { signal }).catch(() => {});
      const waiting = send("work", {}, "k", { signal }).catch(() => {});
      const plain = send("plain_work", {}, "k", { signal }).catch(() => {});
      await pass(clock, 2_000);
      gone.abort();
      await pass(clock, 2_000);
      const aborted = contexts.map(({ signal }) => signal.aborted);
      assert.deepEqual(runs.map((name, at) => [name, aborted[at]]).toSorted(), [
        ["plain_work", true],
        ["work", false],
      ]);
      const repeat = send("work", {}, "k");
      finish.open("done");
      await pass(clock, 1_000);
      assert.match(textOf(await repeat), /^work \d done$/);
      assert.equal(runs.length, 2);
      await Promise.all([first, waiting, plain]);
    }
  });

  test("[ONCE-19] 2026: a question is no answer; what follows it is the answer of the call", async () => {
    const { handler, runs } = endpoint();
    await using _closed = handler;
    const send = await ERAS["2026"](handler);
    for (let times = 0; times < 2; times++) {
      assert.equal((await send("asks", {}, "k")).result?.resultType, "input_required");
    }
    const { result } = await send("asks", {}, "k");
    const params = {
      requestState: result?.requestState,
      inputResponses: { sure: { action: "accept", content: { sure: true } } },
    };
    const answered = await send("asks", {}, "k", { params });
    assert.equal(textOf(answered), "asks 1 accept");
    assert.deepEqual(await send("asks", {}, "k", { params }), answered);
    assert.deepEqual(await send("asks", {}, "k"), answered);
    assert.deepEqual(runs, ["asks"]);
  });

  test("[ONCE-6] of nobody in particular: by session, and refused without one", async () => {
    const { handler, runs } = endpoint({ authenticate: undefined });
    await using _closed = handler;
    const one = await ERAS["2025"](handler, {});
    const two = await ERAS["2025"](handler, {});
    assert.equal(textOf(await one("pay", {}, "k")), "pay 1");
    assert.equal(textOf(await one("pay", {}, "k")), "pay 1");
    assert.equal(textOf(await two("pay", {}, "k")), "pay 2");
    const modern = await ERAS["2026"](handler, {});
    const { error } = await modern("pay", {}, "k");
    assert.match(String(error?.message), /nobody knows whose call/);
    assert.equal(runs.length, 2);
  });

  test("[ONCE-15] a Worker without objects says which binding is missing, and nothing runs", async () => {
    const { server, runs } = makeServer();
    const errors: string[] = [];
    const worker = mcpWorker(server, {
      authenticate: byToken,
      versions: ["2026-07-28"],
      onEvent: (event) => void (event.type === "error" && errors.push(String(event.error))),
    });
    const send = await ERAS["2026"]((request) => worker.fetch(request, {}));
    assert.equal((await send("pay", {}, "k")).status, 503);
    assert.match(errors.join(), /no binding "MCP_SESSION"/);
    assert.deepEqual(runs, []);
  });

  test("[ONCE-5] a key of one version of the protocol is refused in another", async () => {
    const { handler, runs } = endpoint();
    await using _closed = handler;
    await (await ERAS["2025"](handler))("pay", {}, "k");
    assert.equal(reasonOf(await (await ERAS["2026"](handler))("pay", {}, "k")), "key-in-use");
    assert.deepEqual(runs, ["pay"]);
  });

  test("[ONCE-20] a store that keeps no answers fails the start, and a tool that comes later", () => {
    const without: Store = { open: (settings) => memoryStore().open(settings) };
    const { server } = makeServer();
    const expected = {
      name: "TypeError",
      message: /^Use a store with "answers", or leave "answerOnce"/,
    };
    assert.throws(() => createMcpHandler(server, { store: without }), expected);
    const plain = new McpServer({ name: "test", version: "1.0.0" });
    const handler = createMcpHandler(plain, { store: without });
    assert.throws(() => plain.registerTool("pay", { answerOnce: true }, () => ""), expected);
    const wrong = { answerOnce: "yes" as unknown as boolean }; // What JavaScript lets through
    assert.throws(() => plain.registerTool("pay", wrong, () => ""), /answerOnce of "pay"/);
    return handler.close();
  });

  test("[ONCE-22] behind a gateway it fails the start too, in every view, and an upstream later", async () => {
    const without: Store = { open: (settings) => memoryStore().open(settings) };
    const expected = {
      name: "TypeError",
      message: /^Use a store with "answers", or leave "answerOnce".*"pay"/,
    };
    const plain = () => new McpServer({ name: "test", version: "1.0.0" });
    const pays = () => {
      const server = plain();
      server.registerTool("pay", { answerOnce: true }, () => "");
      return server;
    };
    const inner = gateway({ upstreams: { deep: local(pays()) } });
    const upstreams = [local(pays()), lazy(local(pays())), local(inner)];
    for (const upstream of upstreams) {
      const late = plain();
      const gw = gateway({ upstreams: { plain: local(late), a: upstream } });
      for (const view of [gw, gw.only("a"), gw.view({ toolSearch: true })]) {
        for (const longCalls of [false, {}] as const) {
          assert.throws(() => createMcpHandler(view, { store: without, longCalls }), expected);
        }
        await createMcpHandler(view).close();
        await createMcpHandler(view, { store: memoryStore() }).close();
      }
      // A start that failed refuses nothing later.
      late.registerTool("soon", { longCalls: { afterMs: 1 } }, () => "").remove();
      const handler = createMcpHandler(gw.only("plain"), { store: without });
      const register = () => late.registerTool("pay", { answerOnce: true }, () => "");
      assert.throws(register, expected);
      await assert.rejects(gw.set("plain", local(pays())), expected);
      await gw.set("other", local(pays()));
      await handler.close();
      register();
      await gw.close();
    }
    await inner.close();
  });

  test("[ONCE-6] a pipe belongs to the user of the process", async () => {
    const { server, runs } = makeServer();
    const toServer = new TransformStream<Uint8Array, Uint8Array>();
    const toClient = new TransformStream<Uint8Array, Uint8Array>();
    const streams = { input: toServer.readable, output: toClient.writable };
    await using _server = serveStdio(server, { ...streams, graceMs: 0 });
    const writer = toServer.writable.getWriter();
    const _meta = {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "test", version: "1.0.0" },
      "io.modelcontextprotocol/clientCapabilities": {},
      "mooring/callKey": "k",
    };
    const reader = toClient.readable.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (const id of [1, 2]) {
      const params = { name: "pay", arguments: {}, _meta };
      const line = JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params });
      void writer.write(new TextEncoder().encode(`${line}\n`));
      while (text.split("\n").length <= id) {
        text += (await reader.read()).value ?? assert.fail(text);
      }
    }
    const texts = text.trim().split("\n").map((line) => JSON.parse(line).result.content[0].text);
    assert.deepEqual(texts, ["pay 1", "pay 1"]);
    assert.deepEqual(runs, ["pay"]);
  });
});

/** A store of many processes that notes what is written to its answers, and can fail. */
function breakable() {
  const inner = memoryStore();
  const state = { broken: false, written: [] as string[] };
  const store: Store = {
    shared: true,
    open: (settings) => inner.open(settings),
    answers(clock, most) {
      const records = inner.answers?.(clock, most);
      assert.ok(records);
      const check = () => {
        if (state.broken) throw new Error("The store is away");
      };
      const failing: RecordStore = {
        get: async (key) => (check(), await records.get(key)),
        async put(key, value, write) {
          check();
          state.written.push(key, value);
          return await records.put(key, value, write);
        },
        delete: async (key, expected) => (check(), await records.delete(key, expected)),
        list: (prefix, cursor) => records.list(prefix, cursor),
      };
      return failing;
    },
  };
  return { store, state };
}
