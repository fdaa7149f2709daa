import assert from "node:assert/strict";
import { test } from "node:test";
import { type ConnectionOptions, UpstreamConnection } from "../../src/gateway/client/connection.ts";
import type { Message, Transport } from "../../src/gateway/client/transport.ts";
import type { UpstreamCall } from "../../src/gateway/types.ts";
import { UpstreamError } from "../../src/gateway/shared/upstream_error.ts";
import { McpError, MissingCapabilityError } from "../../src/protocol/errors.ts";
import type { JsonObject, RequestId } from "../../src/protocol/jsonrpc.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { Recorder } from "./session.ts";

/** A transport whose other side is the test. */
class Wire implements Transport {
  onmessage: Transport["onmessage"];
  onclose: Transport["onclose"];
  singleStream = false;
  abortCancels = false;
  readonly sent: Message[] = [];
  readonly aborted: RequestId[] = [];
  closes = 0;
  /** Refuses the next message. */
  refusal: unknown;

  send(message: Message): void {
    if (this.refusal !== undefined) throw this.refusal;
    this.sent.push(message);
  }

  abort(id: RequestId): void {
    this.aborted.push(id);
  }

  close(): void {
    this.closes++;
  }

  /** Says something as the other side. */
  say(message: JsonObject, relatedId?: RequestId): void {
    this.onmessage?.({ jsonrpc: "2.0", ...message }, relatedId);
  }

  /** The methods, or what the answers were, in the order in which they were sent. */
  get trail(): unknown[] {
    return this.sent.map((message) =>
      "method" in message ? message.method : message.result ?? message.error?.code
    );
  }
}

function connected(options: Partial<ConnectionOptions> = {}) {
  const wire = new Wire();
  const clock = new FakeClock();
  const recorder = new Recorder();
  const { downstream } = recorder.init();
  const connection = new UpstreamConnection(wire, { clock, downstream, ...options });
  const request = (method = "tools/call", over: Partial<UpstreamCall> = {}) => {
    const call: UpstreamCall = {
      method,
      params: {},
      signal: new AbortController().signal,
      principal: { id: "alice" },
      request: new Request("https://gateway.example/mcp"),
      notify: (notification) => recorder.notifications.push(notification),
      ask: async (asked, params) => {
        const question = { method: asked, params };
        recorder.questions.push(question);
        return await recorder.answer(question);
      },
      ...over,
    };
    return connection.request(call);
  };
  return { wire, clock, recorder, connection, request };
}

/** Lets a call fail later without anybody having looked. */
function quietly(promise: Promise<unknown>): void {
  promise.catch(() => {});
}

test("[GTW-8] answers find their calls in whatever order they come", async () => {
  const { wire, request, connection } = connected();
  const calls = [request(), request(), request()];
  const ids = wire.sent.map((message) => "id" in message ? message.id : undefined);
  assert.equal(new Set(ids).size, 3);
  for (const id of [...ids].reverse()) wire.say({ id, result: { id } });
  assert.deepEqual(await Promise.all(calls), ids.map((id) => ({ id })));
  assert.equal(connection.pendingCalls, 0);
});

test("[GTW-8] an answer counts once, with the right type of id, and on its own stream alone", async () => {
  const { wire, request } = connected();
  const call = request();
  quietly(request());
  wire.say({ id: "1", result: { wrong: "type" } });
  wire.say({ id: 1, result: { wrong: "stream" } }, 2);
  wire.say({ id: 1, result: [] });
  wire.say({ id: 1 });
  wire.say({ id: 1, result: {}, error: { code: 1, message: "" } });
  wire.say({ id: 1, error: { code: "1", message: "" } });
  wire.onmessage?.(null);
  wire.onmessage?.([[{ jsonrpc: "2.0", id: 1, result: {} }]]);
  wire.onmessage?.([{ jsonrpc: "2.0", id: 1, result: { right: true } }], 1);
  wire.say({ id: 1, result: { late: true } });
  assert.deepEqual(await call, { right: true });
});

test("[GTW-8] calls beyond the bound are refused, and the place of one that ended is free", async () => {
  const { wire, request, connection } = connected({ maxCalls: 2 });
  const first = request();
  quietly(request());
  await assert.rejects(request(), (error) => error instanceof McpError && error.code === -32000);
  assert.equal(connection.pendingCalls, 2);
  wire.say({ id: 1, result: {} });
  await first;
  quietly(request());
  assert.equal(connection.pendingCalls, 2);
  await connection.close();
});

