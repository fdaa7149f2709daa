import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import type { Exchange } from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock, flush } from "../support/clock.ts";
import {
  accepted,
  Blocker,
  Events,
  Gate,
  initialize,
  isPending,
  logData,
  logMessage,
  Peer,
  refused,
  soon,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";

const JSON_ONLY = { accept: "application/json" };
const SSE_ONLY = { accept: "text/event-stream" };
const NOTHING = { sessions: 1, streams: 0, requests: 0, questions: 0, listens: 0 };

function endpoint(options: McpHandlerOptions = {}) {
  const clock = new FakeClock();
  const events = new Events();
  const blocker = new Blocker();
  const stub = new Stub({
    hello: () => text("Hello"),
    block: blocker.act,
    async chatty(exchange) {
      exchange.notify(logMessage("hi"));
      return await blocker.act(exchange);
    },
  });
  const handler = createMcpHandler(stub, { clock, onEvent: events.onEvent, ...options });
  return { clock, events, blocker, stub, handler };
}

/** The message of what stopped a run. */
function reasonOf(exchange: Exchange | undefined): string {
  return String(exchange?.signal.reason?.message);
}

describe("CAN: what is in flight", () => {
  test("[CAN-1] a request is in flight before its handler starts", async () => {
    let running: unknown;
    let cancelled: Promise<unknown> | undefined;
    const stub = new Stub({
      async early(exchange) {
        running = handler.stats().requests;
        cancelled = peer.cancel(1, "from within");
        await cancelled;
        assert.equal(exchange.signal.aborted, true);
        return text("too late");
      },
    });
    const handler: McpHandler = createMcpHandler(stub);
    const peer = await initialize(handler);
    await accepted(await peer.call(1, "early"));
    assert.equal(running, 1);
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[CAN-1, STR-5] taking one out leaves the other under the same id in", async () => {
    const { handler, blocker } = endpoint();
    const peer = await initialize(handler, JSON_ONLY);
    const long = peer.call(1, "block");
    await blocker.running();
    // Another under the same id comes and goes.
    assert.equal(textOf(await peer.result(await peer.call(1, "hello"))), "Hello");
    assert.equal(handler.stats().requests, 1);
    await peer.cancel(1);
    await accepted(await soon(long));
    assert.equal(blocker.reasons.length, 1);
    await handler.close();
  });
});

describe("CAN: notifications/cancelled", () => {
  test("[CAN-2] trips every entry of that id in that session, and no other id", async () => {
    const { handler, blocker } = endpoint();
    const peer = await initialize(handler, JSON_ONLY);
    const ids = [1, 1, 1, "1", 2, 0, ""];
    const calls = ids.map((id) => peer.call(id, "block"));
    await blocker.running(ids.length);
    await peer.cancel(1);
    for (const call of calls.slice(0, 3)) await accepted(await soon(call));
    for (const call of calls.slice(3)) assert.equal(await isPending(call), true);
    await peer.cancel(0);
    await accepted(await soon(calls[5] ?? Promise.reject()));
    await peer.cancel("");
    await accepted(await soon(calls[6] ?? Promise.reject()));
    await peer.cancel("1");
    await accepted(await soon(calls[3] ?? Promise.reject()));
    blocker.gate.open("done");
    assert.equal(textOf(await peer.result(await soon(calls[4] ?? Promise.reject()))), "done");
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[CAN-2] is always accepted, whatever it says", async () => {
    const { handler, blocker } = endpoint();
    const peer = await initialize(handler, JSON_ONLY);
    await peer.result(await peer.call("finished", "hello"));
    const call = peer.call(1, "block");
    await blocker.running();
    const params: (JsonObject | undefined)[] = [
      undefined,
      {},
      { requestId: "unknown" },
      { requestId: "finished" },
      { requestId: null },
      { requestId: 1.5 },
      { requestId: { id: 1 } },
      { requestId: [1] },
      { requestId: "1" },
      { requestId: "__proto__" },
      { requestId: "unknown", reason: 7 },
    ];
    for (const each of params) await peer.notify("notifications/cancelled", each);
    assert.equal(await isPending(call), true);
    blocker.gate.open("done");
    assert.equal(textOf(await peer.result(await call)), "done");
    await peer.cancel(1);
    await peer.cancel(1);
    await handler.close();
  });

  test("[CAN-2] an initialize is not cancelled, by whatever session", async () => {
    const gate = new Gate();
    let started = false;
    const stub = new Stub({}, {
      async initialize({ protocolVersion }) {
        if (stub.exchanges.length > 1) {
          started = true;
          await gate.promise;
        }
        return { protocolVersion, capabilities: {}, serverInfo: { name: "s", version: "1" } };
      },
    });
    const handler = createMcpHandler(stub);
    const other = await initialize(handler);
    const peer = new Peer(handler);
    const answer = peer.initialize();
    while (!started) await flush();
    await other.cancel(0);
    assert.equal(stub.exchanges[1]?.signal.aborted, false);
    gate.open();
    await answer;
    await peer.result(await peer.request(1, "ping"));
    await handler.close();
  });

  test("[CAN-2] the first reason wins, and reaches the handler", async () => {
    const { handler, blocker } = endpoint();
    const peer = await initialize(handler, JSON_ONLY);
    const call = peer.call(1, "block");
    await blocker.running();
    await peer.cancel(1, "changed my mind");
    await peer.cancel(1, "again");
    await peer.delete();
    await accepted(await call);
    assert.match(reasonOf(blocker.runs[0]), /cancelled the request: changed my mind$/);
    assert.equal(blocker.reasons.length, 1);
    await handler.close();
  });

  test("[CAN-2] in a batch each request is cancelled by itself", async () => {
    const { handler, blocker } = endpoint();
    const peer = await initialize(handler, { version: "2025-03-26", ...JSON_ONLY });
    const call = (id: number, name: string) => ({
      jsonrpc: "2.0",
      id,
      method: "tools/call",
      params: { name, arguments: {} },
    });
    const response = peer.post([call(1, "block"), call(2, "block"), call(3, "hello")]);
    await blocker.running(2);
    await peer.cancel(1);
    assert.equal(await isPending(response), true);
    blocker.gate.open("done");
    const answers: JsonObject[] = await (await response).json();
    assert.deepEqual(answers.map(({ id }) => id).toSorted(), [2, 3]);
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[CAN-2] a batch of which everything is cancelled ends as an empty 202", async () => {
    const { handler, blocker } = endpoint();
    const peer = await initialize(handler, { version: "2025-03-26", ...JSON_ONLY });
    const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "block" } };
    const response = peer.post([call, call]);
    await blocker.running(2);
    await peer.cancel(1);
    await accepted(await soon(response));
    await handler.close();
  });
});

