import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { MetaKey } from "../../src/protocol/envelope.ts";
import type { Principal } from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { StopError } from "../../src/calls/lifetime/stop.ts";
import { McpServer } from "../../src/server/server.ts";
import { RawConnection, requestText } from "../runtimes/raw.ts";
import { serve } from "../runtimes/runtime.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { CAPABLE, headersFor, MODERN, ModernPeer } from "../support/modern.ts";
import { BOTH, Events, Gate, initialize, isPending, soon, textOf } from "../support/wire.ts";

const NOTHING = { sessions: 0, streams: 0, requests: 0, questions: 0, listens: 0 };
const TOKEN = { _meta: { progressToken: "t" } };
/** How long it may take until a call whose client has gone is stopped and has freed its place. */
const SECOND_MS = 1_000;

/** A server whose tools run until they are stopped or let go. */
function makeServer() {
  const stops: unknown[] = [];
  const started: string[] = [];
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const server = new McpServer({ name: "cancel", version: "1.0.0" });
  const wait = (signal: AbortSignal, name: string) =>
    new Promise<string>((resolve, reject) => {
      started.push(name);
      released.then(() => resolve("Let go"));
      signal.addEventListener("abort", () => {
        stops.push(signal.reason);
        reject(signal.reason);
      }, { once: true });
    });
  server.registerTool("wait", {}, (_args, ctx) => wait(ctx.signal, "wait"));
  server.registerTool("talk", {}, (_args, ctx) => {
    ctx.progress(1);
    return wait(ctx.signal, "talk");
  });
  server.registerTool("deaf", {}, async (_args, ctx) => {
    ctx.progress(1);
    await wait(ctx.signal, "deaf").catch(() => {});
    await released;
    ctx.progress(2);
    ctx.log("error", "Too late");
    return "Too late";
  });
  server.registerTool("quick", { inputSchema: z.object({ n: z.number() }) }, ({ n }) => `${n}`);
  return { server, stops, started, release };
}

function world(options: McpHandlerOptions = {}) {
  const clock = new FakeClock();
  const events = new Events();
  const made = makeServer();
  const handler = createMcpHandler(made.server, { clock, onEvent: events.onEvent, ...options });
  const peer = new ModernPeer(handler, { capabilities: CAPABLE, logLevel: "debug" });
  return { ...made, handler, peer, json: peer.with({ accept: "application/json" }), clock, events };
}

function disconnected(stops: readonly unknown[]): void {
  assert.equal(stops.length, 1);
  const [reason] = stops;
  assert.ok(reason instanceof StopError, String(reason));
  assert.equal(reason.kind, "disconnected");
}

