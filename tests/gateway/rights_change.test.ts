import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway, http, local, sdk } from "../../src/gateway/mod.ts";
import { rightsKey } from "../../src/gateway/session/rights.ts";
import { ListCache } from "../../src/gateway/session/list_cache.ts";
import type { Principal } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../../src/protocol/versions.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, Events, initialize, textOf } from "../support/wire.ts";
import { routing } from "../support/routes.ts";
import {
  ask,
  callOf,
  FakeUpstream,
  GatewayExchange,
  sessionOf,
  text,
  tools,
} from "./core_support.ts";
import { Notes, Rights } from "./rights_support.ts";

const ALL: Principal = { id: "ann", scopes: ["read", "write"] };
const FEW: Principal = { id: "ann", scopes: ["read"] };

/** The scopes of a call, as the upstream sees them. */
const rightsTool = tools({
  rights: ({ principal }) => text((principal.scopes ?? []).join(" ")),
});

describe("AUTH: rights that change while sessions live", () => {
  test("[AUTH-7] a tool behind a gateway sees the scopes of its own request", async () => {
    for (const stateless of ["request", "principal"] as const) {
      const rights = new Rights({ ann: ["read", "write"] });
      const notes = new Notes();
      const gw = gateway({ upstreams: { n: local(notes) }, stateless });
      const outer = gateway({ upstreams: { o: local(gw) }, stateless });
      for (const [dispatcher, name] of [[gw, "n__rights"], [outer, "o__n__rights"]] as const) {
        const handler = rights.serve(dispatcher);
        rights.give("ann", "read", "write");
        const peer = await initialize(handler, { headers: as("ann") });
        const modern = new ModernPeer(handler, { headers: as("ann") });
        assert.equal(textOf(await peer.result(await peer.call(1, name))), "read write");
        assert.equal(textOf(await modern.say(name)), "read write");
        rights.give("ann", "read");
        assert.equal(textOf(await peer.result(await peer.call(2, name))), "read");
        assert.equal(textOf(await modern.say(name)), "read");
        rights.give("ann", "read", "admin");
        assert.equal(textOf(await peer.result(await peer.call(3, name))), "read admin");
        assert.equal(textOf(await modern.say(name)), "read admin");
        await handler.close();
      }
      await outer.close();
      await gw.close();
    }
  });

  test("[AUTH-7] a notification is judged by its own principal too", async () => {
    const told: unknown[] = [];
    const gw = gateway({
      upstreams: {
        n: local({
          route: routing(({ method, protocolVersion }) =>
            method === "initialize"
              ? { protocolVersion, capabilities: {}, serverInfo: { name: "n", version: "1" } }
              : text("")
          ),
          notified: ({ method, principal }) => void told.push([method, principal.scopes]),
        }),
      },
    });
    const session = sessionOf("s");
    const capabilities = { roots: { listChanged: true } };
    await ask(gw, callOf("n__x", session, { principal: ALL, capabilities }));
    const method = "notifications/roots/list_changed";
    await gw.notified?.(new GatewayExchange(method, {}, { session, principal: FEW, capabilities }));
    assert.deepEqual(told, [["notifications/initialized", ALL.scopes], [method, FEW.scopes]]);
    await gw.close();
  });

  const versions: readonly ProtocolVersion[] = ["2025-11-25", "2026-07-28"];
  for (const version of versions) {
    for (const stateless of ["request", "principal"] as const) {
      test(`[AUTH-7] auth of an upstream of ${version} gets the principal of each request, stateless: ${stateless}`, async () => {
        const sent: string[] = [];
        const there = new Rights({ ann: [] }).serve(new Notes(), { versions });
        const up = http({
          url: "http://localhost/mcp",
          versions: [version],
          auth: ({ principal }) => (principal.scopes ?? []).join("+"),
          async fetch(url, { headers, ...init }: RequestInit = {}) {
            const own = new Headers(headers);
            const body: unknown = typeof init.body === "string" ? JSON.parse(init.body) : {};
            const what = isObject(body) && typeof body.method === "string"
              ? body.method
              : init.method;
            sent.push(`${what} ${own.get("authorization")}`);
            own.set("authorization", "Bearer ann");
            return await there(new Request(url, { ...init, headers: own }));
          },
        });
        const gw = gateway({ upstreams: { up }, stateless });
        const session = sessionOf("s");
        for (const init of [{ session }, { protocolVersion: "2026-07-28" as const }]) {
          const call = (principal: Principal) =>
            ask(
              gw,
              new GatewayExchange("tools/call", { name: "up__rights" }, { ...init, principal }),
            );
          await call(ALL);
          sent.length = 0;
          await call(FEW);
          assert.ok(sent.length > 0);
          assert.deepEqual(sent.filter((one) => !one.endsWith("Bearer read")), []);
        }
        // What belongs to no call goes with the latest
        sent.length = 0;
        await gw.sessionEnded?.(session.id, "deleted");
        assert.deepEqual(sent, version === "2025-11-25" ? ["DELETE Bearer read"] : []);
        await gw.close();
        assert.deepEqual(sent.filter((one) => !one.endsWith("Bearer read")), []);
        await there.close();
      });
    }
  }

  test("[AUTH-7] a cancellation goes with the credentials of its call", async () => {
    const sent: string[] = [];
    const running = Promise.withResolvers<void>();
    const up = http({
      url: "http://localhost/mcp",
      versions: ["2025-11-25"],
      auth: ({ principal }) => (principal.scopes ?? []).join("+"),
      async fetch(_url, init: RequestInit = {}) {
        const headers = new Headers(init.headers);
        const { id, method, params } = JSON.parse(String(init.body ?? "{}"));
        sent.push(`${method ?? init.method} ${headers.get("authorization")}`);
        if (init.method === "GET") return new Response(null, { status: 405 });
        if (params?.name === "x") {
          running.resolve();
          const { promise, reject } = Promise.withResolvers<never>();
          init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
          return await promise;
        }
        const serverInfo = { name: "up", version: "1" };
        const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo };
        if (id === undefined) return new Response(null, { status: 202 });
        return Response.json({ jsonrpc: "2.0", id, result });
      },
    });
    const gw = gateway({ upstreams: { up } });
    const session = sessionOf("s");
    await ask(gw, new GatewayExchange("initialize", {}, { session, principal: ALL }));
    sent.length = 0;
    const call = callOf("up__x", session, { principal: FEW });
    const answered = ask(gw, call).catch(() => {});
    await running.promise;
    await ask(gw, callOf("up__y", session, { principal: ALL }));
    call.abort(new Error("Enough"));
    await answered;
    await flush();
    assert.deepEqual(sent, [
      "tools/call Bearer read",
      "tools/call Bearer read+write",
      "notifications/cancelled Bearer read",
    ]);
    await gw.close();
  });

  test("[AUTH-7] a subscription at a 2026 upstream is renewed with the latest credentials", async () => {
    const sent: string[] = [];
    const notes = new Notes();
    notes.registerResource("note", "notes://1", {}, () => "Text");
    const there = new Rights({ ann: [] }).serve(notes);
    const up = http({
      url: "http://localhost/mcp",
      versions: ["2026-07-28"],
      auth: ({ principal }) => (principal.scopes ?? []).join("+"),
      async fetch(url, { headers, ...init }: RequestInit = {}) {
        const own = new Headers(headers);
        const { method } = JSON.parse(String(init.body ?? "{}"));
        if (method === "subscriptions/listen") sent.push(String(own.get("authorization")));
        own.set("authorization", "Bearer ann");
        return await there(new Request(url, { ...init, headers: own }));
      },
    });
    const gw = gateway({ upstreams: { up } });
    const session = sessionOf("s");
    await ask(gw, callOf("up__rights", session, { principal: ALL }));
    assert.deepEqual(sent, ["Bearer read+write"]);
    const subscribe = new GatewayExchange("resources/subscribe", { uri: "notes://1" }, {
      session,
      principal: FEW,
    });
    await ask(gw, subscribe);
    assert.deepEqual(sent, ["Bearer read+write", "Bearer read"]);
    await gw.close();
    await there.close();
  });

  test("[AUTH-7] a hosted server's authInfo has the scopes of the call", async () => {
    const seen: unknown[] = [];
    interface Bare {
      onmessage?: (message: { id?: number; method: string }, extra?: JsonObject) => void;
      send(message: unknown): Promise<void>;
    }
    const up = sdk(() => ({
      connect: async (transport: Bare) => {
        transport.onmessage = ({ id, method }, extra) => {
          if (method === "tools/call") {
            const auth = extra?.authInfo;
            assert.ok(isObject(auth) && isObject(auth.extra));
            seen.push([auth.scopes, auth.extra.principal]);
          }
          if (id === undefined) return;
          const result = method === "initialize"
            ? {
              protocolVersion: "2025-06-18",
              capabilities: {},
              serverInfo: { name: "bare", version: "1" },
            }
            : text("");
          transport.send({ jsonrpc: "2.0", id, result });
        };
      },
    }));
    for (const stateless of ["request", "principal"] as const) {
      const gw = gateway({ upstreams: { up }, stateless });
      for (
        const init of [{ session: sessionOf("s") }, { protocolVersion: "2026-07-28" as const }]
      ) {
        for (const principal of [ALL, FEW]) {
          await ask(
            gw,
            new GatewayExchange("tools/call", { name: "up__x" }, { ...init, principal }),
          );
        }
        assert.deepEqual(seen.splice(0), [[ALL.scopes, ALL], [FEW.scopes, FEW]]);
      }
      await gw.close();
    }
  });
});