describe("CAN: what becomes of a cancelled request", () => {
  for (
    const [name, options] of [["JSON", JSON_ONLY], ["JSON or SSE", {}], ["SSE", SSE_ONLY]] as const
  ) {
    test(`[CAN-3] a POST that accepts ${name} and hasn't been answered ends at once as an empty 202`, async () => {
      const { handler, blocker } = endpoint();
      const peer = await initialize(handler, options);
      const call = peer.call(1, "block");
      await blocker.running();
      await peer.cancel(1);
      // The handler ignores the signal: nobody waits for it.
      await accepted(await soon(call));
      assert.deepEqual(handler.stats(), NOTHING);
      blocker.gate.open("nobody hears this");
      await flush();
      assert.deepEqual(handler.stats(), NOTHING);
      await handler.close();
    });
  }

  test("[CAN-3] a stream ends at once, without a response", async () => {
    const { handler, blocker } = endpoint();
    const peer = await initialize(handler);
    const stream = peer.frames(await peer.call(1, "chatty"));
    await blocker.running();
    await peer.cancel(1);
    const messages = await stream.messages();
    assert.deepEqual(messages.map(logData), ["hi"]);
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[CAN-3] a handler that ignores the signal can no longer send, not even to who comes back", async () => {
    const { handler, blocker, events } = endpoint();
    const peer = await initialize(handler, { capabilities: { roots: {} } });
    const server = await peer.listen();
    const stream = peer.frames(await peer.call(1, "chatty"));
    const cursor = (await stream.next())?.id;
    await blocker.running();
    await peer.cancel(1);
    await stream.messages();
    const [run] = blocker.runs;
    run?.notify(logMessage("too late"));
    await assert.rejects(async () => await run?.ask("roots/list", {}), /cancelled the request/);
    run?.closeStream();
    blocker.gate.open("too late");
    await flush();
    const replay = await (await peer.listen(cursor)).messages();
    assert.deepEqual(replay.map(logData), ["hi"]);
    assert.deepEqual(events.of("message-dropped").map(({ reason }) => reason), ["finished"]);
    assert.deepEqual(handler.stats(), { ...NOTHING, streams: 1 });
    await peer.delete();
    assert.deepEqual(await server.messages(), []);
    await handler.close();
  });

  test("[CAN-3] a handler that rejects after being cancelled causes no error anywhere", async () => {
    const { handler, events, stub } = endpoint();
    const gate = new Gate();
    const act = async ({ signal }: Exchange): Promise<JsonObject> => {
      await gate.promise;
      throw signal.reason;
    };
    const other = createMcpHandler(new Stub({ act }), { onEvent: events.onEvent });
    const peer = await initialize(other, JSON_ONLY);
    const call = peer.call(1, "act");
    while (other.stats().requests === 0) await flush();
    await peer.cancel(1);
    await accepted(await call);
    gate.open();
    await flush();
    assert.deepEqual(events.of("error"), []);
    assert.equal(stub.exchanges.length, 0);
    await Promise.all([handler.close(), other.close()]);
  });

  test("[CAN-3] a call that was cancelled after its connection broke is over too", async () => {
    const { handler, blocker } = endpoint();
    const peer = await initialize(handler);
    const stream = peer.frames(await peer.call(1, "chatty"));
    const cursor = (await stream.next())?.id;
    await stream.cancel();
    await blocker.running();
    await peer.cancel(1);
    assert.deepEqual(handler.stats(), NOTHING);
    assert.deepEqual((await (await peer.listen(cursor)).messages()).map(logData), ["hi"]);
    await handler.close();
  });

  test("[CAN-3] 1,000 cancelled calls leave nothing", async () => {
    const { handler, blocker } = endpoint({ limits: { streams: 50 } });
    const peer = await initialize(handler);
    for (let i = 0; i < 1_000; i++) {
      const call = peer.call(i, i % 2 === 0 ? "block" : "chatty");
      await blocker.running(i + 1);
      await peer.cancel(i);
      const response = await call;
      if (response.status === 202) await accepted(response);
      else assert.equal((await peer.frames(response).messages()).length, 1);
    }
    assert.equal(blocker.reasons.length, 1_000);
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });
});

