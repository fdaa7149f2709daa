import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { MetaKey } from "../../src/protocol/envelope.ts";
import type { Principal } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject, type RequestId } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { type ModernFrames, ModernPeer } from "../support/modern.ts";
import {
  as,
  Blocker,
  byToken,
  Events,
  initialize,
  isPending,
  refused,
  Stub,
} from "../support/wire.ts";

const INFO = { name: "listen", version: "1.0.0" };
const EVERYTHING = {
  toolsListChanged: true,
  promptsListChanged: true,
  resourcesListChanged: true,
  resourceSubscriptions: ["test://a", "test://b"],
};

/** A server that has one of everything, and can change it. */
function makeServer() {
  const server = new McpServer(INFO);
  const tool = server.registerTool("tool", {}, () => "");
  const prompt = server.registerPrompt("prompt", {}, () => "");
  const resource = server.registerResource("a", "test://a", {}, () => "");
  const toggle = ({ enabled, enable, disable }: typeof tool | typeof prompt | typeof resource) =>
    enabled ? disable() : enable();
  return {
    server,
    change: {
      tools: () => toggle(tool),
      prompts: () => toggle(prompt),
      resources: () => toggle(resource),
      updated: (uri: string) => server.resourceUpdated(uri),
    },
  };
}

function world(options: McpHandlerOptions = {}) {
  const events = new Events();
  const clock = new FakeClock();
  const { server, change } = makeServer();
  const handler = createMcpHandler(server, { clock, onEvent: events.onEvent, ...options });
  return { handler, peer: new ModernPeer(handler), events, clock, server, change };
}

/** The parameters of a message, and that it belongs to a subscription. */
function tagged(message: JsonObject | undefined, id: RequestId): JsonObject {
  assert.ok(message && isObject(message.params), JSON.stringify(message));
  const { _meta, ...params } = message.params;
  assert.deepEqual(_meta, { [MetaKey.SubscriptionId]: id });
  return params;
}

/** Reads the acknowledgement. */
async function acknowledged(frames: ModernFrames, id: RequestId): Promise<unknown> {
  const message = await frames.message();
  assert.equal(message?.method, "notifications/subscriptions/acknowledged");
  return tagged(message, id).notifications;
}