describe("CAN: the client of a call goes away", () => {
  for (const after of [0, 100, 600, 60_000]) {
    test(`[CAN-6] a client that takes only JSON leaves ${after} ms after it asked`, async () => {
      const { handler, json, stops, started, clock, events } = world();
      const controller = new AbortController();
      const { signal } = controller;
      const response = json.call("wait", {}, {}, { signal });
      while (started.length === 0) await flush();
      await clock.advance(after);
      assert.deepEqual(stops, []);
      controller.abort();
      await clock.advance(SECOND_MS);
      disconnected(stops);
      assert.deepEqual(handler.stats(), NOTHING);
      assert.deepEqual(events.of("request-finished").map(({ outcome }) => outcome), [
        "disconnected",
      ]);
      assert.deepEqual(events.of("error"), []);
      assert.equal(await (await response).text(), "");
      await handler.close();
    });
  }

  test("[CAN-6] the body of a stream is cancelled: the call stops at once", async () => {
    const { handler, peer, stops, events } = world();
    const frames = peer.frames(await peer.call("talk", {}, TOKEN));
    assert.equal((await frames.message())?.method, "notifications/progress");
    assert.deepEqual(stops, []);
    await frames.cancel();
    disconnected(stops);
    assert.deepEqual(handler.stats(), NOTHING);
    assert.deepEqual(events.of("request-finished").map(({ outcome }) => outcome), ["disconnected"]);
    await handler.close();
  });

  for (const [sseAfterMs, ms] of [[undefined, 500], [100, 100], [10_000, 500]] as const) {
    test(`[CAN-6] a silent call becomes a stream in ${ms} ms, so that leaving it shows (sseAfterMs: ${sseAfterMs})`, async () => {
      const { handler, peer, stops, clock } = world({ streams: { sseAfterMs } });
      const response = peer.call("wait");
      await clock.advance(ms - 1);
      assert.equal(await isPending(response), true);
      await clock.advance(1);
      const frames = peer.frames(await response);
      assert.equal(handler.stats().streams, 1);
      await frames.cancel();
      disconnected(stops);
      assert.deepEqual(handler.stats(), NOTHING);
      await handler.close();
    });
  }

  test("[CAN-6] where no stream is left, the request itself is watched", async () => {
    const { handler, peer, stops, started, clock } = world({ limits: { streams: 0 } });
    for (const tool of ["wait", "talk"]) {
      stops.length = started.length = 0;
      const controller = new AbortController();
      const { signal } = controller;
      peer.call(tool, {}, TOKEN, { signal }).catch(() => {});
      while (started.length === 0) await flush();
      controller.abort();
      await clock.advance(SECOND_MS);
      disconnected(stops);
      assert.deepEqual(handler.stats(), NOTHING);
    }
    await handler.close();
  });

  for (const tool of ["wait", "talk"]) {
    test(`[CAN-6] the request's own signal stops ${tool}, whose answer is a stream already`, async () => {
      const { handler, peer, stops, clock, events } = world();
      const controller = new AbortController();
      const { signal } = controller;
      const response = peer.call(tool, {}, TOKEN, { signal });
      await clock.advance(60_000);
      const frames = peer.frames(await response);
      controller.abort();
      await clock.advance(SECOND_MS);
      disconnected(stops);
      assert.deepEqual(handler.stats(), NOTHING);
      assert.deepEqual(events.of("request-finished").map(({ outcome }) => outcome), [
        "disconnected",
      ]);
      assert.equal((await frames.messages()).every(({ method }) => method !== undefined), true);
      await handler.close();
    });
  }

  test("[CAN-6] a signal that aborts before it is watched stops a stream within a second", async () => {
    const { handler, peer, stops, clock } = world();
    const controller = new AbortController();
    const { signal } = controller;
    const frames = peer.frames(await peer.call("talk", {}, TOKEN, { signal }));
    controller.abort();
    await clock.advance(SECOND_MS);
    disconnected(stops);
    assert.deepEqual(handler.stats(), NOTHING);
    await frames.cancel();
    await handler.close();
  });

  test("[CAN-6] no listener stays on the request's signal, and none is there while a call is quick", async () => {
    const { handler, peer, started, clock, release } = world();
    const { fetch } = peer;
    const listeners: number[] = [];
    const counting = new ModernPeer((request) => {
      const at = listeners.push(0) - 1;
      const { signal } = request;
      const count = (method: "addEventListener" | "removeEventListener", by: number) => {
        const original = signal[method].bind(signal);
        Object.defineProperty(signal, method, {
          value: (type: "abort", listener: () => void) => {
            listeners[at] = (listeners[at] ?? 0) + by;
            original(type, listener);
          },
        });
      };
      count("addEventListener", 1);
      count("removeEventListener", -1);
      Object.defineProperty(request, "signal", { value: signal });
      return fetch(request);
    });
    await counting.say("quick", { n: 1 });
    const stream = await counting.call("talk", {}, TOKEN);
    while (started.length === 0) await flush();
    assert.deepEqual(listeners, [0, 0]);
    await clock.advance(SECOND_MS);
    assert.deepEqual(listeners, [0, 1]);
    release();
    assert.equal(textOf(await counting.result(stream)), "Let go");
    assert.deepEqual(listeners, [0, 0]);
    await handler.close();
  });

  test("[CAN-6] [ERA-5] a subscription ends when its request's own signal aborts", async () => {
    const { handler, peer } = world();
    for (const early of [true, false]) {
      const controller = new AbortController();
      const { signal } = controller;
      if (early) controller.abort();
      const { fetch } = peer;
      // An aborted signal would stop the test's own request before it is sent.
      const aborted = new ModernPeer((request) => {
        Object.defineProperty(request, "signal", { value: signal });
        return fetch(request);
      });
      const frames = await aborted.listen({ toolsListChanged: true });
      assert.equal((await frames.message())?.method, "notifications/subscriptions/acknowledged");
      controller.abort();
      assert.equal(await frames.message(), undefined);
      assert.deepEqual(handler.stats(), NOTHING);
    }
    await handler.close();
  });

  test("[CAN-6] [CAN-3] a handler that doesn't listen goes on, but has no place and no say", async () => {
    const { handler, peer, events, release } = world({ limits: { requests: 1 } });
    const frames = peer.frames(await peer.call("deaf", {}, TOKEN));
    await frames.message();
    await frames.cancel();
    assert.deepEqual(handler.stats(), NOTHING);
    assert.equal(textOf(await peer.say("quick", { n: 1 })), "1");
    release();
    await flush();
    assert.deepEqual(events.of("message-dropped").map(({ method, reason }) => [method, reason]), [
      ["notifications/progress", "finished"],
      ["notifications/message", "finished"],
    ]);
    assert.equal(events.of("request-finished").length, 2);
    await handler.close();
  });

  test("[CAN-6] a call that is over can't be stopped by its client's leaving", async () => {
    const { handler, json, peer, stops, clock, events } = world();
    const controller = new AbortController();
    const { signal } = controller;
    await json.result(await json.call("quick", { n: 1 }, {}, { signal }));
    controller.abort();
    const frames = peer.with({ accept: "text/event-stream" });
    const response = await frames.call("quick", { n: 2 });
    await response.body?.cancel();
    await clock.advance(SECOND_MS);
    assert.deepEqual(stops, []);
    assert.deepEqual(events.of("request-finished").map(({ outcome }) => outcome), [
      "result",
      "result",
    ]);
    await handler.close();
  });

  test("[CAN-6] [STR-6] the older era's client may come back: its call goes on", async () => {
    const { handler, stops, clock, release } = world();
    const old = await initialize(handler);
    const frames = old.frames(
      await old.request(1, "tools/call", { name: "talk", arguments: {}, ...TOKEN }),
    );
    await frames.message();
    await frames.cancel();
    await clock.advance(SECOND_MS);
    assert.deepEqual(stops, []);
    assert.equal(handler.stats().requests, 1);
    release();
    await flush();
    assert.equal(handler.stats().requests, 0);
    await handler.close();
  });

  test("[CAN-6] one client's leaving stops none of the others, even under the same id", async () => {
    const { handler, peer, stops, release } = world();
    const message = peer.message("tools/call", { name: "talk", ...TOKEN }, 1);
    const [leaving, staying] = await Promise.all([peer.post(message), peer.post(message)]);
    await peer.frames(leaving).cancel();
    disconnected(stops);
    assert.equal(handler.stats().requests, 1);
    release();
    assert.equal(textOf(await peer.result(staying)), "Let go");
    await handler.close();
  });

  test("[CAN-6] [STR-10] a client that doesn't read its stream has as good as left", async () => {
    const server = new McpServer({ name: "flood", version: "1.0.0" });
    const stopped = new Gate<unknown>();
    server.registerTool("flood", {}, async (_args, ctx) => {
      ctx.signal.addEventListener("abort", () => stopped.open(ctx.signal.reason));
      for (let n = 1; n <= 1_000 && !ctx.signal.aborted; n++) {
        ctx.progress(n, 1_000, "x".repeat(1_000));
        await Promise.resolve();
      }
      return "All sent";
    });
    const handler = createMcpHandler(server, { limits: { eventBytes: 50_000 } });
    const peer = new ModernPeer(handler);
    const response = await peer.call("flood", {}, TOKEN);
    assert.ok(await soon(stopped.promise, "the signal") instanceof StopError);
    assert.deepEqual(handler.stats(), NOTHING);
    const text = await response.text();
    assert.ok(text.length > 10_000 && text.length <= 50_000, `${text.length}`);
    await handler.close();
  });

  test("[CAN-6] [AUTH-3] a call's stream ends with its principal's time, and so does the call", async () => {
    const clock = new FakeClock();
    const principal: Principal = { id: "alice", expiresAt: clock.now() + 60_000 };
    const { handler, peer, stops } = world({ clock, authenticate: () => principal });
    const frames = peer.frames(await peer.call("talk", {}, TOKEN));
    assert.equal((await frames.message())?.method, "notifications/progress");
    await clock.advance(59_999);
    assert.deepEqual(stops, []);
    await clock.advance(1);
    assert.equal(stops.length, 1);
    assert.deepEqual(handler.stats(), NOTHING);
    assert.equal((await frames.messages()).every(({ method }) => method !== undefined), true);
    await handler.close();
  });

  test("[CAN-6] [AUTH-3] a stream that is over no longer waits for its principal's time", async () => {
    const clock = new FakeClock();
    const principal: Principal = { id: "alice", expiresAt: clock.now() + 3_600_000 };
    const { handler, peer } = world({ clock, authenticate: () => principal });
    for (let i = 0; i < 3; i++) {
      const frames = peer.frames(await peer.call("talk", {}, TOKEN));
      assert.equal((await frames.message())?.method, "notifications/progress");
      await frames.cancel();
    }
    assert.deepEqual(handler.stats(), NOTHING);
    await clock.advance(60_000);
    assert.equal(clock.pending, 0);
    await handler.close();
  });

  test("[CAN-4] requests.timeoutMs ends a call with an error, JSON or stream", async () => {
    const { handler, peer, json, clock } = world({ requests: { timeoutMs: 300 } });
    const silent = json.call("wait");
    const stream = await peer.call("talk", {}, TOKEN);
    await clock.advance(300);
    for (const response of [await silent, stream]) {
      const { code, message } = await peer.error(response);
      assert.deepEqual([code, message], [-32603, "Request timed out"]);
    }
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[END-1] [CAN-7] close() stops what still runs: 503 for JSON, an error for a stream", async () => {
    const { handler, peer, json, stops, clock } = world();
    const silent = json.call("wait");
    const stream = await peer.call("talk", {}, TOKEN);
    const closed = handler.close({ graceMs: 100 });
    await clock.advance(100);
    assert.equal((await silent).status, 503);
    assert.equal((await peer.error(stream)).code, -32603);
    await closed;
    assert.deepEqual(stops.map((reason) => (reason as StopError).kind), ["shutdown", "shutdown"]);
  });
});