describe("CAN: deadlines", () => {
  test("[CAN-4] there is none by default", async () => {
    const { handler, blocker, clock } = endpoint();
    const peer = await initialize(handler, JSON_ONLY);
    const call = peer.call(1, "block");
    await blocker.running();
    await clock.advance(3 * 3_600_000);
    assert.equal(await isPending(call), true);
    blocker.gate.open("done");
    assert.equal(textOf(await peer.result(await call)), "done");
    await handler.close();
  });

  for (const [name, options] of [["JSON", JSON_ONLY], ["SSE", SSE_ONLY]] as const) {
    test(`[CAN-4] requests.timeoutMs ends a call with an error, accepting ${name}`, async () => {
      const { handler, blocker, clock } = endpoint({ requests: { timeoutMs: 500 } });
      const peer = await initialize(handler, options);
      const call = peer.call("slow", "block");
      await blocker.running();
      await clock.advance(499);
      assert.equal(await isPending(call), true);
      await clock.advance(1);
      const response = await soon(call);
      const message = name === "JSON"
        ? await peer.json(response)
        : (await peer.frames(response).messages()).at(-1);
      const error = { code: -32001, message: "Request timed out" };
      assert.deepEqual(message, { jsonrpc: "2.0", id: "slow", error });
      assert.equal(reasonOf(blocker.runs[0]), "Request timed out");
      assert.deepEqual(handler.stats(), NOTHING);
      await handler.close();
    });
  }

  test("[CAN-4] on a stream the error is the last message", async () => {
    const { handler, blocker, clock } = endpoint({ requests: { timeoutMs: 5_000 } });
    const peer = await initialize(handler);
    const stream = peer.frames(await peer.call(1, "chatty"));
    await blocker.running();
    await clock.advance(5_000);
    const messages = await stream.messages();
    assert.equal(messages.length, 2);
    assert.equal((messages[1]?.error as { code: number }).code, -32001);
    await handler.close();
  });

  test("[CAN-4] progress resets it, up to requests.maxTimeoutMs; other words don't", async () => {
    const requests = { timeoutMs: 1_000, maxTimeoutMs: 3_500 };
    const { handler, blocker, clock } = endpoint({ requests, streams: { progressHeartbeatMs: 0 } });
    const peer = await initialize(handler);
    const params = { name: "chatty", arguments: {}, _meta: { progressToken: "t" } };
    const stream = peer.frames(await peer.request(1, "tools/call", params));
    await blocker.running();
    const progress = (value: number, progressToken = "t") =>
      blocker.runs[0]?.notify({
        method: "notifications/progress",
        params: { progressToken, progress: value },
      });
    for (const value of [1, 2, 3]) {
      await clock.advance(999);
      progress(value);
    }
    await clock.advance(502);
    assert.equal(handler.stats().requests, 1);
    await clock.advance(1);
    assert.equal(handler.stats().requests, 0);
    assert.equal((await stream.messages()).length, 5);
    // Neither a foreign token, nor progress that doesn't rise, nor a log message counts.
    const second = peer.frames(await peer.request(2, "tools/call", params));
    await blocker.running(2);
    blocker.runs[1]?.notify({
      method: "notifications/progress",
      params: { progressToken: "t", progress: 1 },
    });
    await clock.advance(600);
    for (const [progressToken, value] of [["other", 9], ["t", 1], ["t", 0]] as const) {
      blocker.runs[1]?.notify({
        method: "notifications/progress",
        params: { progressToken, progress: value },
      });
    }
    blocker.runs[1]?.notify(logMessage("busy"));
    await clock.advance(400);
    assert.equal(handler.stats().requests, 0);
    assert.equal((await second.messages()).length, 4);
    await handler.close();
  });

  test("[CAN-4] the limit counts for each request of a batch, and for initialize", async () => {
    const { handler, blocker, clock } = endpoint({ requests: { timeoutMs: 500 } });
    const peer = await initialize(handler, { version: "2025-03-26", ...JSON_ONLY });
    const call = { jsonrpc: "2.0", method: "tools/call", params: { name: "block" } };
    const batch = peer.post([{ ...call, id: 1 }, { ...call, id: 2 }]);
    await blocker.running(2);
    await clock.advance(500);
    const answers: { id: number; error: { code: number } }[] = await (await soon(batch)).json();
    assert.deepEqual(answers.map(({ id, error }) => [id, error.code]), [[1, -32001], [2, -32001]]);
    const stub = new Stub({}, { initialize: () => new Promise(() => {}) });
    const stuck = createMcpHandler(stub, { clock, requests: { timeoutMs: 500 } });
    const late = new Peer(stuck);
    const response = late.post(late.initializeRequest());
    while (stuck.stats().requests === 0) await flush();
    await clock.advance(500);
    const message = await late.json(await soon(response));
    assert.equal((message.error as { code: number }).code, -32001);
    assert.deepEqual(stuck.stats(), { ...NOTHING, sessions: 0 });
    await Promise.all([handler.close(), stuck.close()]);
  });
});