describe("ERA: subscriptions/listen opens", () => {
  test("[ERA-5] the acknowledgement comes first, and at once", async () => {
    const { handler, peer, change } = world();
    const response = await peer.post(
      peer.message("subscriptions/listen", { notifications: EVERYTHING }, 7),
    );
    change.tools();
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    assert.equal(response.headers.get("cache-control"), "no-cache, no-transform");
    assert.equal(response.headers.get("x-accel-buffering"), "no");
    const frames = peer.frames(response, "subscriptions/listen");
    assert.deepEqual(await acknowledged(frames, 7), EVERYTHING);
    assert.equal((await frames.message())?.method, "notifications/tools/list_changed");
    assert.equal(handler.stats().listens, 1);
    await frames.cancel();
    assert.equal(handler.stats().listens, 0);
    await handler.close();
  });

  for (const id of [1, "1", 0, "", "a b"]) {
    test(`[ERA-5] every message says that it is of the subscription ${JSON.stringify(id)}`, async () => {
      const { handler, peer, change, clock } = world();
      const frames = await peer.listen(EVERYTHING, id);
      await acknowledged(frames, id);
      change.tools();
      change.prompts();
      change.resources();
      change.updated("test://b");
      await clock.advance(250);
      const closed = handler.close();
      const messages = await frames.messages();
      const result = messages.pop();
      assert.deepEqual(messages.map(({ method }) => method), [
        "notifications/tools/list_changed",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
      ]);
      for (const message of messages) tagged(message, id);
      assert.equal(result?.id, id);
      await closed;
    });
  }

  const filters: readonly (readonly [string, JsonObject, JsonObject])[] = [
    ["nothing", {}, {}],
    ["one kind", { toolsListChanged: true }, { toolsListChanged: true }],
    ["what is false", { toolsListChanged: false, promptsListChanged: true }, {
      promptsListChanged: true,
    }],
    ["one resource", { resourceSubscriptions: ["test://b"] }, {
      resourceSubscriptions: ["test://b"],
    }],
    ["a resource twice", { resourceSubscriptions: ["test://b", "test://b"] }, {
      resourceSubscriptions: ["test://b"],
    }],
    ["no resources", { resourceSubscriptions: [] }, {}],
    ["kinds that nobody knows", { rootsListChanged: true, toolsListChanged: true }, {
      toolsListChanged: true,
    }],
  ];
  for (const [what, filter, shown] of filters) {
    test(`[ERA-5] a filter of ${what} is honoured, and nothing else is sent`, async () => {
      const { handler, peer, change, clock } = world();
      const frames = await peer.listen(filter, "f");
      assert.deepEqual(await acknowledged(frames, "f"), shown);
      change.tools();
      change.prompts();
      change.resources();
      change.updated("test://a");
      change.updated("test://b");
      await clock.advance(250);
      const closed = handler.close();
      const messages = await frames.messages();
      const wanted = [
        ...shown.toolsListChanged ? ["notifications/tools/list_changed"] : [],
        ...shown.promptsListChanged ? ["notifications/prompts/list_changed"] : [],
        ...shown.resourceSubscriptions ? ["notifications/resources/updated"] : [],
        undefined,
      ];
      assert.deepEqual(messages.map(({ method }) => method), wanted);
      await closed;
    });
  }

  test("[ERA-5] what the server doesn't offer isn't promised", async () => {
    const server = new McpServer(INFO, { resourceSubscriptions: false });
    server.registerTool("tool", {}, () => "");
    const handler = createMcpHandler(server);
    const frames = await new ModernPeer(handler).listen(EVERYTHING, 1);
    assert.deepEqual(await acknowledged(frames, 1), { toolsListChanged: true });
    await frames.cancel();
    const bare = createMcpHandler(new Stub());
    const silent = await new ModernPeer(bare).listen(EVERYTHING, 1);
    assert.deepEqual(await acknowledged(silent, 1), {});
    await silent.cancel();
    await handler.close();
    await bare.close();
  });

  const wrong: readonly (readonly [string, unknown])[] = [
    ["no filter", undefined],
    ["a filter that is null", null],
    ["a filter that is a list", ["toolsListChanged"]],
    ["a filter that is a text", "toolsListChanged"],
    ["a kind that is no boolean", { toolsListChanged: "yes" }],
    ["a kind that is null", { promptsListChanged: null }],
    ["resources that are no list", { resourceSubscriptions: "test://a" }],
    ["resources that are no texts", { resourceSubscriptions: ["test://a", 1] }],
    ["too many resources", {
      resourceSubscriptions: Array.from({ length: 101 }, (_, n) => `test://${n}`),
    }],
  ];
  for (const [what, notifications] of wrong) {
    test(`[ERA-5] ${what} → 400 / -32602, and no place is taken`, async () => {
      const { handler, peer } = world();
      const message = peer.message("subscriptions/listen", { notifications }, "w");
      await refused(await peer.post(message), 400, -32602, "w");
      assert.equal(handler.stats().listens, 0);
      await handler.close();
    });
  }

  test("[ERA-5] as many resources as are allowed are listened to, and told of", async () => {
    const { handler, peer, change, clock } = world();
    const uris = Array.from({ length: 100 }, (_, n) => `test://${n}`);
    const frames = await peer.listen({ resourceSubscriptions: uris }, 1);
    assert.deepEqual(await acknowledged(frames, 1), { resourceSubscriptions: uris });
    change.updated("test://99");
    await clock.advance(250);
    assert.deepEqual(tagged(await frames.message(), 1), { uri: "test://99" });
    await handler.close();
  });

  test("[ERA-5] a notification can't pass itself off as another subscription's", async () => {
    const method = "notifications/tools/list_changed";
    const stub = new Stub({}, {}, [method]);
    const handler = createMcpHandler(stub);
    const frames = await new ModernPeer(handler).listen({ toolsListChanged: true }, "own");
    await acknowledged(frames, "own");
    const _meta = { [MetaKey.SubscriptionId]: "forged", "example.com/kept": 1 };
    stub.host?.broadcast({ method, params: { _meta } });
    const { params } = await frames.message() ?? {};
    assert.deepEqual(params, {
      _meta: { "example.com/kept": 1, [MetaKey.SubscriptionId]: "own" },
    });
    await handler.close();
  });

  test("[ERA-5] a client that takes no stream → 406", async () => {
    const { handler, peer } = world();
    const json = peer.with({ accept: "application/json" });
    const message = json.message("subscriptions/listen", { notifications: EVERYTHING }, 1);
    await refused(await json.post(message), 406, -32603, 1);
    assert.equal(handler.stats().listens, 0);
    await handler.close();
  });

  test("[ERA-5] switched off → 404 / -32601, and everything else is served", async () => {
    const { handler, peer } = world({ streams: { listen: false } });
    const message = peer.message("subscriptions/listen", { notifications: EVERYTHING }, "off");
    await refused(await peer.post(message), 404, -32601, "off");
    await peer.ask("tools/list");
    await handler.close();
  });

  test("[ERA-5] the older era doesn't know it", async () => {
    const { handler } = world();
    const old = await initialize(handler);
    const params = { notifications: EVERYTHING };
    const { error } = await old.json(await old.request(1, "subscriptions/listen", params));
    assert.equal((error as JsonObject).code, -32601);
    await handler.close();
  });
});

