import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway } from "../../src/gateway/mod.ts";
import { UpstreamError } from "../../src/gateway/shared/upstream_error.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { FakeHost, type FakeSession } from "../support/exchange.ts";
import { dispatch } from "../../src/protocol/route.ts";
import {
  ask,
  callOf,
  count,
  FakeUpstream,
  type FakeUpstreamInit,
  GatewayExchange,
  GatewayHost,
  sessionOf,
  text,
  textOf,
  tools,
} from "./core_support.ts";

/** A gateway over one upstream, with an endpoint that writes down what it is told. */
function over(init: FakeUpstreamInit = {}, options: Parameters<typeof gateway>[0] = {}) {
  const clock = new FakeClock();
  const upstream = new FakeUpstream({ answers: tools({ count }), ...init });
  const gw = gateway({ upstreams: { up: upstream }, clock, ...options });
  const host = new GatewayHost();
  gw.attach?.(host);
  const say = async (session: FakeSession, name = "up__count") =>
    textOf(await dispatch(gw, callOf(name, session)));
  return { clock, upstream, gw, host, say };
}

const hang = () => new Promise<never>(() => {});

describe("sessions with upstreams", () => {
  test("[GTW-1] two sessions of one user count for themselves: 5 and 3", async () => {
    const { upstream, say } = over();
    const [a, b] = [sessionOf("a"), sessionOf("b")];
    for (let n = 1; n <= 5; n++) assert.equal(await say(a), `${n}`);
    for (let n = 1; n <= 3; n++) assert.equal(await say(b), `${n}`);
    assert.equal(await say(a), "6");
    assert.equal(await say(b), "4");
    assert.equal(upstream.sessions.length, 2);
  });

  test("[GTW-1] concurrent first uses begin one session", async () => {
    const { upstream, say } = over({ opening: flush });
    const session = sessionOf("a");
    const answers = await Promise.all(Array.from({ length: 20 }, () => say(session)));
    assert.equal(upstream.sessions.length, 1);
    assert.equal(new Set(answers).size, 20);
  });

  test("[GTW-1] sessions that begin at once get one each, of one user or of several", async () => {
    const { upstream, gw } = over({ opening: flush });
    await Promise.all(
      Array.from(
        { length: 20 },
        (_, n) =>
          dispatch(
            gw,
            callOf("up__count", sessionOf(`s${n}`), { principal: { id: n % 2 ? "ann" : "bob" } }),
          ),
      ),
    );
    assert.deepEqual(upstream.sessions.map(({ count }) => count), Array(20).fill(1));
    const owners = upstream.sessions.map(({ opened }) => opened.principal.id);
    assert.equal(owners.filter((id) => id === "ann").length, 10);
  });

  test("[GTW-1] a request that stops waiting doesn't take the session from the others", async () => {
    const { promise: opening, resolve } = Promise.withResolvers<void>();
    const { upstream, gw, say } = over({ opening: () => opening });
    const session = sessionOf("a");
    const first = callOf("up__count", session);
    const stopped = assert.rejects(ask(gw, first), /Stop/);
    const second = say(session);
    await flush();
    first.abort(new Error("Stop"));
    await stopped;
    resolve();
    assert.equal(await second, "1");
    assert.equal(upstream.sessions.length, 1);
  });

  test("[GTW-2] an idle session is looked after before its next use, and only then", async () => {
    const { clock, upstream, say } = over();
    const session = sessionOf("a");
    await say(session);
    await clock.advance(59_999);
    await say(session);
    assert.deepEqual(upstream.session().methods, ["tools/call", "tools/call"]);
    await clock.advance(60_000);
    assert.deepEqual(await Promise.all([say(session), say(session)]), ["3", "4"]);
    assert.deepEqual(upstream.session().methods.slice(2), ["ping", "tools/call", "tools/call"]);
    assert.equal(upstream.sessions.length, 1);
  });

  test("[GTW-2] what isn't served, or not in time, leads to the next question", async () => {
    const { clock, upstream, say } = over({
      answers: {
        "tools/list": hang,
        "prompts/list": () => ({ prompts: [] }),
        "tools/call": (call, session) => count(call, session),
      },
    });
    const session = sessionOf("a");
    await say(session);
    await clock.advance(60_000);
    const answer = say(session);
    await clock.advance(5000);
    assert.equal(await answer, "2");
    assert.deepEqual(
      upstream.session().methods.slice(1),
      ["ping", "tools/list", "prompts/list", "tools/call"],
    );
    assert.equal(upstream.session().calls[2]?.signal.aborted, true);
  });

  test("[GTW-2] a session that fails the look is ended and begun anew", async () => {
    const { clock, upstream, host, say } = over({
      answers: {
        ...tools({ count }),
        "ping": () => {
          throw new McpError(ErrorCode.InternalError, "Broken");
        },
      },
    });
    const session = sessionOf("a");
    assert.equal(await say(session), "1");
    await clock.advance(60_000);
    const answers = await Promise.all([say(session), say(session)]);
    assert.deepEqual(answers.sort(), ["1", "2"]);
    assert.equal(upstream.sessions.length, 2);
    assert.equal(upstream.session().closed, 1);
    assert.ok(
      host.reported.some((event) =>
        event.type === "upstream-closed" && event.reason === "probe-failed"
      ),
    );
  });

  test("[GTW-2] a session that says nothing to any question is begun anew", async () => {
    let dead = false;
    const mute = () => dead ? hang() : {};
    const { clock, upstream, say } = over({
      answers: {
        "ping": mute,
        "tools/list": mute,
        "prompts/list": mute,
        "resources/list": mute,
        "tools/call": count,
      },
    });
    const session = sessionOf("a");
    await say(session);
    dead = true;
    await clock.advance(60_000);
    const answer = say(session);
    await clock.advance(20_000);
    assert.equal(await answer, "1");
    assert.equal(upstream.sessions.length, 2);
  });

  test("[GTW-2] a connection that fails is given up; an error of a tool is not", async () => {
    let fail: unknown;
    const { upstream, host, say } = over({
      answers: tools({
        count: (call, session) => {
          if (fail !== undefined) throw fail;
          return count(call, session);
        },
      }),
    });
    const session = sessionOf("a");
    await say(session);
    fail = new McpError(ErrorCode.InternalError, "A tool's own error");
    await assert.rejects(say(session), /A tool's own error/);
    fail = undefined;
    assert.equal(await say(session), "2");
    fail = new UpstreamError("closed", { detail: "secret.example" });
    await assert.rejects(say(session), (error) => {
      assert.ok(error instanceof McpError);
      assert.match(error.message, /"up" can't be used now \(closed\)/);
      assert.doesNotMatch(JSON.stringify(error.data) + error.message, /secret/);
      return true;
    });
    fail = undefined;
    assert.equal(await say(session), "1");
    assert.deepEqual(upstream.sessions.map(({ closed }) => closed), [1, 0]);
    assert.ok(
      host.reported.some((event) => event.type === "upstream-closed" && event.reason === "failed"),
    );
  });

  test("[GTW-2] a session that ends by itself is begun anew, and what it says later is ignored", async () => {
    const { clock, upstream, host, gw, say } = over({
      capabilities: { tools: { listChanged: true } },
    });
    const session = sessionOf("a");
    await say(session);
    const { downstream } = upstream.session().opened;
    downstream.ended(new UpstreamError("closed"));
    downstream.ended(new UpstreamError("closed"));
    downstream.notified({ method: "notifications/tools/list_changed" });
    await assert.rejects(
      downstream.ask("roots/list", {}, new AbortController().signal),
      /before the session ends/,
    );
    assert.equal(await say(session), "1");
    assert.equal(upstream.sessions.length, 2);
    await clock.advance(1000);
    assert.deepEqual(host.told, []);
    await gw.close();
  });

  test("[GTW-2] a call that was to begin in a session as it ended begins in the next one", async () => {
    const { promise: setting, resolve } = Promise.withResolvers<JsonObject>();
    const { upstream, gw, say } = over({
      capabilities: { tools: {}, logging: {} },
      answers: { ...tools({ count }), "logging/setLevel": () => setting },
    });
    const session = sessionOf("a");
    session.logLevel = "info";
    const answer = say(session);
    await flush();
    upstream.session().opened.downstream.ended(new UpstreamError("closed"));
    resolve({});
    assert.equal(await answer, "1");
    const methods = upstream.sessions.map((each) => each.methods);
    assert.deepEqual(methods, [["logging/setLevel"], ["logging/setLevel", "tools/call"]]);
    await gw.close();
  });

  test("[GTW-2] a call that no session lasts for fails after the second one", async () => {
    const settings: ((result: JsonObject) => void)[] = [];
    const { upstream, gw, say } = over({
      capabilities: { tools: {}, logging: {} },
      answers: {
        ...tools({ count: hang }),
        "logging/setLevel": () => new Promise((resolve) => settings.push(resolve)),
      },
    });
    const session = sessionOf("a");
    session.logLevel = "info";
    const failed = assert.rejects(say(session), /can't be used now/);
    for (let turn = 0; turn < 2; turn++) {
      await flush();
      upstream.sessions.at(-1)?.opened.downstream.ended(new UpstreamError("closed"));
      settings.shift()?.({});
    }
    await failed;
    assert.deepEqual(upstream.sessions.map(({ methods }) => methods), [
      ["logging/setLevel"],
      ["logging/setLevel"],
    ]);
    await gw.close();
  });

  test("[GTW-2] what a session says that was given up isn't heard", async () => {
    let fail = false;
    const { clock, upstream, host, say } = over({
      capabilities: { tools: { listChanged: true } },
      answers: tools({
        count: (call, session) => {
          if (fail) throw new UpstreamError("closed");
          return count(call, session);
        },
      }),
    });
    const session = sessionOf("a");
    await say(session);
    fail = true;
    await assert.rejects(say(session), /can't be used now/);
    const { downstream } = upstream.session().opened;
    downstream.notified({ method: "notifications/tools/list_changed" });
    downstream.ended(new UpstreamError("closed"));
    await clock.advance(250);
    assert.deepEqual(host.told, []);
    assert.equal(host.reported.filter(({ type }) => type === "upstream-closed").length, 1);
  });

  test("[GTW-3] what was still to be told isn't, once the session has ended", async () => {
    const { clock, upstream, gw, host, say } = over();
    await say(sessionOf("a"));
    upstream.session().opened.downstream.notified({ method: "notifications/tools/list_changed" });
    assert.equal(clock.pending, 1);
    await gw.sessionEnded?.("a", "deleted");
    assert.equal(clock.pending, 0);
    assert.deepEqual(host.told, []);
  });

  test("[GTW-3] the end of a session ends its upstream sessions, all at once and no others", async () => {
    const clock = new FakeClock();
    const { promise: slow, resolve } = Promise.withResolvers<void>();
    const ups = ["a", "b", "c"].map((identity) =>
      new FakeUpstream({ identity, answers: tools({ count }), closing: () => slow })
    );
    const [a, b, c] = ups;
    assert.ok(a && b && c);
    const gw = gateway({ upstreams: { a, b, c }, clock });
    const [mine, other] = [sessionOf("mine"), sessionOf("other")];
    for (const session of [mine, other]) {
      for (const name of ["a", "b", "c"]) await dispatch(gw, callOf(`${name}__count`, session));
    }
    const ended = gw.sessionEnded?.("mine", "deleted");
    await flush();
    assert.deepEqual(ups.map(({ live }) => live), [1, 1, 1]);
    resolve();
    await ended;
    assert.equal(textOf(await dispatch(gw, callOf("a__count", other))), "2");
    assert.equal(gw.stats().sessions, 3);
  });

  test("[GTW-3] an upstream session that doesn't end is left to itself after twice its time", async () => {
    const { clock, gw, host, say } = over({ closing: hang });
    await say(sessionOf("a"));
    let settled = false;
    const ended = Promise.resolve(gw.sessionEnded?.("a", "deleted")).then(() => settled = true);
    await clock.advance(9999);
    assert.equal(settled, false);
    await clock.advance(1);
    await ended;
    assert.deepEqual(
      host.reported.filter(({ type }) => type === "upstream-abandoned"),
      [{ type: "upstream-abandoned", upstream: "up" }],
    );
    assert.equal(clock.pending, 0);
  });

  test("[GTW-3] a session that was still beginning when its client left is ended", async () => {
    const { promise: opening, resolve } = Promise.withResolvers<void>();
    const { upstream, gw, say } = over({ opening: () => opening });
    const call = assert.rejects(say(sessionOf("a")), /can't be used now/);
    await flush();
    await gw.sessionEnded?.("a", "deleted");
    await call;
    resolve();
    await flush();
    assert.equal(upstream.sessions.length, 1);
    assert.equal(upstream.live, 0);
  });

  test("[GTW-3] closing the gateway ends everything, and nothing begins after", async () => {
    const { gw, upstream, say, clock } = over();
    await Promise.all([say(sessionOf("a")), say(sessionOf("b"))]);
    await Promise.all([gw.close(), gw.close()]);
    assert.equal(upstream.live, 0);
    await assert.rejects(say(sessionOf("c")), /shutting down/);
    await assert.rejects(gw.set("more", new FakeUpstream()), /closed/);
    assert.equal(upstream.sessions.length, 2);
    assert.equal(clock.pending, 0);
  });

  test("[GTW-3] closing the gateway waits for sessions that were already ending", async () => {
    const { promise: slow, resolve } = Promise.withResolvers<void>();
    const { gw, say } = over({ closing: () => slow });
    const principal = over({ closing: () => slow }, {
      stateless: "principal",
      limits: { principals: 1 },
    });
    await say(sessionOf("a"));
    for (const id of ["ann", "bob"]) {
      const init = { protocolVersion: "2026-07-28", principal: { id } } as const;
      const call = new GatewayExchange("tools/call", { name: "up__count" }, init);
      await ask(principal.gw, call);
    }
    const ending = gw.sessionEnded?.("a", "deleted");
    const order: string[] = [];
    const closing = [gw, principal.gw].map((each) =>
      each.close().then(() => order.push("gateway closed"))
    );
    await flush();
    order.push("upstream ended");
    resolve();
    await Promise.all([ending, ...closing]);
    assert.deepEqual(order, ["upstream ended", "gateway closed", "gateway closed"]);
    assert.equal(principal.upstream.live, 0);
  });

  test("[GTW-3] when the last endpoint has closed, nothing stays open", async () => {
    const { upstream, gw, say } = over();
    const detach = gw.attach?.(new FakeHost());
    await say(sessionOf("a"));
    detach?.();
    await flush();
    assert.equal(upstream.live, 1);
    const other = over();
    const detachOnly = other.gw.only("up").attach?.(new FakeHost());
    await dispatch(other.gw.only("up"), callOf("count", sessionOf("a")));
    detachOnly?.();
    await flush();
    assert.equal(other.upstream.live, 0);
  });

  test("[GTW-4] beginning takes 30 seconds at most, and what comes later is ended", async () => {
    const { promise: opening, resolve } = Promise.withResolvers<void>();
    const { clock, upstream, host, say } = over({ opening: () => opening });
    const call = assert.rejects(say(sessionOf("a")), /can't be used now \(timeout\)/);
    await clock.advance(29_999);
    assert.equal(host.reported.length, 0);
    await clock.advance(1);
    await call;
    resolve();
    await flush();
    assert.equal(upstream.live, 0);
    assert.equal(upstream.sessions.length, 1);
    assert.equal(clock.pending, 0);
  });

  test("[GTW-4] whose a session is can't be changed: another principal gets nothing of it", async () => {
    const { upstream, gw, say } = over();
    const session = sessionOf("a");
    await say(session);
    const foreign = callOf("up__count", session, { principal: { id: "mallory" } });
    await assert.rejects(ask(gw, foreign), /Session not found/);
    assert.equal(upstream.session().count, 1);
    assert.throws(() => Object.assign(upstream.session().opened.principal, { id: "mallory" }));
  });

  test("[GTW-4] an upstream's identity is what it was when it was given", async () => {
    const { upstream, gw, say } = over();
    const session = sessionOf("a");
    const { identity } = upstream;
    await say(session);
    upstream.identity = "something else";
    await gw.set("up", new FakeUpstream({ identity }));
    assert.equal(upstream.live, 1);
    assert.equal(await say(session), "2");
  });

  test("[GTW-4] names, numbers and kinds of things are checked when the gateway is made", () => {
    const up = new FakeUpstream();
    for (const name of ["", "a b", "a/b", "a__b", "a_", "ä", "x".repeat(65), "a\n"]) {
      assert.throws(() => gateway({ upstreams: { [name]: up } }), TypeError, name);
    }
    for (const name of ["a", "a-b", "a_b", "A.b", "x".repeat(64)]) {
      gateway({ upstreams: { [name]: up } });
    }
    assert.throws(() => gateway({ separator: "" }), TypeError);
    assert.throws(() => gateway({ separator: "/" }), TypeError);
    assert.throws(() => gateway({ openTimeoutMs: 0 }), RangeError);
    assert.throws(() => gateway({ limits: { held: -1 } }), RangeError);
    assert.throws(
      () => gateway({ limits: { upstreams: 1 }, upstreams: { a: up, b: up } }),
      RangeError,
    );
    // What JavaScript lets through
    assert.throws(() => gateway({ stateless: "user" as "request" }), TypeError);
    assert.throws(() => gateway({ upstreams: { a: {} as FakeUpstream } }), TypeError);
    assert.throws(() => gateway().only("nobody"), TypeError);
  });

  test("[GTW-1] sessions of the gateway and of one upstream alone are apart", async () => {
    const { upstream, gw, say } = over();
    const session = sessionOf("a");
    assert.equal(await say(session), "1");
    const alone = gw.only("up");
    assert.equal(textOf(await dispatch(alone, callOf("count", session))), "1");
    assert.equal(gw.only("up"), alone);
    assert.equal(upstream.sessions.length, 2);
  });

  test("[GTW-2] a call goes on while others find out that the session is there", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { clock, upstream, gw, say } = over({
      answers: tools({
        count,
        slow: async () => {
          await promise;
          return text("slow");
        },
      }),
    });
    const session = sessionOf("a");
    const slow = dispatch(gw, new GatewayExchange("tools/call", { name: "up__slow" }, { session }));
    await clock.advance(120_000);
    assert.equal(await say(session), "1");
    assert.deepEqual(upstream.session().methods, ["tools/call", "tools/call"]);
    resolve();
    assert.equal(textOf(await slow), "slow");
  });
});