describe("AUTH: lists that depend on rights", () => {
  /** Lists a tool for each scope. */
  const lists = () =>
    new FakeUpstream({
      capabilities: { tools: { listChanged: true } },
      answers: {
        ...rightsTool,
        "tools/list": async ({ principal }) => {
          await Promise.resolve();
          return {
            tools: (principal.scopes ?? []).map((name) => ({ name, inputSchema: {} })),
          };
        },
      },
    });
  const names = ({ tools }: JsonObject) =>
    (Array.isArray(tools) ? tools : []).map(({ name }) => name);

  for (const stateless of ["request", "principal"] as const) {
    test(`[AUTH-7, GTW-10] no list is kept for other scopes of its owner, stateless: ${stateless}`, async () => {
      const up = lists();
      const clock = new FakeClock();
      const gw = gateway({ upstreams: { up }, stateless, clock });
      const session = sessionOf("s");
      for (const init of [{ session }, { protocolVersion: "2026-07-28" as const }]) {
        const list = async (principal: Principal) =>
          names(await ask(gw, new GatewayExchange("tools/list", {}, { ...init, principal })));
        assert.deepEqual(await list(ALL), ["up__read", "up__write"]);
        assert.deepEqual(await list(FEW), ["up__read"]);
        assert.deepEqual(await list({ ...ALL, claims: { exp: 1 } }), ["up__read", "up__write"]);
        // But for the same it is kept
        const fetched = () => up.sessions.flatMap(({ methods }) => methods).length;
        const before = fetched();
        assert.deepEqual(await list(ALL), ["up__read", "up__write"]);
        assert.deepEqual(await list(FEW), ["up__read"]);
        assert.equal(fetched(), before);
        // Both are gone when the list has changed
        up.sessions.at(-1)?.opened.downstream.notified({
          method: "notifications/tools/list_changed",
        });
        assert.deepEqual(await list(FEW), ["up__read"]);
        assert.deepEqual(await list(ALL), ["up__read", "up__write"]);
        if ("session" in init || stateless === "principal") {
          assert.equal(fetched(), before + 2);
        }
      }
      await gw.close();
    });

    test(`[AUTH-7] nor is a list that is being fetched shared with other scopes, stateless: ${stateless}`, async () => {
      const gw = gateway({ upstreams: { up: lists() }, stateless, clock: new FakeClock() });
      for (
        const init of [{ session: sessionOf("s") }, { protocolVersion: "2026-07-28" as const }]
      ) {
        const list = async (principal: Principal) =>
          names(await ask(gw, new GatewayExchange("tools/list", {}, { ...init, principal })));
        assert.deepEqual(await Promise.all([list(ALL), list(FEW)]), [
          ["up__read", "up__write"],
          ["up__read"],
        ]);
      }
      await gw.close();
    });
  }

  test("[AUTH-7] a cache keeps the lists of few rights at a time, those used least recently go", () => {
    const cache = new ListCache(new FakeClock());
    for (let n = 0; n < 10; n++) {
      cache.get("0", "up", "tools");
      cache.set(String(n), "up", "tools", 0, [], 1000);
    }
    const kept = [...Array(10).keys()].filter((n) => cache.get(String(n), "up", "tools"));
    assert.deepEqual(kept, [0, 7, 8, 9]);
    cache.invalidate("up", ["tools"]);
    assert.equal(cache.get("0", "up", "tools"), undefined);
    assert.equal(cache.generation("up", "tools"), 1);
  });

  test("[AUTH-7] what credentials allow is told apart by scopes, claims and the token", () => {
    const request = (authorization: string) =>
      new Request("http://localhost/mcp", { headers: { authorization } });
    const keys = [
      rightsKey({ principal: { id: "a" }, request: request("a") }),
      rightsKey({ principal: { id: "a" }, request: request("b") }),
      rightsKey({ principal: { id: "a", scopes: [] }, request: request("a") }),
      rightsKey({ principal: { id: "a", scopes: ["x", "y"] }, request: request("a") }),
      rightsKey({ principal: { id: "a", scopes: ["x y"] }, request: request("a") }),
      rightsKey({ principal: { id: "a", claims: { role: "x" } }, request: request("a") }),
    ];
    assert.equal(new Set(keys).size, keys.length);
    // No key holds a token
    assert.ok(
      !JSON.stringify(rightsKey({ principal: ALL, request: request("secret") }))
        .includes("secret"),
    );
  });
});