describe("ERA: subscriptions/listen tells", () => {
  test("[ERA-5] [STR-13] a burst of updates of one resource is told once, of two twice", async () => {
    const { handler, peer, change, clock } = world();
    const frames = await peer.listen({ resourceSubscriptions: ["test://a", "test://b"] }, 1);
    await acknowledged(frames, 1);
    for (let i = 0; i < 20; i++) {
      change.updated("test://a");
      if (i % 5 === 0) change.updated("test://b");
      await clock.advance(10);
    }
    const next = frames.message();
    assert.equal(await isPending(next), true);
    await clock.advance(50);
    assert.deepEqual(tagged(await next, 1), { uri: "test://a" });
    assert.deepEqual(tagged(await frames.message(), 1), { uri: "test://b" });
    change.updated("test://a");
    await clock.advance(250);
    assert.deepEqual(tagged(await frames.message(), 1), { uri: "test://a" });
    await frames.cancel();
    await handler.close();
  });

  test("[ERA-5] changes of one turn are told once", async () => {
    const { handler, peer, change } = world();
    const frames = await peer.listen({ toolsListChanged: true }, 1);
    await acknowledged(frames, 1);
    for (let i = 0; i < 10; i++) change.tools();
    await flush();
    change.tools();
    await flush();
    const closed = handler.close();
    const methods = (await frames.messages()).map(({ method }) => method);
    const method = "notifications/tools/list_changed";
    assert.deepEqual(methods, [method, method, undefined]);
    await closed;
  });

  test("[ERA-5] several subscriptions of one client are told apart, and by clients too", async () => {
    const { handler, peer, change, clock } = world({ authenticate: byToken });
    const alice = peer.with({ headers: as("alice") });
    const bob = peer.with({ headers: as("bob") });
    const tools = await alice.listen({ toolsListChanged: true }, "tools");
    const files = await alice.listen({ resourceSubscriptions: ["test://a"] }, "files");
    const same = await bob.listen({ toolsListChanged: true }, "tools");
    for (const [frames, id] of [[tools, "tools"], [files, "files"], [same, "tools"]] as const) {
      await acknowledged(frames, id);
    }
    assert.equal(handler.stats().listens, 3);
    change.tools();
    change.updated("test://a");
    await clock.advance(250);
    for (const frames of [tools, same]) {
      assert.equal((await frames.message())?.method, "notifications/tools/list_changed");
    }
    assert.deepEqual(tagged(await files.message(), "files"), { uri: "test://a" });
    for (const frames of [tools, files, same]) await frames.cancel();
    assert.equal(handler.stats().listens, 0);
    await handler.close();
  });

  test("[ERA-5] both eras hear of the same change, each in its own way", async () => {
    const { handler, peer, change, clock } = world();
    const old = await initialize(handler);
    await old.result(await old.request(1, "resources/subscribe", { uri: "test://a" }));
    const theirs = await old.listen();
    const ours = await peer.listen(EVERYTHING, 1);
    await acknowledged(ours, 1);
    change.tools();
    change.updated("test://a");
    await clock.advance(250);
    for (const method of ["notifications/tools/list_changed", "notifications/resources/updated"]) {
      const before = await theirs.message();
      assert.equal(before?.method, method);
      assert.doesNotMatch(JSON.stringify(before), /subscriptionId/);
      assert.equal((await ours.message())?.method, method);
    }
    await theirs.cancel();
    await ours.cancel();
    await handler.close();
  });

  test("[ERA-5] what belongs to a call goes on that call's stream, never here", async () => {
    const { handler, peer, server } = world();
    server.registerTool("talk", {}, (_args, ctx) => {
      ctx.progress(1);
      ctx.log("error", "Oh");
      return "Talked";
    });
    const frames = await peer.listen(EVERYTHING, "l");
    await acknowledged(frames, "l");
    const talker = peer.with({ logLevel: "debug" });
    const call = talker.frames(await talker.call("talk", {}, { _meta: { progressToken: 1 } }));
    assert.equal((await call.messages()).length, 3);
    const closed = handler.close();
    assert.deepEqual((await frames.messages()).map(({ id }) => id), ["l"]);
    await closed;
  });

  test("[ERA-5] a quiet subscription gets comments, which aren't messages", async () => {
    const { handler, peer, clock, change } = world({ streams: { keepAliveMs: 1_000 } });
    const frames = await peer.listen(EVERYTHING, 1);
    await acknowledged(frames, 1);
    const first = frames.next();
    await clock.advance(999);
    assert.equal(await isPending(first), true);
    await clock.advance(1);
    const comment = await first;
    assert.deepEqual([comment?.comment !== undefined, comment?.data], [true, undefined]);
    await clock.advance(3_000);
    for (let i = 0; i < 3; i++) assert.notEqual((await frames.next())?.comment, undefined);
    change.tools();
    assert.notEqual((await frames.next())?.message, undefined);
    await frames.cancel();
    // The lines of waits look once more whether somebody waits.
    await clock.advance(30_000);
    assert.equal(clock.pending, 0);
    await handler.close();
  });
});

