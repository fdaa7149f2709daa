import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { gateway } from "../../src/gateway/mod.ts";
import type { Notification } from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { connect } from "../../src/testing/mod.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { type Frames, initialize, logMessage, soon } from "../support/wire.ts";
import {
  ask,
  callOf,
  count,
  FakeUpstream,
  GatewayExchange,
  GatewayHost,
  sessionOf,
  text,
  textOf,
  tools,
} from "./core_support.ts";

const LISTS = [
  "notifications/tools/list_changed",
  "notifications/prompts/list_changed",
  "notifications/resources/list_changed",
];

function over(...names: string[]) {
  const clock = new FakeClock();
  const upstream = (identity?: string) => new FakeUpstream({ identity, answers: tools({ count }) });
  const ups = Object.fromEntries(names.map((name) => [name, upstream(name)]));
  const gw = gateway({ upstreams: ups, clock, limits: { upstreams: 3 } });
  const host = new GatewayHost();
  gw.attach?.(host);
  const say = async (name: string, session = sessionOf("a")) =>
    textOf(await ask(gw, callOf(name, session)));
  const list = async (session = sessionOf("a")) => {
    const { tools } = await ask(gw, new GatewayExchange("tools/list", {}, { session }));
    assert.ok(Array.isArray(tools));
    return tools.map(({ name }) => name);
  };
  return { gw, host, clock, upstream, say, list, up: (name: string) => ups[name] ?? assert.fail() };
}