describe("AUTH: how long a principal's sessions live", () => {
  const modern = (name: string, principal: Principal) =>
    new GatewayExchange("tools/call", { name }, { principal, protocolVersion: "2026-07-28" });

  test("[AUTH-7, SES-4] they end at the absolute limit, however busy they are", async () => {
    const clock = new FakeClock();
    const events = new Events();
    const never = Promise.withResolvers<never>();
    const up = new FakeUpstream({
      answers: tools({ quick: () => text("Done"), slow: () => never.promise }),
    });
    const gw = gateway({
      upstreams: { up },
      stateless: "principal",
      principalIdleMs: 60_000,
      principalAbsoluteMs: 150_000,
      clock,
    });
    const host = { clock, report: events.onEvent, broadcast() {}, resourceUpdated() {} };
    const detach = gw.attach?.(host);
    await ask(gw, modern("up__quick", ALL));
    for (const ms of [50_000, 50_000, 49_999]) {
      await clock.advance(ms);
      await ask(gw, modern("up__quick", ALL));
    }
    assert.equal(up.sessions.length, 1);
    const slow = assert.rejects(
      ask(gw, modern("up__slow", ALL)),
      /can't be used now \(closed\)/,
    );
    await flush();
    await clock.advance(1);
    await slow;
    assert.deepEqual(events.of("upstream-closed").map(({ reason }) => reason), ["expired"]);
    assert.equal(up.live, 0);
    await ask(gw, modern("up__quick", ALL));
    assert.equal(up.sessions.length, 2);
    await clock.advance(60_000);
    assert.equal(up.live, 0);
    assert.equal(clock.pending, 0);
    detach?.();
    await gw.close();
  });

  test("[AUTH-7, SES-4] a limit that has passed counts before its timer runs", async () => {
    const clock = new FakeClock();
    const up = new FakeUpstream({ answers: tools({ quick: () => text("Done") }) });
    let late = 0;
    const slow = { now: () => clock.now() + late, timer: clock.timer.bind(clock) };
    const gw = gateway({ upstreams: { up }, stateless: "principal", clock: slow });
    await ask(gw, modern("up__quick", ALL));
    late = 4 * 3_600_000 - 1;
    await ask(gw, modern("up__quick", ALL));
    assert.equal(up.sessions.length, 1);
    late++;
    await ask(gw, modern("up__quick", ALL));
    assert.equal(up.sessions.length, 2);
    assert.equal(up.live, 1);
    await gw.close();
    assert.equal(clock.pending, 0);
  });

  test("[AUTH-7] the limit is checked at construction", () => {
    for (const principalAbsoluteMs of [0, 1.5, -1]) {
      assert.throws(() => gateway({ principalAbsoluteMs }), RangeError);
    }
  });
});