describe("ERA: subscriptions/listen ends", () => {
  test("[ERA-5] [END-1] close() ends each with its result, which says of whom and by whom", async () => {
    const { handler, peer, events } = world();
    const ids = ["a", 7];
    const open = await Promise.all(ids.map((id) => peer.listen({}, id)));
    const closed = handler.close();
    for (const [at, id] of ids.entries()) {
      const messages = await open[at]?.messages();
      assert.equal(messages?.length, 2);
      assert.deepEqual(messages?.at(-1), {
        jsonrpc: "2.0",
        id,
        result: {
          resultType: "complete",
          _meta: { [MetaKey.ServerInfo]: INFO, [MetaKey.SubscriptionId]: id },
        },
      });
    }
    await closed;
    assert.equal(handler.stats().listens, 0);
    assert.deepEqual(events.of("stream-closed").map(({ reason, stream }) => [reason, stream]), [
      ["shutdown", "listen"],
      ["shutdown", "listen"],
    ]);
  });

  test("[ERA-5] [END-1] a call that goes on keeps no subscription open for longer than the grace", async () => {
    const blocker = new Blocker();
    const clock = new FakeClock();
    const handler = createMcpHandler(new Stub({ block: blocker.act }), { clock });
    const peer = new ModernPeer(handler);
    const frames = await peer.listen({}, 1);
    await acknowledged(frames, 1);
    const call = peer.with({ accept: "application/json" }).call("block");
    await blocker.running();
    const closed = handler.close({ graceMs: 1_000 });
    const result = frames.message();
    await clock.advance(1_000);
    assert.equal((await result)?.id, 1);
    assert.equal((await call).status, 503);
    await closed;
  });

  test("[ERA-5] [END-1] [AUTH-5] one that authorize decides about when the endpoint closes is refused", async () => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const { handler, peer, clock } = world({
      authorize: (_, { method }) => method === "resources/read" ? promise : true,
    });
    const notifications = { resourceSubscriptions: ["test://a"] };
    const response = peer.request("subscriptions/listen", { notifications });
    await flush();
    const closed = handler.close({ graceMs: 0 });
    await flush();
    resolve(true);
    await refused(await response, 503, -32603, 1);
    await clock.advance(1_000);
    await closed;
    assert.deepEqual([handler.stats().listens, clock.pending], [0, 0]);
  });

  test("[ERA-5] the client goes away: the place is free again, and nothing is sent", async () => {
    const { handler, peer, change, events, clock } = world();
    const frames = await peer.listen(EVERYTHING, 1);
    await acknowledged(frames, 1);
    await frames.cancel();
    assert.equal(handler.stats().listens, 0);
    change.tools();
    change.updated("test://a");
    await clock.advance(30_000);
    assert.deepEqual(events.of("stream-closed").map(({ reason }) => reason), ["disconnected"]);
    assert.deepEqual(events.of("error"), []);
    assert.equal(clock.pending, 0);
    await handler.close();
  });

  test("[ERA-5] [AUTH-3] its principal's time is over: it ends then, without a result", async () => {
    const clock = new FakeClock();
    const expiresAt = clock.now() + 60_000;
    const principal: Principal = { id: "alice", expiresAt };
    const { handler, peer, events } = world({ clock, authenticate: () => principal });
    const frames = await peer.listen(EVERYTHING, 1);
    await acknowledged(frames, 1);
    const next = frames.message();
    await clock.advance(59_999);
    assert.equal(await isPending(next), true);
    await clock.advance(1_000);
    assert.equal(await next, undefined);
    assert.equal(handler.stats().listens, 0);
    assert.deepEqual(events.of("stream-closed").map(({ reason }) => reason), ["unauthorized"]);
    await refused(await peer.request("tools/list"), 401, -32603);
    await handler.close();
  });

  test("[ERA-5] [AUTH-3] one that is over no longer waits for its principal's time", async () => {
    const clock = new FakeClock();
    const principal: Principal = { id: "alice", expiresAt: clock.now() + 3_600_000 };
    const limits = { eventBytes: 500 };
    const { handler, peer, change } = world({ clock, limits, authenticate: () => principal });
    const left = await peer.listen(EVERYTHING, 1);
    await acknowledged(left, 1);
    await left.cancel();
    const uri = `test://${"x".repeat(300)}`;
    await peer.listen({ resourceSubscriptions: [uri] }, "slow");
    for (let n = 0; n < 3; n++) {
      change.updated(uri);
      await clock.advance(250);
    }
    assert.equal(handler.stats().listens, 0);
    await clock.advance(30_000);
    assert.equal(clock.pending, 0);
    const ended = await peer.listen(EVERYTHING, 2);
    await acknowledged(ended, 2);
    await handler.close();
    assert.equal(clock.pending, 0);
  });

  test("[ERA-5] [AUTH-3] one whose time has no end waits for no timer", async () => {
    const principal: Principal = { id: "alice", expiresAt: Infinity };
    const { handler, peer, clock } = world({ authenticate: () => principal });
    const frames = await peer.listen(EVERYTHING, 1);
    await acknowledged(frames, 1);
    await frames.cancel();
    await clock.advance(30_000);
    assert.equal(clock.pending, 0);
    await handler.close();
  });

  test("[ERA-5] [STR-10] a client that doesn't read is let go, and costs no more than its bound", async () => {
    const eventBytes = 10_000;
    const { handler, peer, change, clock, events } = world({ limits: { eventBytes } });
    const uri = `test://${"x".repeat(1_000)}`;
    const frames = await peer.listen({ resourceSubscriptions: [uri] }, 1);
    for (let i = 0; i < 100; i++) {
      change.updated(uri);
      await clock.advance(250);
    }
    assert.equal(handler.stats().listens, 0);
    assert.deepEqual(events.of("stream-closed").map(({ reason }) => reason), ["slow"]);
    // What it can still read ends without a result: it has missed something.
    const messages = await frames.messages();
    assert.ok(JSON.stringify(messages).length <= eventBytes, `${JSON.stringify(messages).length}`);
    assert.ok(messages.length >= 5, `${messages.length}`);
    assert.equal(messages.at(-1)?.method, "notifications/resources/updated");
    await handler.close();
  });
});