describe("changes while running", () => {
  test("[GTW-11] an upstream that is added is there for every session, and clients are told", async () => {
    const { gw, host, upstream, say, list, up } = over("a");
    assert.deepEqual(await list(), ["a__count"]);
    assert.equal(await say("a__count"), "1");
    await gw.set("b", upstream());
    assert.deepEqual(host.broadcasts, LISTS);
    assert.deepEqual(gw.names(), ["a", "b"]);
    assert.deepEqual(await list(), ["a__count", "b__count"]);
    assert.equal(await say("b__count"), "1");
    assert.equal(await say("a__count"), "2");
    assert.equal(up("a").sessions.length, 1);
  });

  test("[GTW-11] one that is removed is gone, with its sessions, and nobody else notices", async () => {
    const { gw, host, say, list, up } = over("a", "b");
    for (const name of ["a__count", "b__count"]) {
      await say(name);
      await say(name, sessionOf("other"));
    }
    assert.equal(await gw.remove("a"), true);
    assert.deepEqual(host.broadcasts, LISTS);
    assert.equal(up("a").live, 0);
    assert.deepEqual(await list(), ["b__count"]);
    await assert.rejects(say("a__count"), /Unknown tool: "a__count"/);
    assert.equal(await say("b__count"), "2");
    assert.equal(await say("b__count", sessionOf("other")), "2");
    assert.equal(await gw.remove("a"), false);
    assert.equal(host.broadcasts.length, 3);
    assert.deepEqual(
      host.reported.flatMap((event) => event.type === "upstream-closed" ? [event.reason] : []),
      ["removed", "removed"],
    );
  });

  test("[GTW-3, GTW-11] one that changed in what sessions depend on ends them; otherwise they stay", async () => {
    const { gw, host, upstream, say, list, up } = over("a", "b");
    await say("a__count");
    await say("b__count");
    await gw.set("a", upstream("a"));
    assert.equal(up("a").live, 1);
    assert.deepEqual(host.broadcasts, []);
    assert.equal(await say("a__count"), "2");
    const changed = upstream("other");
    await gw.set("a", changed);
    assert.equal(up("a").live, 0);
    assert.deepEqual(host.broadcasts, LISTS);
    assert.deepEqual(await list(), ["a__count", "b__count"]);
    assert.equal(await say("a__count"), "1");
    assert.equal(changed.sessions.length, 1);
    assert.equal(await say("b__count"), "2");
    assert.equal(up("b").sessions.length, 1);
  });

  test("[GTW-11] a call that runs with one that is removed fails at once, and honestly", async () => {
    const { gw, upstream, say } = over("a");
    await gw.set(
      "slow",
      new FakeUpstream({ answers: tools({ wait: () => new Promise(() => {}) }) }),
    );
    const calls = Promise.allSettled([say("slow__wait"), say("slow__wait", sessionOf("b"))]);
    await flush();
    await gw.set("slow", upstream("new"));
    const messages = (await calls).map((each) => each.status === "rejected" && each.reason.message);
    assert.deepEqual(messages, Array(2).fill(messages[0]));
    assert.match(String(messages[0]), /"slow" can't be used now \(closed\)/);
    assert.equal(await say("a__count"), "1");
  });

  test("[GTW-11] names and numbers are checked, and what is refused changes nothing", async () => {
    const { gw, host, upstream } = over("a", "b", "c");
    await assert.rejects(gw.set("d", upstream()), RangeError);
    await assert.rejects(gw.set("a__b", upstream()), TypeError);
    // What JavaScript lets through
    await assert.rejects(gw.set("a", {} as FakeUpstream), TypeError);
    assert.deepEqual(gw.names(), ["a", "b", "c"]);
    assert.deepEqual(host.broadcasts, []);
    await gw.remove("b");
    await gw.set("d", upstream());
    assert.deepEqual(gw.names(), ["a", "c", "d"]);
  });

  test("[GTW-11] an endpoint of one upstream alone only hears of that one", async () => {
    const { gw, upstream } = over("a", "b");
    const host = new GatewayHost();
    const alone = gw.only("a");
    alone.attach?.(host);
    await gw.remove("b");
    assert.deepEqual(host.broadcasts, []);
    await gw.remove("a");
    assert.deepEqual(host.broadcasts, LISTS);
    assert.throws(() => gw.only("a"), TypeError);
    await gw.set("a", upstream());
    assert.equal(gw.only("a"), alone);
  });

  test("[GTW-11] connected clients are told, and see what there is then", async () => {
    const { gw, upstream } = over("a");
    const capabilities = { tools: {}, prompts: {}, resources: {} };
    await gw.set("a", new FakeUpstream({ capabilities, answers: tools({ count }) }));
    const handler = createMcpHandler(gw);
    const told = new Set<string>();
    const { promise, resolve } = Promise.withResolvers<void>();
    const client = await connect(handler, {
      onNotification: ({ method }: Notification) => {
        told.add(method);
        if (told.size === LISTS.length) resolve();
      },
    });
    assert.equal((await client.listTools()).length, 1);
    await gw.set("b", upstream());
    await soon(promise, "three notifications");
    assert.deepEqual((await client.listTools()).map(({ name }) => name), ["a__count", "b__count"]);
    await client.close();
    await handler.close();
    await gw.close();
  });

  test("[GTW-8] a client hears only of changes that were advertised to it", async () => {
    const { gw, clock, upstream } = over("a");
    const handler = createMcpHandler(gw, { clock });
    const methods = async (frames: Frames, many: number) => {
      const heard: unknown[] = [];
      while (heard.length < many) heard.push((await frames.message())?.method);
      return heard;
    };
    const early = await initialize(handler);
    const earlyStream = await early.listen();
    const prompts = new FakeUpstream({ capabilities: { prompts: {} } });
    await gw.set("b", prompts);
    const late = await initialize(handler);
    const lateStream = await late.listen();
    // What an upstream says of a list that it didn't advertise itself doesn't count either
    await early.result(await early.call(1, "a__count"));
    await late.result(await late.request(1, "prompts/list"));
    for (const session of prompts.sessions) {
      for (const method of LISTS) session.opened.downstream.notified({ method });
    }
    await clock.advance(250);
    await gw.set("c", upstream());
    await handler.notify(String(early.sessionId), logMessage("last"));
    await handler.notify(String(late.sessionId), logMessage("last"));
    const [changedTools, changedPrompts] = LISTS;
    const last = "notifications/message";
    assert.deepEqual(await methods(earlyStream, 3), [changedTools, changedTools, last]);
    assert.deepEqual(await methods(lateStream, 5), [
      changedTools,
      changedPrompts,
      changedTools,
      changedPrompts,
      last,
    ]);
    await handler.close();
    await gw.close();
  });

  test("[GTW-8] [STR-7] lost events are hinted at by what was advertised", async () => {
    const { gw } = over("a");
    const handler = createMcpHandler(gw);
    const peer = await initialize(handler);
    const stream = await peer.listen("lost.1");
    await handler.notify(String(peer.sessionId), logMessage("last"));
    assert.equal((await stream.message())?.method, LISTS[0]);
    assert.equal((await stream.message())?.method, "notifications/message");
    await handler.close();
    await gw.close();
  });

  test("[GTW-8] [ERA-5] a subscription is acknowledged, and sent, only what is advertised", async () => {
    const { gw, upstream } = over("a");
    const handler = createMcpHandler(gw);
    const peer = new ModernPeer(handler);
    const all = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };
    const acknowledged = async (frames: Frames) => {
      const message = await frames.message();
      assert.equal(message?.method, "notifications/subscriptions/acknowledged");
      return (message?.params as JsonObject).notifications;
    };
    const keys = { tools: "toolsListChanged", prompts: "promptsListChanged" };
    const advertised = async () => {
      const { capabilities } = await peer.ask("server/discover");
      return Object.fromEntries(
        Object.entries(keys).filter(([key]) => key in (capabilities as JsonObject)).map((
          [, key],
        ) => [key, true]),
      );
    };
    assert.deepEqual(await advertised(), { toolsListChanged: true });
    const frames = await peer.listen(all);
    assert.deepEqual(await acknowledged(frames), { toolsListChanged: true });
    await gw.set("b", new FakeUpstream({ capabilities: { prompts: {} } }));
    // Before anybody has seen the new one, anything may come of it
    const before = await peer.listen(all);
    assert.deepEqual(await acknowledged(before), all);
    const both = await advertised();
    assert.deepEqual(both, { toolsListChanged: true, promptsListChanged: true });
    const later = await peer.listen(all);
    assert.deepEqual(await acknowledged(later), both);
    await gw.set("a", upstream());
    const closed = handler.close({ graceMs: 0 });
    const heard = async (frames: Frames) => (await frames.messages()).map(({ method }) => method);
    assert.deepEqual(await heard(frames), [LISTS[0], LISTS[0], undefined]);
    assert.deepEqual(await heard(later), [LISTS[0], LISTS[1], undefined]);
    await closed;
    await gw.remove("b");
    await gw.close();
  });

  test("[GTW-11] what upstreams of a moment ago listed isn't shown to 2026 clients either", async () => {
    const { gw, list, upstream } = over("a");
    const modern = async () => {
      const init = { protocolVersion: "2026-07-28" } as const;
      const { tools } = await ask(gw, new GatewayExchange("tools/list", {}, init));
      return tools;
    };
    await modern();
    await list();
    const other = new FakeUpstream({ answers: tools({ other: () => text("") }) });
    await gw.set("a", other);
    assert.deepEqual(await modern(), [{ name: "a__other", inputSchema: { type: "object" } }]);
    await gw.set("a", upstream());
  });

  test("[GTW-8] a list that is asked for after a change doesn't come from before it", async () => {
    let tool = "old";
    const gates: (() => void)[] = [];
    const up = new FakeUpstream({
      capabilities: { tools: { listChanged: true } },
      answers: {
        "tools/list": async () => {
          const tools = [{ name: tool, inputSchema: {} }];
          await new Promise<void>((resolve) => gates.push(resolve));
          return { tools };
        },
      },
    });
    const gw = gateway({ upstreams: { up }, clock: new FakeClock() });
    const session = sessionOf("s");
    const list = () => ask(gw, new GatewayExchange("tools/list", {}, { session }));
    const first = list();
    await flush();
    tool = "new";
    up.sessions.at(-1)?.opened.downstream.notified({ method: "notifications/tools/list_changed" });
    const second = list();
    await flush();
    assert.equal(gates.length, 2);
    for (const open of gates) open();
    assert.match(JSON.stringify(await first), /"up__old"/);
    assert.match(JSON.stringify(await second), /"up__new"/);
    assert.match(JSON.stringify(await list()), /"up__new"/);
    await gw.close();
  });
});
