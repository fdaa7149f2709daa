/**
 * Limits for each principal count users: issuer and id, not the client that acts for the user.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import type { NotificationExchange, Principal } from "../../src/protocol/exchange.ts";
import { flush } from "../support/clock.ts";
import { Cluster } from "../support/cluster.ts";
import { ModernPeer } from "../support/modern.ts";
import {
  accepted,
  Blocker,
  Events,
  Gate,
  initialize,
  Peer,
  refused,
  Stub,
  text,
} from "../support/wire.ts";

/** `user/client`, as a token would say. */
function byClient(request: Request): Principal {
  const [id = "", clientId] = (request.headers.get("x-who") ?? "").split("/");
  return { id, issuer: "https://issuer.example", ...clientId !== undefined && { clientId } };
}

function as(who: string): { readonly headers: Readonly<Record<string, string>> } {
  return { headers: { "x-who": who } };
}

function endpoint(limits: McpHandlerOptions["limits"], more: McpHandlerOptions = {}) {
  const events = new Events();
  const blocker = new Blocker();
  const stub = new Stub({ hello: () => text("Hello"), block: blocker.act });
  const handler = createMcpHandler(stub, {
    authenticate: byClient,
    onEvent: events.onEvent,
    limits,
    ...more,
  });
  return { events, blocker, stub, handler };
}

async function isAlive(peer: Peer): Promise<boolean> {
  const response = await peer.request(1, "ping");
  await response.body?.cancel();
  return response.status === 200;
}

describe("shares: many clients of one user", () => {
  test("[SES-5] have limits.sessionsPerPrincipal together, and evict only their own user's", async () => {
    const { handler } = endpoint({ sessionsPerPrincipal: 2 });
    const other = await initialize(handler, as("bob/a"));
    const mine: Peer[] = [];
    for (const client of ["a", "b", "c"]) {
      mine.push(await initialize(handler, as(`alice/${client}`)));
    }
    assert.deepEqual(await Promise.all(mine.map(isAlive)), [false, true, true]);
    assert.equal(await isAlive(other), true);
    await handler.close();
  });

  test("[SES-5] a user with a client for each session never evicts another's at limits.sessions", async () => {
    const { handler } = endpoint({ sessions: 4 });
    const others = [await initialize(handler, as("bob/a")), await initialize(handler, as("carol"))];
    for (let i = 0; i < 20; i++) await initialize(handler, as(`alice/${i}`));
    assert.deepEqual(await Promise.all(others.map(isAlive)), [true, true]);
    assert.equal(handler.stats().sessions, 4);
    await handler.close();
  });

  test("[AUTH-3, OWN-1] don't share their sessions", async () => {
    const { handler } = endpoint({});
    const mine = await initialize(handler, as("alice/a"));
    for (const who of ["alice/b", "alice"]) {
      await refused(await mine.with(as(who)).request(1, "ping"), 404, -32001);
    }
    assert.equal(await isAlive(mine), true);
    await handler.close();
  });

  test("[STR-11] have limits.streamsPerPrincipal together", async () => {
    const { handler } = endpoint({ streamsPerPrincipal: 2 });
    const peers: Peer[] = [];
    for (const client of ["a", "b", "c"]) {
      peers.push(await initialize(handler, as(`alice/${client}`)));
    }
    const statuses: number[] = [];
    for (const peer of peers) statuses.push((await peer.get()).status);
    assert.deepEqual(statuses, [200, 200, 503]);
    assert.equal((await (await initialize(handler, as("bob/a"))).get()).status, 200);
    await handler.close();
  });

  test("[ERA-5] have limits.listensPerPrincipal together", async () => {
    const { handler } = endpoint({ listensPerPrincipal: 2 });
    const listen = async (who: string) => {
      const peer = new ModernPeer(handler, as(who));
      return (await peer.request("subscriptions/listen", { notifications: {} })).status;
    };
    const statuses: number[] = [];
    for (const who of ["alice/a", "alice/b", "alice/c", "bob/a"]) statuses.push(await listen(who));
    assert.deepEqual(statuses, [200, 200, 503, 200]);
    await handler.close();
  });
});

/** Starts calls that nobody waits for any more, and that run on. */
async function abandon(peer: Peer, blocker: Blocker, count: number): Promise<void> {
  const before = blocker.runs.length;
  for (let i = 0; i < count; i++) {
    const response = await peer.call(i, "talk");
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    await response.body?.cancel();
  }
  assert.equal(blocker.runs.length, before + count);
}