describe("ERA: how many may listen", () => {
  test("[ERA-5] one principal's cap keeps nobody else out", async () => {
    const { handler, peer, events } = world({
      authenticate: byToken,
      limits: { listens: 5, listensPerPrincipal: 3 },
    });
    const alice = peer.with({ headers: as("alice") });
    const bob = peer.with({ headers: as("bob") });
    const open = [];
    for (let i = 0; i < 3; i++) open.push(await alice.listen({}, i));
    for (let i = 0; i < 10; i++) {
      const message = alice.message("subscriptions/listen", { notifications: {} }, "full");
      const response = await alice.post(message);
      assert.equal(response.headers.get("retry-after"), "1");
      await refused(response, 503, -32603, "full");
    }
    open.push(await bob.listen({}, 1), await bob.listen({}, 2));
    assert.equal(handler.stats().listens, 5);
    // Now the endpoint is full, for everybody.
    const cyd = peer.with({ headers: as("cyd") });
    const message = cyd.message("subscriptions/listen", { notifications: {} }, 1);
    await refused(await cyd.post(message), 503, -32603, 1);
    assert.deepEqual(new Set(events.refusals), new Set(["stream-limit"]));
    // Neither calls nor the streams of others are kept out by it.
    await cyd.ask("tools/list");
    await open[0]?.cancel();
    const late = await cyd.listen({}, 2);
    await acknowledged(late, 2);
    for (const frames of [...open.slice(1), late]) await frames.cancel();
    assert.equal(handler.stats().listens, 0);
    await handler.close();
  });

  test("[ERA-5] places are given back however a subscription ends", async () => {
    const clock = new FakeClock();
    const limits = { listens: 1, eventBytes: 500 };
    const uri = `test://${"x".repeat(300)}`;
    let expiresAt: number | undefined;
    const { handler, peer, change } = world({
      clock,
      limits,
      authenticate: () => ({ id: "alice", expiresAt }),
    });
    for (let i = 0; i < 5; i++) {
      const left = await peer.listen({}, "left");
      await left.cancel();
      expiresAt = clock.now() + 1_000;
      const expired = await peer.listen({}, "expired");
      await clock.advance(1_000);
      expiresAt = undefined;
      await expired.messages();
      await peer.listen({ resourceSubscriptions: [uri] }, "slow");
      for (let n = 0; n < 3; n++) {
        change.updated(uri);
        await clock.advance(250);
      }
      assert.equal(handler.stats().listens, 0);
    }
    await handler.close();
  });

  test("[ERA-5] with a cap of 0 nobody listens", async () => {
    for (const limits of [{ listens: 0 }, { listensPerPrincipal: 0 }]) {
      const { handler, peer } = world({ limits });
      const message = peer.message("subscriptions/listen", { notifications: {} }, 1);
      await refused(await peer.post(message), 503, -32603, 1);
      await handler.close();
    }
  });

  test("[ERA-5] wrong caps are misuse", () => {
    for (const limits of [{ listens: -1 }, { listensPerPrincipal: 0.5 }, { listens: NaN }]) {
      assert.throws(() => world({ limits }), RangeError);
    }
  });

  test("[ERA-5] subscriptions and the streams of calls are counted apart", async () => {
    const { handler, peer, server } = world({ limits: { streams: 1, listens: 1 } });
    server.registerTool("talk", {}, async (_args, ctx) => {
      ctx.progress(1);
      await new Promise((_, reject) => {
        ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason));
      });
      return "";
    });
    const frames = await peer.listen({}, 1);
    const call = peer.frames(await peer.call("talk", {}, { _meta: { progressToken: 1 } }));
    assert.equal((await call.message())?.method, "notifications/progress");
    const { streams, listens, requests } = handler.stats();
    assert.deepEqual({ streams, listens, requests }, { streams: 1, listens: 1, requests: 1 });
    await call.cancel();
    await frames.cancel();
    const after = handler.stats();
    assert.deepEqual([after.streams, after.listens, after.requests], [0, 0, 0]);
    await handler.close();
  });
});
