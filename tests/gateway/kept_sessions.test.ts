/**
 * What 2026 clients, which have no session, share with whom by default.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { type Gateway, gateway, local } from "../../src/gateway/mod.ts";
import type { GatewayOptions } from "../../src/gateway/options.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken, Events } from "../support/wire.ts";
import { childrenOf, tinyChild } from "./children.ts";
import { count, FakeUpstream, text, textOf, tools } from "./core_support.ts";

/** What the host passes beside a request that comes from an address. */
const from = (hostname: string): unknown => ({ remoteAddr: { hostname, port: 50_000 } });
const HERE = from("127.0.0.1");

interface Made {
  readonly gw: Gateway;
  readonly events: Events;
  /** Calls the tool that counts, for a user with a token, or for a stranger. */
  readonly count: (user: string | undefined, init?: CallInit) => Promise<unknown>;
}

interface CallInit {
  readonly context?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly capabilities?: Record<string, object>;
  readonly tool?: string;
}

async function over(
  options: GatewayOptions,
  work: (made: Made) => Promise<void>,
  strangers = false,
): Promise<void> {
  const gw = gateway(options);
  const events = new Events();
  const handler = createMcpHandler(gw, {
    ...!strangers && { authenticate: byToken },
    ...options.clock && { clock: options.clock },
    onEvent: events.onEvent,
  });
  const call: Made["count"] = async (user, init = {}) => {
    const { context, headers = {}, capabilities = {}, tool = "up__count" } = init;
    const peer = new ModernPeer((request) => handler(request, context), {
      headers: { ...user !== undefined && as(user), ...headers },
      capabilities,
    });
    return textOf(await peer.say(tool));
  };
  try {
    await work({ gw, events, count: call });
  } finally {
    await handler.close();
    await gw.close();
    assert.equal(gw.stats().sessions, 0);
    assert.equal(gw.stats().programs, 0);
  }
}

function counting(closing?: () => Promise<void>): FakeUpstream {
  return new FakeUpstream({ answers: tools({ count }), ...closing && { closing } });
}

async function three(call: () => Promise<unknown>): Promise<unknown[]> {
  return [await call(), await call(), await call()];
}

describe("users", () => {
  test("[GTW-18] two at once count 1, 2, 3 each, in a program of their own", () =>
    over({ upstreams: { up: tinyChild() } }, async ({ gw, count }) => {
      const [ada, bob] = await Promise.all([three(() => count("ada")), three(() => count("bob"))]);
      assert.deepEqual([ada, bob], [["1", "2", "3"], ["1", "2", "3"]]);
      assert.deepEqual([gw.stats().programs, gw.stats().sessions], [2, 2]);
    }));

  test('[GTW-18] `stateless: "request"` gives each request a session of its own', () => {
    const up = counting();
    return over({ upstreams: { up }, stateless: "request" }, async ({ count }) => {
      assert.deepEqual(await three(() => count("ada")), ["1", "1", "1"]);
      assert.equal(up.sessions.length, 3);
    });
  });

  test("[GTW-18] keep sixteen sessions with other capabilities each, and then replace their own", () => {
    const up = counting();
    return over({ upstreams: { up } }, async ({ count }) => {
      await count("bob");
      // Each of these is told otherwise what the client can do.
      const capabilities = (n: number): Record<string, object> => ({
        ...n & 1 && { sampling: { ...n & 2 && { tools: {} } } },
        ...n & 4 && { roots: {} },
        ...n & 8 && { elicitation: { ...n & 16 && { form: {} }, ...n & 32 && { url: {} } } },
      });
      const told = new Set<string>();
      for (let n = 0; n < 64; n++) {
        await count("ada", { capabilities: capabilities(n) });
        told.add(JSON.stringify(up.sessions.at(-1)?.opened.client.capabilities));
      }
      await flush();
      assert.ok(told.size >= 16, `Only ${told.size} kinds of clients`);
      assert.ok(up.live <= 17, `${up.live} are open`);
      assert.equal(await count("bob"), "2");
    });
  });
});

