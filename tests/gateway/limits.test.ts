/**
 * The programs and upstream sessions of a gateway are counted and limited, also while they end.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { gateway, type GatewayOptions, stdio } from "../../src/gateway/mod.ts";
import { McpError } from "../../src/protocol/errors.ts";
import { ANONYMOUS } from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { connect } from "../../src/testing/mod.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { as, byToken, Events } from "../support/wire.ts";
import { childrenOf, tinyChild } from "./children.ts";
import {
  ask,
  callOf,
  count,
  FakeUpstream,
  type FakeUpstreamInit,
  GatewayExchange,
  GatewayHost,
  sessionOf,
  textOf,
  tools,
} from "./core_support.ts";
import { until } from "./e2e_support.ts";

const MODERN = { protocolVersion: "2026-07-28" } as const;

function over(init: FakeUpstreamInit, options: GatewayOptions) {
  const clock = new FakeClock();
  const upstream = new FakeUpstream({ answers: tools({ x: count }), ...init });
  const gw = gateway({ upstreams: { up: upstream }, clock, ...options });
  const host = new GatewayHost();
  const detach = gw.attach?.(host);
  const use = (session: string, id = "ada", issuer?: string) => {
    const principal = { id, ...issuer !== undefined && { issuer } };
    return ask(gw, callOf("up__x", sessionOf(session), { principal }));
  };
  const busy = () =>
    host.reported.flatMap((event) => event.type === "upstream-busy" ? [event.limit] : []);
  return { clock, upstream, gw, host, detach, use, busy };
}

/** Whether an error says that there is no place now. */
function isBusy(error: unknown): boolean {
  assert.ok(error instanceof McpError);
  assert.match(error.message, /^Call again later: .*"up"/);
  assert.deepEqual(error.data, { upstream: "up", reason: "busy" });
  return error.code === -32000;
}