/** A handler with tools that say something and then run until they are let go. */
function talkative(limits: McpHandlerOptions["limits"], more: McpHandlerOptions = {}) {
  const events = new Events();
  const blocker = new Blocker();
  const stub = new Stub({
    hello: () => text("Hello"),
    block: blocker.act,
    talk(exchange) {
      exchange.notify({ method: "notifications/message", params: { level: "info", data: "hi" } });
      return blocker.act(exchange);
    },
  });
  const options = { authenticate: byClient, onEvent: events.onEvent, limits, ...more };
  return { events, blocker, stub, handler: createMcpHandler(stub, options) };
}

describe("shares: running requests", () => {
  test("[STR-15] abandoned calls count, for initialize too, and leave places to others", async () => {
    const { handler, blocker, events } = talkative({ requests: 100 });
    const [alice, bob] = [
      await initialize(handler, as("alice/a")),
      await initialize(handler, as("bob/a")),
    ];
    await abandon(alice, blocker, 10);
    assert.equal(handler.stats().requests, 10);
    const response = await alice.call("more", "hello");
    assert.equal(response.headers.get("retry-after"), "1");
    assert.equal((await refused(response, 503, -32000, "more")).message, "Server busy");
    // Another client of the same user has no other share.
    const other = new Peer(handler, as("alice/b"));
    await refused(await other.post(other.initializeRequest(7)), 503, -32000, 7);
    const modern = new ModernPeer(handler, as("alice/c"));
    assert.equal((await modern.call("hello")).status, 503);
    assert.deepEqual(new Set(events.refusals), new Set(["principal-request-limit"]));
    await bob.result(await bob.call(1, "hello"));
    await initialize(handler, as("carol"));
    blocker.gate.open("done");
    await flush();
    assert.equal(handler.stats().requests, 0);
    await alice.result(await alice.call(1, "hello"));
    await initialize(handler, as("alice/b"));
    await handler.close();
  });

  test("[STR-15] a share is a tenth of limits.requests, at least 10 and at most all", async () => {
    for (
      const [limits, share] of [
        [{}, 100],
        [{ requests: 250 }, 25],
        [{ requests: 50 }, 10],
        [{ requests: 4 }, 4],
        [{ requests: 50, requestsPerPrincipal: 3 }, 3],
        [{ requests: 3, requestsPerPrincipal: 50 }, 3],
      ] as const
    ) {
      const { handler, blocker } = talkative(limits);
      const peer = await initialize(handler, as("alice"));
      const most = peer.with(as("alice"));
      for (let i = 0; i < share; i++) {
        void most.call(i, "block", {}, { accept: "application/json" });
      }
      await blocker.running(share);
      assert.equal((await peer.request(0, "ping")).status, 503, JSON.stringify(limits));
      assert.equal(handler.stats().requests, share);
      blocker.gate.open("done");
      await handler.close();
    }
  });

  test("[STR-15] without authenticate everybody is one principal, whose share is all", async () => {
    const { handler, blocker, events } = talkative({ requests: 30 }, { authenticate: undefined });
    const peer = await initialize(handler);
    await abandon(peer, blocker, 30);
    await refused(await peer.request(1, "ping"), 503, -32000, 1);
    assert.deepEqual(events.refusals, ["request-limit"]);
    blocker.gate.open("done");
    await handler.close();
  });

  test("[STR-15] a batch takes from the share, all or nothing", async () => {
    const { handler, blocker, events } = talkative({ requests: 50, requestsPerPrincipal: 3 });
    const peer = await initialize(handler, { version: "2025-03-26", ...as("alice") });
    await abandon(peer, blocker, 1);
    const ping = (id: number) => ({ jsonrpc: "2.0", id, method: "ping" });
    await refused(await peer.post([ping(1), ping(2), ping(3)]), 503, -32000);
    assert.deepEqual(events.refusals, ["principal-request-limit"]);
    assert.equal(handler.stats().requests, 1);
    assert.equal((await peer.post([ping(1), ping(2)])).status, 200);
    blocker.gate.open("done");
    await handler.close();
  });

  test("[STR-15] 2026: calls of all the user's clients take from one share", async () => {
    const { handler, blocker, events } = talkative({ requestsPerPrincipal: 2 });
    const calls = ["alice/a", "alice/b"].map((who) =>
      new ModernPeer(handler, as(who)).call("block")
    );
    await blocker.running(2);
    assert.equal((await new ModernPeer(handler, as("alice/c")).call("hello")).status, 503);
    assert.equal((await new ModernPeer(handler, as("bob")).call("hello")).status, 200);
    assert.deepEqual(events.refusals, ["principal-request-limit"]);
    blocker.gate.open("done");
    await Promise.all(calls);
    assert.equal((await new ModernPeer(handler, as("alice/c")).call("hello")).status, 200);
    await handler.close();
  });

  test("[STR-15, CLU-5] a forwarded call counts at the node that runs it", async () => {
    const cluster = new Cluster({ pinned: true, limits: { requestsPerPrincipal: 2 } });
    const [a, b] = [cluster.add(), cluster.add()];
    const alice = { headers: { authorization: "Bearer alice" }, accept: "application/json" };
    const here = await initialize(a.handler, alice);
    const there = here.with({ fetch: b.handler });
    const calls = [1, 2].map((id) => here.call(id, "block"));
    await a.blocker.running(2);
    await refused(await there.call(3, "hello"), 503, -32000, 3);
    assert.deepEqual(a.events.refusals, ["principal-request-limit"]);
    const bob = await initialize(a.handler, { headers: { authorization: "Bearer bob" } });
    await bob.with({ fetch: b.handler }).call(1, "hello").then((response) => bob.result(response));
    a.blocker.gate.open("done");
    await Promise.all(calls);
    await there.result(await there.call(3, "hello"));
    await cluster.close();
  });

  test("[STR-15, CLU-5] a forwarded call counts at the node that forwards it too", async () => {
    const cluster = new Cluster({ pinned: true });
    const [a, b] = [cluster.add(), cluster.add({ limits: { requestsPerPrincipal: 2 } })];
    const alice = { headers: { authorization: "Bearer alice" }, accept: "application/json" };
    const here = await initialize(a.handler, alice);
    const there = here.with({ fetch: b.handler });
    const calls = [1, 2].map((id) => there.call(id, "block"));
    await a.blocker.running(2);
    await refused(await there.call(3, "hello"), 503, -32000, 3);
    assert.deepEqual(b.events.refusals, ["principal-request-limit"]);
    await here.result(await here.call(4, "hello"));
    const bob = await initialize(a.handler, { headers: { authorization: "Bearer bob" } });
    await bob.with({ fetch: b.handler }).call(1, "hello").then((response) => bob.result(response));
    a.blocker.gate.open("done");
    await Promise.all(calls);
    await there.result(await there.call(5, "hello"));
    await cluster.close();
  });

  test("[STR-15] limits.requestsPerPrincipal is checked", () => {
    for (const requestsPerPrincipal of [0, -1, 1.5]) {
      assert.throws(
        () => createMcpHandler(new Stub(), { limits: { requestsPerPrincipal } }),
        RangeError,
      );
    }
  });
});