describe("strangers", () => {
  const strange = (options: GatewayOptions, work: (made: Made) => Promise<void>) =>
    over(options, work, true);

  test("[GTW-18] on this machine are known by their address", () => {
    const up = counting();
    return strange({ upstreams: { up } }, async ({ count, events }) => {
      const call = (context: unknown) => () => count(undefined, { context });
      assert.deepEqual(await three(call(HERE)), ["1", "2", "3"]);
      assert.equal(await call(from("::1"))(), "4");
      assert.equal(await call(from("::ffff:127.0.0.1"))(), "5");
      assert.deepEqual(await three(call(from("127.0.0.2"))), ["1", "2", "3"]);
      assert.equal(up.sessions.length, 2);
      assert.deepEqual(events.of("upstream-unshared"), []);
    });
  });

  for (
    const [what, init] of [
      ["of whom nothing is known", {}],
      ["of another machine, behind whose address there may be many", {
        context: from("192.0.2.1"),
      }],
      ["behind a proxy on this machine", {
        context: HERE,
        headers: { "x-forwarded-for": "192.0.2.1" },
      }],
      ["behind another gateway on this machine", {
        context: HERE,
        headers: { "mooring-hops": "1" },
      }],
      ["on a socket without an address", { context: { remoteAddr: { path: "/run/mcp" } } }],
    ] satisfies [string, CallInit][]
  ) {
    test(`[GTW-18] ${what} share nothing, and the operator is told once`, () => {
      const up = counting();
      return strange({ upstreams: { up } }, async ({ count, events }) => {
        assert.deepEqual(await three(() => count(undefined, init)), ["1", "1", "1"]);
        assert.equal(up.sessions.length, 3);
        assert.equal(events.of("upstream-unshared").length, 1);
      });
    });
  }

  test("[GTW-18] behind two gateways in one process share nothing", async () => {
    const up = counting();
    const inner = gateway({ upstreams: { up } });
    await strange({ upstreams: { in: local(inner) } }, async ({ count }) => {
      const init = { tool: "in__up__count" };
      assert.deepEqual(await three(() => count(undefined, init)), ["1", "1", "1"]);
    });
    await inner.close();
  });
});

describe("kept programs", () => {
  const programs = (pattern: string) =>
    childrenOf(process.pid).filter((line) => line.includes(pattern)).length;

  test("[GTW-14, GTW-18] go where a place is needed: those unused longest", () =>
    over({
      upstreams: { up: tinyChild() },
      limits: { programs: 3 },
      startWaitMs: 60_000,
    }, async ({ gw, count, events }) => {
      await count("ada");
      await count("bob");
      await count("cy");
      assert.equal(gw.stats().programs, 3);
      await count("dan");
      assert.equal(await count("bob"), "2");
      assert.equal(await count("cy"), "2");
      // Ada's was the one to go
      assert.equal(await count("ada"), "1");
      assert.ok(gw.stats().programs <= 3);
      assert.equal(programs("tiny.sh") <= 3, true);
      assert.deepEqual(events.of("upstream-busy"), []);
      const reasons = events.of("upstream-closed").map(({ reason }) => reason);
      assert.deepEqual(new Set(reasons), new Set(["evicted"]));
    }));

  test("[GTW-14, GTW-18] go for another client of their own user, where that has its share", () => {
    const up = counting();
    const options = { upstreams: { up }, limits: { upstreamSessionsPerPrincipal: 1 } };
    return over(options, async ({ count }) => {
      await count("bob");
      await count("ada");
      assert.equal(await count("ada", { capabilities: { sampling: {} } }), "1");
      assert.equal(await count("bob"), "2");
      assert.equal(await count("ada"), "1");
    });
  });

  test("[GTW-14, GTW-18] don't go while they are used", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const up = new FakeUpstream({
      answers: tools({
        count,
        slow: async () => {
          await promise;
          return text("done");
        },
      }),
    });
    const clock = new FakeClock();
    const options = { upstreams: { up }, limits: { upstreamSessions: 1 }, clock };
    await over(options, async ({ count }) => {
      const slow = count("ada", { tool: "up__slow" });
      await flush();
      const refused = assert.rejects(count("bob"), /too busy/);
      await clock.advance(2000);
      await refused;
      resolve();
      assert.equal(await slow, "done");
      assert.equal(await count("bob"), "1");
    });
  });

  test("[GTW-18] end with their upstream, when it changes, after idling, at their age, and with the gateway", () => {
    const [up, clock] = [counting(), new FakeClock()];
    const options = { upstreams: { up }, clock, principalIdleMs: 1000, principalAbsoluteMs: 2500 };
    return over(options, async ({ gw, count, events }) => {
      assert.equal(await count("ada"), "1");
      await gw.set("up", counting());
      await flush();
      assert.equal(up.live, 0);
      assert.equal(await count("ada"), "1");
      const next = counting();
      await gw.remove("up");
      await gw.set("up", next);
      assert.equal(await count("ada"), "1");
      for (const expected of ["2", "3"]) {
        await clock.advance(900);
        assert.equal(await count("ada"), expected);
      }
      // 2,500 ms after the first request, whatever is used
      await clock.advance(900);
      assert.equal(await count("ada"), "1");
      await clock.advance(1000);
      assert.equal(next.live, 0);
      assert.equal(await count("ada"), "1");
      await gw.close();
      assert.equal(next.live, 0);
      const reasons = events.of("upstream-closed").map(({ reason }) => reason);
      assert.deepEqual(reasons, ["changed", "removed", "expired", "idle", "shutdown"]);
    });
  });

  test("[GTW-17, GTW-18] that are killed while called fail the call, and the next call counts from 1", () =>
    over({ upstreams: { up: tinyChild() } }, async ({ count, events }) => {
      assert.equal(await count("ada"), "1");
      const pid = Number(await count("ada", { tool: "up__pid" }));
      const hanging = assert.rejects(count("ada", { tool: "up__hang" }), /can't be used now/);
      while (events.of("request-started").length < 3) await flush();
      await flush();
      process.kill(pid, "SIGKILL");
      await hanging;
      assert.equal(await count("ada"), "1");
    }));
});
