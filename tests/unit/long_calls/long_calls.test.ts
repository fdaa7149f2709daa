import assert from "node:assert/strict";
import { test } from "node:test";
import { LongCalls } from "../../../src/long_calls/long_calls.ts";
import type { Dispatcher } from "../../../src/protocol/exchange.ts";
import type { Route } from "../../../src/protocol/route.ts";
import { FakeClock } from "../../support/clock.ts";

const SETTINGS = {
  afterMs: 1_000,
  ttlMs: 60_000,
  caps: { tasks: 10, tasksPerPrincipal: 10 },
  resultBytes: 1_000,
};

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
  const done = [
    "listChangedIn a",
    "sessionEnded a ended",
    "listening",
    "notified",
    "attach",
    "detach",
  ];
  assert.deepEqual(calls, [...done, "refuse", "allow"]);
  const message = { method: "prompts/get", params: { name: "a" } };
  assert.equal(outer.route(message, { id: "ada" }).method, "prompts/get");
});