/** A real server of the runtime that the tests run on, and what is sent to it. */
async function served(
  body: (
    started: ReturnType<typeof makeServer> & {
      readonly stats: () => Readonly<Record<string, number>>;
      send(method: string, params: JsonObject, accept?: string): Promise<RawConnection>;
    },
  ) => Promise<void>,
  options: McpHandlerOptions = {},
): Promise<void> {
  const made = makeServer();
  const running = await serve(made.server, { port: 0, ...options });
  const connections: RawConnection[] = [];
  try {
    await body({
      ...made,
      stats: () => ({ ...running.handler.stats() }),
      async send(method, params, accept = BOTH) {
        const connection = await RawConnection.open(running.port);
        connections.push(connection);
        const headers = { ...headersFor(method, params), accept };
        // Deno notices nobody's leaving before the answer begins when the request is longer than
        // half a kilobyte, so this says no more than it must.
        const _meta = {
          [MetaKey.ProtocolVersion]: MODERN,
          [MetaKey.ClientCapabilities]: {},
          ...TOKEN._meta,
        };
        const message = { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } };
        await connection.write(requestText("POST", headers, JSON.stringify(message)));
        return connection;
      },
    });
  } finally {
    for (const connection of connections) connection.destroy();
    await running.close({ graceMs: 0 });
  }
}