describe("CAN: progress", () => {
  /** Reports progress under a token, whoever gave it. */
  const report = (progressToken: unknown, progress: unknown) => ({
    method: "notifications/progress",
    params: { progressToken, progress },
  });

  function reporting(values: readonly (readonly [unknown, unknown])[]) {
    const events = new Events();
    const stub = new Stub({
      async report(exchange) {
        for (const [token, value] of values) exchange.notify(report(token, value));
        await Promise.resolve();
        return text("done");
      },
    });
    return { events, handler: createMcpHandler(stub, { onEvent: events.onEvent }) };
  }

  async function heard(peer: Peer, progressToken?: unknown): Promise<unknown[]> {
    const params = {
      name: "report",
      arguments: {},
      ...progressToken !== undefined && { _meta: { progressToken } },
    };
    const response = await peer.request(1, "tools/call", params);
    if (response.headers.get("content-type") === "application/json") {
      await peer.json(response);
      return [];
    }
    const messages = await peer.frames(response).messages();
    return messages.slice(0, -1).map(({ params }) => (params as JsonObject).progress);
  }

  for (const token of ["abc", "", 0, 7, "0"]) {
    test(`[CAN-5] the client's own token ${JSON.stringify(token)} is reported under, as it came`, async () => {
      const { handler } = reporting([[token, 1], [token, 2.5]]);
      assert.deepEqual(await heard(await initialize(handler), token), [1, 2.5]);
      await handler.close();
    });
  }

  test("[CAN-5] without a token, or under another one, nothing is sent", async () => {
    const { handler, events } = reporting([["a", 1], [1, 2], [undefined, 3]]);
    const peer = await initialize(handler);
    assert.deepEqual(await heard(peer), []);
    assert.deepEqual(await heard(peer, "1"), []);
    const reasons = events.of("message-dropped").map(({ reason }) => reason);
    assert.deepEqual(reasons, Array(6).fill("no-progress-token"));
    await handler.close();
  });

  test("[CAN-5] progress that doesn't rise, or is no number, is not sent", async () => {
    const values = [-1, 0, 0, 1, 0.5, 1, NaN, Infinity, "2", undefined, 1.0001, 100, 99];
    const { handler, events } = reporting(values.map((value) => ["t", value]));
    assert.deepEqual(await heard(await initialize(handler), "t"), [-1, 0, 1, 1.0001, 100]);
    const reasons = events.of("message-dropped").map(({ reason }) => reason);
    assert.deepEqual(reasons, Array(8).fill("not-rising"));
    await handler.close();
  });

  test("[CAN-5] it goes on that call's stream, not on another's nor the server's", async () => {
    const { handler, blocker } = endpoint();
    const peer = await initialize(handler);
    const server = await peer.listen();
    const call = async (id: number) =>
      peer.frames(
        await peer.request(id, "tools/call", {
          name: "chatty",
          arguments: {},
          _meta: { progressToken: "same" },
        }),
      );
    const streams = [await call(1), await call(2)];
    await blocker.running(2);
    blocker.runs[1]?.notify(report("same", 1));
    blocker.gate.open("done");
    const counts = await Promise.all(
      streams.map(async (stream) => (await stream.messages()).length),
    );
    assert.deepEqual(counts, [2, 3]);
    await peer.delete();
    assert.deepEqual(await server.messages(), []);
    await handler.close();
  });

  test("[CAN-5] a silent call with a token says every two seconds that it is still running", async () => {
    const { handler, blocker, clock } = endpoint();
    const peer = await initialize(handler);
    const call = peer.request(1, "tools/call", {
      name: "block",
      arguments: {},
      _meta: { progressToken: "t" },
    });
    await blocker.running();
    await clock.advance(1_000);
    const stream = peer.frames(await call);
    await clock.advance(999);
    const first = stream.message();
    assert.equal(await isPending(first), true);
    await clock.advance(1);
    const beats = [await first];
    for (let i = 0; i < 9; i++) {
      await clock.advance(2_000);
      beats.push(await stream.message());
    }
    let before = 0;
    for (const beat of beats) {
      const { progressToken, progress, message } = beat?.params as JsonObject;
      assert.equal(progressToken, "t");
      assert.equal(message, "Still running");
      assert.ok(typeof progress === "number" && progress > before && progress < 0.001);
      before = progress;
    }
    // Its own progress ends that for good, and comes after.
    blocker.runs[0]?.notify(report("t", 0.001));
    assert.equal(((await stream.message())?.params as JsonObject).progress, 0.001);
    const next = stream.message();
    await clock.advance(60_000);
    assert.equal(await isPending(next), true);
    blocker.gate.open("done");
    assert.equal(textOf((await next)?.result), "done");
    await handler.close();
  });

  test("[CAN-5] no beat without a token, without a stream, with 0, or after the end", async () => {
    const cases = [
      { token: undefined, options: {}, streams: {} },
      { token: "t", options: JSON_ONLY, streams: {} },
      { token: "t", options: {}, streams: { progressHeartbeatMs: 0 } },
    ];
    for (const { token, options, streams } of cases) {
      const { handler, blocker, clock } = endpoint({ streams });
      const peer = await initialize(handler, options);
      const call = peer.request(1, "tools/call", {
        name: "block",
        arguments: {},
        ...token && { _meta: { progressToken: token } },
      });
      await blocker.running();
      await clock.advance(60_000);
      blocker.gate.open("done");
      const response = await call;
      if (options === JSON_ONLY) assert.equal(textOf((await peer.json(response)).result), "done");
      else assert.equal((await peer.frames(response).messages()).length, 1);
      assert.equal(handler.stats().requests, 0);
      await handler.close();
    }
  });

  test("[CAN-5] beats don't keep a call from timing out", async () => {
    const { handler, blocker, clock } = endpoint({ requests: { timeoutMs: 5_000 } });
    const peer = await initialize(handler);
    const call = peer.request(1, "tools/call", {
      name: "block",
      arguments: {},
      _meta: { progressToken: "t" },
    });
    await blocker.running();
    await clock.advance(5_000);
    const messages = await peer.frames(await call).messages();
    assert.equal((messages.at(-1)?.error as { code: number }).code, -32001);
    assert.equal(messages.length, 3);
    await handler.close();
  });
});

