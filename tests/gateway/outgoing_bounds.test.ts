/**
 * What a gateway sends to an upstream without being asked is bounded: notifications, cancellations,
 * reconnections.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway } from "../../src/gateway/mod.ts";
import { http } from "../../src/gateway/upstreams/http.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { Gate } from "../support/wire.ts";
import {
  ask,
  FakeUpstream,
  type FakeUpstreamSession,
  GatewayExchange,
  sessionOf,
} from "./core_support.ts";
import { Recorder, Session } from "./session.ts";

const ROOTS = "notifications/roots/list_changed";

describe("change notifications of a client", () => {
  function world() {
    const capabilities = { roots: { listChanged: true } };
    const clock = new FakeClock();
    const upstream = new FakeUpstream({ answers: { ping: () => ({}) } });
    const gw = gateway({ upstreams: { up: upstream }, clock });
    const session = sessionOf("one");
    const init = { session, capabilities, protocolVersion: "2025-11-25" } as const;
    const changed = () =>
      gw.notified?.({
        ...new GatewayExchange(""),
        method: ROOTS,
        params: {},
        client: { capabilities },
        session,
        report() {},
      });
    const open = async () => {
      await ask(gw, new GatewayExchange("initialize", {}, init));
      return upstream.session(0);
    };
    return { gw, clock, changed, open };
  }

  /** Lets a session's notifications wait, and counts those that do. */
  function hold(session: FakeUpstreamSession) {
    const gates: Gate[] = [];
    let running = 0;
    let most = 0;
    session.notify = async (notification) => {
      session.told.push(notification);
      most = Math.max(most, ++running);
      const gate = new Gate();
      gates.push(gate);
      await gate.promise;
      running--;
    };
    return { next: () => gates.shift()?.open(), most: () => most };
  }

  test("[GTW-8] 300 in a row become two: one that runs, and one for all that came meanwhile", async () => {
    const { gw, changed, open } = world();
    const session = await open();
    const { next, most } = hold(session);
    const all = Array.from({ length: 300 }, () => changed());
    await flush();
    assert.equal(session.told.length, 1);
    next();
    await flush();
    assert.deepEqual(session.told, [{ method: ROOTS }, { method: ROOTS }]);
    next();
    await Promise.all(all);
    assert.equal(session.told.length, 2);
    assert.equal(most(), 1);
    // Later ones are sent as before.
    const later = changed();
    await flush();
    assert.equal(session.told.length, 3);
    next();
    await later;
    await gw.close();
  });

  test("[GTW-8] one that fails, or never ends, doesn't hold back later ones", async () => {
    const { gw, clock, changed, open } = world();
    const session = await open();
    session.notify = () => Promise.reject(new Error("Broken"));
    await changed();
    const { next } = hold(session);
    const stuck = changed();
    await flush();
    const repeated = changed();
    await clock.advance(10_000);
    assert.equal(session.told.length, 2);
    next();
    next();
    await Promise.all([stuck, repeated]);
    await gw.close();
    assert.equal(clock.pending, 0);
  });
});