describe("upstream sessions", () => {
  test("[GTW-14] are limited in total and for each user, with an event that names the limit", async () => {
    const limits = { upstreamSessions: 3, upstreamSessionsPerPrincipal: 2 };
    const { clock, gw, use, busy, host } = over({}, { limits });
    await use("a1");
    await use("a2");
    const own = assert.rejects(use("a3"), isBusy);
    await clock.advance(2000);
    await own;
    await use("b1", "bob");
    assert.equal(gw.stats().sessions, 3);
    const whole = assert.rejects(use("c1", "cleo"), isBusy);
    await clock.advance(2000);
    await whole;
    assert.deepEqual(busy(), ["upstreamSessionsPerPrincipal", "upstreamSessions"]);
    assert.ok(host.reported.every(({ type }) => type !== "upstream-failed"));
    await gw.sessionEnded?.("a1", "ended");
    await use("c1", "cleo");
    await gw.close();
    assert.deepEqual([gw.stats().sessions, clock.pending], [0, 0]);
  });

  test("[GTW-14] users are told apart by issuer and id, and not by their clients", async () => {
    const { clock, gw, use } = over({}, { limits: { upstreamSessionsPerPrincipal: 1 } });
    await use("1", "ada", "https://one.example");
    await use("2", "ada", "https://two.example");
    const principal = { id: "ada", issuer: "https://one.example", clientId: "other" };
    const other = assert.rejects(
      ask(gw, callOf("up__x", sessionOf("3"), { principal })),
      isBusy,
    );
    await clock.advance(2000);
    await other;
    await gw.close();
  });

  test("[GTW-14] everybody together is one share only where nobody is authenticated", async () => {
    const { gw } = over({}, { limits: { upstreamSessions: 5, upstreamSessionsPerPrincipal: 1 } });
    for (let n = 0; n < 5; n++) {
      await ask(gw, callOf("up__x", sessionOf(`${n}`), { principal: ANONYMOUS }));
    }
    assert.equal(gw.stats().sessions, 5);
    await gw.close();
  });

  test("[GTW-14] of all views count together", async () => {
    const { clock, gw, use } = over({}, { limits: { upstreamSessions: 1 } });
    await ask(gw.only("up"), callOf("x", sessionOf("alone")));
    const refused = assert.rejects(use("a"), isBusy);
    await clock.advance(2000);
    await refused;
    await gw.close();
  });

  test("[GTW-14] count until they are closed, even if nobody waits for that any more", async () => {
    const ends: (() => void)[] = [];
    const { clock, gw, use, host } = over({
      closing: () => new Promise<void>((resolve) => void ends.push(resolve)),
    }, { limits: { upstreamSessions: 1 }, startWaitMs: 60_000, openTimeoutMs: 60_000 });
    await use("a");
    const ended = gw.sessionEnded?.("a", "ended");
    const next = use("b");
    await clock.advance(10_000);
    await ended;
    assert.ok(host.reported.some(({ type }) => type === "upstream-abandoned"));
    assert.equal(gw.stats().sessions, 1);
    ends[0]?.();
    assert.equal(textOf(await next), "1");
    const closed = gw.close();
    await clock.advance(10_000);
    await closed;
    assert.equal(gw.stats().sessions, 1);
    ends[1]?.();
    await flush();
    assert.deepEqual([gw.stats().sessions, clock.pending], [0, 0]);
  });

  test("[GTW-14] that fail, at opening or later, give their place back once", async () => {
    let fails = true;
    const { gw, use, upstream } = over({
      opening: () => {
        if (fails) throw new Error("Down");
      },
    }, { limits: { upstreamSessions: 1 } });
    for (let n = 0; n < 3; n++) await assert.rejects(use("a"), /can't be used now/);
    assert.equal(gw.stats().sessions, 0);
    fails = false;
    for (let n = 0; n < 3; n++) {
      assert.equal(textOf(await use("a")), "1");
      assert.equal(gw.stats().sessions, 1);
      upstream.session(n).opened.downstream.ended(new Error("Lost"));
      await flush();
      assert.equal(gw.stats().sessions, 0);
    }
    await gw.close();
    assert.equal(gw.stats().sessions, 0);
  });

  test("[GTW-14] that open too late count until they have failed or are closed", async () => {
    const opens: PromiseWithResolvers<void>[] = [];
    const { clock, gw, use } = over({
      opening: () => {
        const open = Promise.withResolvers<void>();
        opens.push(open);
        return open.promise;
      },
    }, {});
    const late = ["a", "b"].map((session) => assert.rejects(use(session), /timeout/));
    await clock.advance(30_000);
    await Promise.all(late);
    assert.equal(gw.stats().sessions, 2);
    opens[0]?.reject(new Error("Down"));
    opens[1]?.resolve();
    await flush();
    assert.equal(gw.stats().sessions, 0);
    await gw.close();
  });

  test("[GTW-14] that wait for a place end with their client's session", async () => {
    const { clock, gw, use, upstream } = over({}, { limits: { upstreamSessions: 1 } });
    await use("a");
    const waiting = assert.rejects(use("b"), /can't be used now/);
    await flush();
    await gw.close();
    await waiting;
    assert.equal(upstream.sessions.length, 1);
    assert.deepEqual([gw.stats().sessions, clock.pending], [0, 0]);
  });

  test("[GTW-14] a client of 2026 gets its era's code", async () => {
    const { clock, gw, use } = over({}, { limits: { upstreamSessions: 1 } });
    await use("a");
    const refused = assert.rejects(
      ask(gw, new GatewayExchange("tools/call", { name: "up__x" }, MODERN)),
      { code: -32603, data: { upstream: "up", reason: "busy" } },
    );
    await clock.advance(2000);
    await refused;
    await gw.close();
  });
});

describe("programs", () => {
  const call = (id: number, method: string, params: JsonObject): JsonObject => ({
    jsonrpc: "2.0",
    id,
    method,
    params: {
      ...params,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    },
  });

  test("[GTW-14] 20 calls of 2026 at a time start no more programs than their user may have", async () => {
    const most = 3;
    const gw = gateway({
      upstreams: { up: tinyChild([], { closeMs: 500 }) },
      limits: { programsPerPrincipal: most },
      startWaitMs: 60_000,
      stateless: "request",
    });
    const events = new Events();
    let peak = 0;
    const onEvent = (event: Events["all"][number]) => {
      events.onEvent(event);
      if (event.type !== "upstream-opened") return;
      const running = childrenOf(process.pid).filter((line) => line.includes("tiny.sh"));
      peak = Math.max(peak, running.length);
    };
    const handler = createMcpHandler(gw, { authenticate: byToken, onEvent });
    const answers = await Promise.all(Array.from({ length: 20 }, async (_, id) => {
      const response = await handler.fetch(
        new Request("http://localhost/mcp", {
          method: "POST",
          headers: {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": "up__count",
            ...as("ada"),
          },
          body: JSON.stringify(call(id, "tools/call", { name: "up__count", arguments: {} })),
        }),
      );
      return await response.text();
    }));
    const done = answers.filter((answer) => answer.includes('"text":"1"')).length;
    const refused =
      answers.filter((answer) => /"code":-32603.*"reason":"busy"/.test(answer)).length;
    assert.deepEqual([done, refused], [2 * most, 20 - 2 * most]);
    assert.ok(peak <= most, `There were ${peak}`);
    assert.deepEqual(
      new Set(events.of("upstream-busy").map(({ limit }) => limit)),
      new Set(["programsPerPrincipal"]),
    );
    await handler.close();
    await gw.close();
    assert.equal(gw.stats().programs, 0);
  });

  test("[GTW-14] a program counts until it has exited, and the next one waits for that", async () => {
    const gw = gateway({
      upstreams: { up: tinyChild(["deaf"], { closeMs: 300 }) },
      limits: { programs: 1 },
      startWaitMs: 60_000,
    });
    const handler = createMcpHandler(gw);
    const first = await connect(handler);
    const pid = Number(textOf({ ...await first.callTool("up__pid") }));
    assert.equal(gw.stats().programs, 1);
    await first.close();
    assert.equal(gw.stats().programs, 1);
    const second = await connect(handler);
    const next = Number(textOf({ ...await second.callTool("up__pid") }));
    assert.notEqual(next, pid);
    // The first is gone by then: there is never a second one.
    assert.equal(gw.stats().programs, 1);
    assert.throws(() => process.kill(pid, 0));
    process.kill(next, "SIGKILL");
    await until(() => gw.stats().programs === 0, "the end of the killed program");
    assert.equal(textOf({ ...await second.callTool("up__count") }), "1");
    await second.close();
    await handler.close();
    await gw.close();
    assert.deepEqual([gw.stats().programs, gw.stats().sessions], [0, 0]);
  });

  test("[GTW-14] a program that can't be started gives its place back", async () => {
    const up = stdio({ command: "/no/such/program" });
    const gw = gateway({ upstreams: { up }, limits: { programs: 1 } });
    for (let n = 0; n < 3; n++) {
      await assert.rejects(ask(gw, callOf("up__x", sessionOf("a"))), /\(refused\)/);
      assert.equal(gw.stats().programs, 0);
    }
    await gw.close();
  });

  test("[GTW-14] a program that doesn't speak MCP gives its place back when it has exited", async () => {
    const up = stdio({
      command: "/bin/sh",
      args: ["-c", "exit 1"],
      versions: ["2025-11-25"],
    });
    const gw = gateway({ upstreams: { up }, limits: { programs: 1 } });
    for (let n = 0; n < 2; n++) {
      await assert.rejects(ask(gw, callOf("up__x", sessionOf("a"))), /can't be used now/);
      await until(() => gw.stats().programs === 0, "its exit");
    }
    await gw.close();
  });
});

test("[GTW-14] limits are checked", () => {
  for (const name of ["programs", "programsPerPrincipal", "upstreamSessions"] as const) {
    assert.throws(() => gateway({ limits: { [name]: 0 } }), RangeError);
  }
  assert.throws(() => gateway({ startWaitMs: 0 }), RangeError);
});
