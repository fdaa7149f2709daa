import assert from "node:assert/strict";
import { test } from "node:test";
import { LongCalls } from "../../../src/long_calls/long_calls.ts";
import type { Dispatcher, Exchange } from "../../../src/protocol/exchange.ts";
import type { Route } from "../../../src/protocol/route.ts";
import { FakeClock } from "../../support/clock.ts";
import { isPending } from "../../support/wire.ts";

const SETTINGS = {
  afterMs: 1_000,
  ttlMs: 60_000,
  caps: { tasks: 10, tasksPerPrincipal: 10 },
  resultBytes: 1_000,
};

test("[LONG-24] a wait that runs again after the loss of its node answers at once", async () => {
  const clock = new FakeClock();
  const inner: Dispatcher = { route: (message): Route => ({ ...message, run: () => ({}) }) };
  const outer = new LongCalls(inner, SETTINGS, clock);
  const principal = { id: "ada" };
  const protocolVersion = "2025-11-25" as const;
  const call = { method: "tools/call", params: { name: "work" }, principal, protocolVersion };
  const long = { ...call, client: { capabilities: {} }, progress: undefined, over: false };
  const begun = await outer.begin({ ...long, stop: () => true }, inner.route(call, principal));
  const [handle] = /call_[\w-]+/.exec(JSON.stringify(begun?.answer)) ?? [];
  const params = { name: "wait_for_result", arguments: { handle } };
  const wait = outer.route({ method: "tools/call", params }, principal);
  assert.equal(wait.retry, true);
  const { signal } = new AbortController();
  const exchange = { ...call, params, signal, client: { capabilities: {} } };
  const run = (begunAgain: boolean) =>
    Promise.resolve(wait.run({ ...exchange, begunAgain } as unknown as Exchange)); // What it reads
  const waits = run(false);
  assert.match(JSON.stringify(await run(true)), /still running/);
  await clock.advance(SETTINGS.afterMs - 1);
  assert.equal(await isPending(waits), true);
  begun?.ended({ kind: "result", result: { content: [] } });
  assert.deepEqual(await waits, { content: [] });
  outer.attach({ clock, broadcast() {}, resourceUpdated() {}, report() {} })();
});

test("[LONG-18] whatever a dispatcher is and does, it is and does with long calls", () => {
  const calls: string[] = [];
  const inner: Required<Dispatcher> = {
    pinned: true,
    restores: true,
    serverInfo: { name: "inner", version: "1.0.0" },
    listChanged: ["notifications/tools/list_changed"],
    resourceUpdates: true,
    upstreamControl: {
      list: () => [],
      limits: () => [],
      nameOf: () => undefined,
      restart: () => Promise.resolve(undefined),
    },
    listChangedIn(id) {
      calls.push(`listChangedIn ${id}`);
      return [];
    },
    route: (message): Route => ({ ...message, run: () => ({}) }),
    listening: () => void calls.push("listening"),
    notified: () => void calls.push("notified"),
    attach() {
      calls.push("attach");
      return () => calls.push("detach");
    },
    refuseLongCalls() {
      calls.push("refuse");
      return () => calls.push("allow");
    },
    refuseAnswersOnce() {
      calls.push("refuse answers");
      return () => calls.push("allow answers");
    },
    sessionEnded: (id, reason) => void calls.push(`sessionEnded ${id} ${reason}`),
  };
  const outer = new LongCalls(inner, SETTINGS, new FakeClock());
  for (const [name, value] of Object.entries(inner)) {
    if (typeof value === "function") continue;
    assert.equal(outer[name as keyof Dispatcher], value, name);
  }
  outer.listChangedIn("a");
  outer.sessionEnded("a", "ended");
  outer.listening({} as never);
  outer.notified({} as never);
  const host = { clock: new FakeClock(), broadcast() {}, resourceUpdated() {}, report() {} };
  outer.attach(host)();
  outer.refuseLongCalls()();
  outer.refuseAnswersOnce()();
  const done = [
    "listChangedIn a",
    "sessionEnded a ended",
    "listening",
    "notified",
    "attach",
    "detach",
  ];
  assert.deepEqual(calls, [...done, "refuse", "allow", "refuse answers", "allow answers"]);
  const message = { method: "prompts/get", params: { name: "a" } };
  assert.equal(outer.route(message, { id: "ada" }).method, "prompts/get");
});