test("[GTW-8] a call times out when nothing of it is heard, but not while it tells its progress", async () => {
  const { wire, request, clock, recorder, connection } = connected({ timeoutMs: 1000 });
  const call = request("tools/call", { params: { _meta: { progressToken: 0, own: 1 } } });
  const failed = assert.rejects(
    call,
    (error) => error instanceof McpError && error.code === -32001,
  );
  assert.deepEqual(wire.sent[0], {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { _meta: { progressToken: 1, own: 1 } },
  });
  await clock.advance(900);
  wire.say({ method: "notifications/progress", params: { progressToken: 1, progress: 1 } });
  await clock.advance(900);
  assert.deepEqual(recorder.notifications, [
    { method: "notifications/progress", params: { progressToken: 0, progress: 1 } },
  ]);
  assert.equal(connection.pendingCalls, 1);
  await clock.advance(100);
  await failed;
  assert.deepEqual(wire.trail, ["tools/call", "notifications/cancelled"]);
  assert.deepEqual(wire.aborted, [1]);
  assert.equal(clock.pending, 0);
});

test("[GTW-8] a call doesn't time out while the client is being asked, nor a subscription ever", async () => {
  const { wire, request, clock, recorder, connection } = connected({ timeoutMs: 1000 });
  const answered = Promise.withResolvers<JsonObject>();
  recorder.answer = () => answered.promise;
  quietly(request("subscriptions/listen"));
  const call = request();
  wire.say({ id: "q", method: "elicitation/create" }, 2);
  await clock.advance(100_000);
  assert.equal(connection.pendingCalls, 2);
  answered.resolve({ action: "cancel" });
  await flush();
  assert.deepEqual(wire.sent.at(-1), { jsonrpc: "2.0", id: "q", result: { action: "cancel" } });
  const failed = assert.rejects(call, /timed out/);
  await clock.advance(1000);
  await failed;
  assert.equal(connection.pendingCalls, 1);
  await connection.close();
});

test("[GTW-8] nor while it has one of two questions left, or is told of meanwhile", async () => {
  const { wire, request, clock, recorder, connection } = connected({ timeoutMs: 1000 });
  const [first, second] = [
    Promise.withResolvers<JsonObject>(),
    Promise.withResolvers<JsonObject>(),
  ];
  const answers = [first.promise, second.promise];
  recorder.answer = () => answers.shift() ?? {};
  const call = request();
  wire.say({ id: "p", method: "elicitation/create" }, 1);
  wire.say({ id: "q", method: "elicitation/create" }, 1);
  first.resolve({ action: "cancel" });
  await flush();
  wire.say({ method: "notifications/message", params: { level: "info", data: 1 } }, 1);
  await clock.advance(100_000);
  assert.equal(connection.pendingCalls, 1);
  second.resolve({ action: "cancel" });
  await flush();
  const failed = assert.rejects(call, /timed out/);
  await clock.advance(1000);
  await failed;
  await connection.close();
});

test("[GTW-8] an aborted call is cancelled by a message, or by letting go where that is enough", async () => {
  for (const abortCancels of [false, true]) {
    const { wire, request } = connected();
    wire.abortCancels = abortCancels;
    const stop = new AbortController();
    const call = request("tools/call", { signal: stop.signal });
    stop.abort(new Error("Enough"));
    await assert.rejects(call, /Enough/);
    assert.deepEqual(wire.trail.slice(1), abortCancels ? [] : ["notifications/cancelled"]);
    assert.deepEqual(wire.aborted, [1]);
    wire.say({ id: 1, result: {} });
    const greeting = request("initialize", { signal: AbortSignal.abort(new Error("Never")) });
    await assert.rejects(greeting, /Never/);
  }
});

test("[GTW-8] what belongs to a call goes to it, what belongs to none goes by", async () => {
  const { wire, request, recorder } = connected();
  const own: string[] = [];
  quietly(request("tools/call", { notify: ({ method }) => own.push(method) }));
  wire.say({ method: "notifications/message" }, 1);
  wire.say({ method: "notifications/own" }, 1);
  wire.say({ method: "notifications/tools/list_changed" }, 1);
  wire.say({ method: "notifications/message" });
  wire.say({ method: "notifications/message" }, 99);
  wire.say({ method: "notifications/progress", params: { progressToken: 1, progress: 1 } }, 1);
  assert.deepEqual(own, ["notifications/message", "notifications/own"]);
  assert.deepEqual(recorder.notifications.map(({ method }) => method), [
    "notifications/tools/list_changed",
    "notifications/message",
    "notifications/message",
  ]);
});