/** Waits until something is so, and says how long that took, in milliseconds. */
async function eventually(so: () => boolean, what: string): Promise<number> {
  const begin = performance.now();
  while (!so()) {
    if (performance.now() - begin > 5_000) assert.fail(`Waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - begin;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
/** Timers and sockets may be late on a machine that has other things to do. */
const SLACK_MS = 400;

describe("CAN: the client of a call goes away, over real sockets", () => {
  const cases = [
    ["wait", "application/json", 0],
    ["wait", "application/json", 800],
    ["wait", BOTH, 0],
    ["wait", BOTH, 800],
    ["talk", BOTH, 0],
    ["talk", BOTH, 300],
    ["wait", "text/event-stream", 100],
  ] as const;
  for (const [tool, accept, after] of cases) {
    test(`[CAN-6] ${tool}, taking ${accept}, left ${after} ms after it began: stopped within a second`, () =>
      served(async ({ stats, send, started, stops }) => {
        const connection = await send("tools/call", { name: tool }, accept);
        await eventually(() => started.length === 1, "the call");
        await pause(after);
        assert.deepEqual([stops.length, stats().requests], [0, 1]);
        connection.destroy();
        const took = await eventually(() => stops.length === 1, "the signal");
        assert.ok(took <= SECOND_MS + SLACK_MS, `It took ${took} ms`);
        disconnected(stops);
        await eventually(() => stats().streams === 0, "the stream's place");
        assert.deepEqual(stats(), NOTHING);
      }));
  }

  test("[CAN-6] a call of a whole envelope, as long as real clients send it", () =>
    served(async ({ stats, send, started, stops }) => {
      const params = { name: "wait", arguments: { filler: "x".repeat(5_000) } };
      const connection = await send("tools/call", params);
      await eventually(() => started.length === 1, "the call");
      connection.destroy();
      const took = await eventually(() => stops.length === 1, "the signal");
      assert.ok(took <= SECOND_MS + SLACK_MS, `It took ${took} ms`);
      await eventually(() => stats().streams === 0, "the stream's place");
      assert.deepEqual(stats(), NOTHING);
    }));

  test("[CAN-6] [STR-11] clients that come and go leave every place free", () =>
    served(async ({ stats, send, started, stops }) => {
      for (let round = 1; round <= 3; round++) {
        const connections = await Promise.all(
          Array.from(
            { length: 4 },
            (_, n) => send("tools/call", { name: n % 2 === 0 ? "wait" : "talk" }),
          ),
        );
        await eventually(() => started.length === 4 * round, "the calls");
        for (const connection of connections) connection.destroy();
        await eventually(() => stops.length === 4 * round, "the signals");
      }
      await eventually(() => stats().streams === 0, "the streams' places");
      assert.deepEqual(stats(), NOTHING);
    }, { limits: { requests: 4, streams: 4 } }));

  test("[CAN-6] one that stays gets its answer", () =>
    served(async ({ send, started, release }) => {
      const [silent, stream] = [
        await send("tools/call", { name: "wait" }, "application/json"),
        await send("tools/call", { name: "talk" }),
      ];
      await eventually(() => started.length === 2, "the calls");
      await pause(800);
      release();
      for (const connection of [silent, stream]) await connection.until("Let go");
    }));

  for (const after of [0, 50]) {
    test(`[ERA-5] a listener that leaves ${after} ms after it began gives its place back`, () =>
      served(async ({ stats, send }) => {
        const params = { notifications: { toolsListChanged: true } };
        const connection = await send("subscriptions/listen", params);
        await connection.until("acknowledged");
        await pause(after);
        assert.equal(stats().listens, 1);
        connection.destroy();
        const took = await eventually(() => stats().listens === 0, "the place");
        assert.ok(took <= SECOND_MS + SLACK_MS, `It took ${took} ms`);
      }));
  }

  test("[ERA-5] listeners that leave before they are answered give their places back", () =>
    served(async ({ stats, send }) => {
      const params = { notifications: { toolsListChanged: true } };
      for (let i = 0; i < 4; i++) {
        const connection = await send("subscriptions/listen", params);
        await pause(50);
        connection.destroy();
      }
      // By now all of them have been let in.
      await pause(300);
      await eventually(() => stats().listens === 0, "the places");
      const connection = await send("subscriptions/listen", params);
      await connection.until("acknowledged");
    }, {
      limits: { listens: 4 },
      authenticate: async () => {
        await pause(200);
        return { id: "alice" };
      },
    }));

  test("[ERA-5] a listener hears of a change, and of the end", async () => {
    const { server } = makeServer();
    const running = await serve(server, { port: 0 });
    const peer = new ModernPeer((request) => fetch(running.url, request));
    const frames = await peer.listen({ toolsListChanged: true }, "l");
    assert.equal((await frames.message())?.method, "notifications/subscriptions/acknowledged");
    server.registerTool("new", {}, () => "");
    assert.equal((await frames.message())?.method, "notifications/tools/list_changed");
    const closed = running.close({ graceMs: 1_000 });
    assert.equal((await frames.message())?.id, "l");
    assert.equal(await frames.message(), undefined);
    await closed;
  });
});