describe("CAN: each end has its own reason", () => {
  const ends: readonly (readonly [
    string,
    string,
    (world: ReturnType<typeof endpoint>, peer: Peer) => Promise<unknown>,
  ])[] = [
    ["a cancellation", "cancelled", (_world, peer) => peer.cancel(1)],
    ["a timeout", "timeout", ({ clock }) => clock.advance(60 * 60_000)],
    ["DELETE", "session-ended", (_world, peer) => peer.delete()],
    ["expiry", "session-ended", async ({ clock }, peer) => {
      // Progress keeps the call going, past the life of its session.
      await clock.advance(4 * 60 * 60_000);
      await refused(await peer.request(2, "ping"), 404, -32001);
    }],
    ["sessions.end()", "session-ended", ({ handler }, peer) => {
      return handler.sessions.end(String(peer.sessionId));
    }],
    ["close()", "shutdown", async ({ handler, clock }) => {
      const closed = handler.close({ graceMs: 0 });
      await clock.advance(1);
      await closed;
    }],
  ];
  for (const [name, kind, end] of ends) {
    test(`[CAN-7] ${name} stops a call with the reason "${kind}"`, async () => {
      const timeoutMs = name === "a timeout" ? 60 * 60_000 : 0;
      const world = endpoint({ requests: { timeoutMs } });
      const { handler, blocker, events } = world;
      const peer = await initialize(handler, JSON_ONLY);
      const call = peer.call(1, "block");
      await blocker.running();
      await end(world, peer);
      const { status } = await soon(call);
      const statuses: Record<string, number> = {
        "cancelled": 202,
        "timeout": 200,
        "shutdown": 503,
      };
      assert.equal(status, statuses[kind] ?? 404);
      assert.equal((blocker.reasons[0] as { kind: string }).kind, kind);
      const finished = events.of("request-finished").at(-1);
      assert.deepEqual([finished?.method, finished?.outcome], ["tools/call", kind]);
      assert.equal(handler.stats().requests, 0);
      await handler.close({ graceMs: 0 });
    });
  }
});