describe("messages that need no answer", () => {
  /** An upstream whose answers to notifications wait. */
  async function world() {
    const clock = new FakeClock();
    const recorder = new Recorder();
    const gates: Gate[] = [];
    const got: JsonObject[] = [];
    let running = 0;
    const upstream = http({
      url: "https://upstream.example/mcp",
      versions: ["2025-11-25"],
      fetch: async (_url, { method, body, signal }) => {
        if (method !== "POST") return new Response(null, { status: 405 });
        const message = JSON.parse(String(body));
        if (message.method === "initialize") {
          const result = {
            protocolVersion: "2025-11-25",
            serverInfo: { name: "up", version: "1" },
            capabilities: { tools: {} },
          };
          return Response.json({ jsonrpc: "2.0", id: message.id, result });
        }
        if (message.method === "notifications/initialized") {
          return new Response(null, { status: 202 });
        }
        if (message.id !== undefined) {
          return await new Promise((_, reject) => {
            signal?.addEventListener("abort", () => reject(signal.reason));
          });
        }
        got.push(message);
        running++;
        const gate = new Gate();
        gates.push(gate);
        signal?.addEventListener("abort", () => gate.open());
        await gate.promise;
        running--;
        signal?.throwIfAborted();
        return new Response(null, { status: 202 });
      },
    });
    const session = new Session(await upstream.open(recorder.init({ clock })), recorder);
    const dropped = () => recorder.events.filter(({ type }) => type === "upstream-message-dropped");
    return { clock, session, recorder, gates, got, dropped, running: () => running };
  }

  test("[GTW-8] eight run at a time, the others in their order, and each arrives", async () => {
    const { session, gates, got, running, dropped } = await world();
    const all = Array.from(
      { length: 100 },
      (_, n) => session.session.notify({ method: ROOTS, params: { n } }),
    );
    for (let n = 0; n < 100; n++) {
      await flush();
      assert.ok(running() <= 8 && running() > 0, `${running()}`);
      gates.shift()?.open();
    }
    await Promise.all(all);
    assert.deepEqual(
      got.map(({ params }) => params),
      Array.from({ length: 100 }, (_, n) => ({ n })),
    );
    assert.deepEqual(dropped(), []);
    await session.session.close();
  });

  test("[GTW-8] a thousand cancellations for an upstream that hangs are bounded, and an event tells", async () => {
    const { clock, session, got, dropped, running } = await world();
    const stop = new AbortController();
    const calls: Promise<unknown>[] = [];
    for (let n = 0; n < 500; n++) {
      const call = session.call("wait", {}, undefined, { signal: stop.signal });
      calls.push(call.catch(() => {}));
    }
    await flush();
    stop.abort(new Error("Enough"));
    await Promise.all(calls);
    await flush();
    assert.equal(running(), 8);
    assert.equal(dropped().length, 500 - 8 - 256);
    assert.deepEqual(dropped()[0], {
      type: "upstream-message-dropped",
      upstream: "test",
      method: "notifications/cancelled",
    });
    // Each is given up in its time, and the next ones are sent.
    await clock.advance(10_000);
    assert.equal(got.length, 16);
    await session.session.close();
    await flush();
    assert.equal(running(), 0);
    assert.equal(clock.pending, 0);
  });
});

describe("reconnections", () => {
  /** An upstream whose own stream ends at once, each time as `answer` says. */
  async function world(answer: (n: number) => string) {
    const clock = new FakeClock();
    let gets = 0;
    const upstream = http({
      url: "https://upstream.example/mcp",
      versions: ["2025-11-25"],
      fetch: async (_url, { method, body }) => {
        if (method === "DELETE") return new Response(null, { status: 200 });
        if (method === "GET") {
          // So that the test ends, too, where nothing limits them.
          if (gets > 200) return new Response(null, { status: 405 });
          return new Response(answer(gets++), { headers: { "content-type": "text/event-stream" } });
        }
        const { id } = JSON.parse(String(body));
        const result = {
          protocolVersion: "2025-11-25",
          serverInfo: { name: "up", version: "1" },
          capabilities: { tools: { listChanged: true } },
        };
        if (id === undefined) return new Response(null, { status: 202 });
        return Response.json({ jsonrpc: "2.0", id, result });
      },
    });
    const session = await Session.open(upstream, { clock });
    return { clock, session, gets: () => gets };
  }

  test("[GTW-8] an upstream that says retry: 0 is asked again after a second, then ever less often", async () => {
    const { clock, session, gets } = await world(() => "retry: 0\n\n");
    assert.equal(gets(), 1);
    const times: number[] = [];
    for (let before = gets(), since = clock.now(); times.length < 8;) {
      await clock.advance(250);
      if (gets() === before) continue;
      assert.equal(gets(), ++before);
      times.push(clock.now() - since);
      since = clock.now();
    }
    for (const [n, ms] of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000].entries()) {
      const took = times[n] ?? 0;
      // Up to a quarter longer, so that sessions that broke together don't come back together.
      assert.ok(took > ms - 250 && took <= ms * 1.25 + 250, `${times}`);
    }
    await session.session.close();
    assert.equal(clock.pending, 0);
  });

  test("[GTW-8] one that sends something each time is asked once a second", async () => {
    const message = JSON.stringify({ jsonrpc: "2.0", method: "notifications/message" });
    const { clock, session, gets } = await world((n) =>
      `retry: 0\nid: a.${n}\ndata: ${message}\n\n`
    );
    await clock.advance(60_000);
    assert.ok(gets() >= 48 && gets() <= 61, `${gets()}`);
    await session.session.close();
  });

  test("[GTW-8] a longer retry is kept, and half an hour is not", async () => {
    for (const [retry, most] of [[5_000, 5_000], [1_800_000, 30_000]] as const) {
      const { clock, session, gets } = await world(() => `retry: ${retry}\n\n`);
      await clock.advance(most - 1);
      assert.equal(gets(), 1);
      await clock.advance(most / 4 + 1);
      assert.equal(gets(), 2);
      await session.session.close();
    }
  });
});