test("[GTW-8] on one stream for all, a message belongs to the only call that runs, if there is one", async () => {
  const { wire, request, recorder } = connected();
  wire.singleStream = true;
  const own: string[] = [];
  const notify = ({ method }: { method: string }) => own.push(method);
  quietly(request("subscriptions/listen", { notify }));
  quietly(request("tools/call", { notify }));
  wire.say({ method: "notifications/message" });
  assert.equal(own.length, 1);
  quietly(request("tools/call", { notify }));
  wire.say({ method: "notifications/message" });
  assert.equal(own.length, 1);
  assert.equal(recorder.notifications.length, 1);
  const _meta = { "io.modelcontextprotocol/subscriptionId": 1 };
  wire.say({ method: "notifications/tools/list_changed", params: { _meta } });
  assert.deepEqual(own[1], "notifications/tools/list_changed");
});

test("[GTW-8] questions are answered once each; ping here, errors as errors, the rest by the client", async () => {
  const { wire, recorder } = connected({ maxQuestions: 2 });
  wire.say({ id: 1, method: "ping" });
  recorder.answer = ({ method }) => {
    if (method === "a") throw new McpError(-32042, "No", { own: 1 });
    if (method === "b") throw new Error("A secret of the gateway");
    return { own: true };
  };
  for (const method of ["a", "b"]) wire.say({ id: method, method });
  await flush();
  wire.say({ id: "c", method: "c" });
  await flush();
  assert.deepEqual(wire.trail, [{}, -32042, -32603, { own: true }]);
  assert.doesNotMatch(JSON.stringify(wire.sent), /secret/);
});

test("[GTW-8] a client's missing capability is written as a 2025 client would", async () => {
  const { wire, recorder } = connected();
  const codes: Record<string, number> = {
    "roots": -32601,
    "sampling": -32601,
    "elicitation": -32601,
    "elicitation.url": -32602,
    "elicitation.form": -32602,
    "sampling.tools": -32602,
  };
  recorder.answer = ({ method }) => {
    throw new MissingCapabilityError(method);
  };
  for (const capability of Object.keys(codes)) wire.say({ id: capability, method: capability });
  await flush();
  assert.deepEqual(wire.trail, Object.values(codes));
  for (const message of wire.sent) {
    assert.ok(!("method" in message) && message.error !== undefined);
    assert.equal(message.error.data, undefined);
    assert.ok(message.error.message.includes(`"${message.id}"`), message.error.message);
  }
});

test('[GTW-8] questions with the id of an open one are ignored, and `1` and "1" are two', async () => {
  const { wire, recorder } = connected({ maxQuestions: 2 });
  const release = Promise.withResolvers<JsonObject>();
  recorder.answer = () => release.promise;
  for (const id of [1, 1, "1", 1, 2]) wire.say({ id, method: "roots/list" });
  assert.equal(recorder.questions.length, 2);
  assert.deepEqual(wire.trail, [-32000]);
  release.resolve({ roots: [] });
  await flush();
  assert.deepEqual(wire.sent.slice(1).map((message) => "id" in message && message.id), [1, "1"]);
});

test("[GTW-8] a message that can't be sent fails its call alone, or the connection", async () => {
  const { wire, request, recorder, connection } = connected();
  const other = request();
  wire.refusal = new McpError(-32000, "Full");
  await assert.rejects(request(), /Full/);
  assert.equal(connection.pendingCalls, 1);
  wire.refusal = new UpstreamError("refused");
  const failed = assert.rejects(other, UpstreamError);
  await assert.rejects(request(), (error) => error === wire.refusal);
  await failed;
  assert.deepEqual(recorder.ends, [wire.refusal]);
  assert.equal(wire.closes, 1);
});

test("[GTW-3] the end settles everything, once, and nothing is taken or sent after it", async () => {
  for (const how of ["close", "onclose"]) {
    const { wire, request, recorder, connection, clock } = connected();
    let aborted = false;
    recorder.answer = ({ signal }) =>
      new Promise((_, reject) =>
        signal?.addEventListener("abort", () => {
          aborted = true;
          reject(signal.reason);
        })
      );
    wire.say({ id: "q", method: "roots/list" });
    const calls = [request(), request()].map((call) => assert.rejects(call, UpstreamError));
    if (how === "close") await Promise.all([connection.close(), connection.close()]);
    else wire.onclose?.(new UpstreamError("closed"));
    await Promise.all(calls);
    await flush();
    const sent = wire.sent.length;
    wire.say({ id: "r", method: "roots/list" });
    wire.say({ method: "notifications/message" });
    await connection.notify({ method: "notifications/roots/list_changed" });
    await assert.rejects(request(), UpstreamError);
    wire.onclose?.(new UpstreamError("closed"));
    await connection.close();
    assert.ok(aborted);
    assert.equal(wire.sent.length, sent);
    assert.equal(wire.closes, 1);
    assert.equal(recorder.ends.length, how === "close" ? 0 : 1);
    assert.deepEqual(recorder.notifications, []);
    assert.equal(clock.pending, 0);
  }
});