/** A dispatcher whose notifications run until they are let go. */
class Slow extends Stub {
  readonly gate = new Gate();

  override notified(exchange: NotificationExchange): Promise<void> | undefined {
    super.notified(exchange);
    return exchange.method === "notifications/slow" ? this.gate.promise : undefined;
  }
}

describe("shares: running notifications", () => {
  const slow = { jsonrpc: "2.0", method: "notifications/slow" };

  test("[STR-15] notifications that never end are bounded for each principal and in all", async () => {
    const stub = new Slow();
    const events = new Events();
    const handler = createMcpHandler(stub, {
      authenticate: byClient,
      onEvent: events.onEvent,
      limits: { requests: 5, requestsPerPrincipal: 3 },
    });
    const peers: Peer[] = [];
    for (const who of ["alice/a", "alice/b", "bob"]) peers.push(await initialize(handler, as(who)));
    const [one, two, bob] = peers;
    assert.ok(one && two && bob);
    for (const peer of [one, two, one]) await accepted(await peer.post(slow));
    const response = await two.post(slow);
    assert.equal(response.headers.get("retry-after"), "1");
    assert.equal((await refused(response, 503, -32000)).message, "Server busy");
    assert.deepEqual(events.refusals, ["principal-notification-limit"]);
    for (let i = 0; i < 2; i++) await accepted(await bob.post(slow));
    await refused(await bob.post(slow), 503, -32000);
    assert.equal(events.refusals.at(-1), "notification-limit");
    // Requests have their own slots, and the endpoint's own notifications need none.
    await one.cancel(1);
    await one.result(await one.request(1, "ping"));
    stub.gate.open();
    await flush();
    for (let i = 0; i < 10; i++) await accepted(await one.post(slow));
    await handler.close();
  });

  test("[STR-15] in a batch, those over the bound are dropped and reported", async () => {
    const stub = new Slow();
    const events = new Events();
    const limits = { requestsPerPrincipal: 2 };
    const handler = createMcpHandler(stub, { onEvent: events.onEvent, limits });
    const peer = await initialize(handler, { version: "2025-03-26" });
    stub.notifications.length = 0;
    await accepted(await peer.post([slow, slow, slow]));
    assert.equal(stub.notifications.length, 2);
    assert.deepEqual(events.refusals, ["principal-notification-limit"]);
    stub.gate.open();
    await handler.close();
  });
});
