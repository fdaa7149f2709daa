/**
 * Many sessions in one program: nothing crosses, and what can't be told apart goes to nobody.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import fc from "fast-check";
import { withShare } from "../../src/gateway/client/common_sessions.ts";
import { openSession } from "../../src/gateway/client/open_session.ts";
import { checkSessionOptions } from "../../src/gateway/client/session_options.ts";
import { checkShare, type ShareOptions } from "../../src/gateway/client/share_options.ts";
import type { Message, Transport } from "../../src/gateway/client/transport.ts";
import { gateway } from "../../src/gateway/gateway.ts";
import type { OpenInit, Upstream } from "../../src/gateway/types.ts";
import { http } from "../../src/gateway/upstreams/http.ts";
import { lazy } from "../../src/gateway/upstreams/lazy.ts";
import { stdio } from "../../src/gateway/upstreams/stdio.ts";
import { UpstreamError } from "../../src/gateway/shared/upstream_error.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { ANONYMOUS } from "../../src/protocol/exchange.ts";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { connect } from "../../src/testing/mod.ts";
import {
  type Answer,
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
import { isAlive, tinyChild } from "./children.ts";
import { CAPABLE, Session } from "./session.ts";

/** A server over one stream that answers when a test says so. */
class ManualServer implements Transport {
  onmessage: Transport["onmessage"];
  onclose: Transport["onclose"];
  onunsent: Transport["onunsent"];
  readonly singleStream = true;
  readonly received: Message[] = [];
  readonly capabilities: JsonObject;
  isClosed = false;

  constructor(
    capabilities: JsonObject = { tools: {}, logging: {}, resources: { subscribe: true } },
  ) {
    this.capabilities = capabilities;
  }

  send(message: Message): void {
    this.received.push(message);
    if (!("id" in message) || !("method" in message)) return;
    const { id, method } = message;
    if (method === "initialize") {
      const result = {
        protocolVersion: "2025-11-25",
        capabilities: this.capabilities,
        serverInfo: { name: "manual", version: "1.0.0" },
      };
      queueMicrotask(() => this.say({ id, result }));
    } else if (method !== "tools/call" && method !== "ping") {
      queueMicrotask(() => this.say({ id, result: {} }));
    }
  }

  close(): void {
    this.isClosed = true;
  }

  /** Says something to the gateway. */
  say(message: JsonObject): void {
    this.onmessage?.({ jsonrpc: "2.0", ...message });
  }

  /** The requests that came, of a method. */
  requests(method: string): { id: number; params: JsonObject }[] {
    return this.received.flatMap((message) =>
      "id" in message && "method" in message && message.method === method
        ? [{ id: Number(message.id), params: message.params ?? {} }]
        : []
    );
  }

  /** The notifications that came, of a method. */
  told(method: string): JsonObject[] {
    return this.received.flatMap((message) =>
      !("id" in message) && "method" in message && message.method === method
        ? [message.params ?? {}]
        : []
    );
  }

  /** The id of the call of a tool with an argument. */
  idOf(key: string): number {
    const found = this.requests("tools/call").find(({ params }) =>
      isObject(params.arguments) && params.arguments.key === key
    );
    assert.ok(found, `no call of ${key}`);
    return found.id;
  }

  /** The answer to a question of the server. */
  answerTo(id: string): JsonObject | undefined {
    // Any message is an object.
    return this.received.find((message) =>
      "id" in message && message.id === id && !("method" in message)
    ) as
      | JsonObject
      | undefined;
  }
}

/** An upstream with a {@linkcode ManualServer} for each of its sessions. */
function manual(options: ShareOptions = { share: "all" }, capabilities?: JsonObject) {
  const servers: ManualServer[] = [];
  const opened: OpenInit[] = [];
  const upstream = withShare({
    kind: "stdio",
    identity: `manual ${Math.random()}`,
    async open(init) {
      opened.push(init);
      const server = new ManualServer(capabilities);
      servers.push(server);
      return await openSession(
        server,
        init,
        checkSessionOptions({ versions: ["2025-11-25"], timeoutMs: 60_000 }),
      );
    },
  }, checkShare("test", options));
  const server = (nth = 0): ManualServer => {
    const found = servers[nth];
    assert.ok(found, `there were only ${servers.length}`);
    return found;
  };
  return { upstream, servers, server, opened };
}

/** Sessions of users. */
async function sessionsOf(
  upstream: Upstream,
  users: readonly string[],
  over: Partial<OpenInit> = {},
) {
  return await Promise.all(
    users.map((id) => Session.open(upstream, { principal: { id }, user: id, ...over })),
  );
}

/** A session of those that were opened. */
function at(sessions: readonly Session[], nth: number): Session {
  const found = sessions[nth];
  assert.ok(found);
  return found;
}

function methodsOf({ recorder }: Session): readonly string[] {
  return recorder.notifications.map(({ method }) => method);
}

function countOf(result: PromiseSettledResult<unknown>[], status: string): number {
  return result.filter((each) => each.status === status).length;
}

describe("who uses one program", () => {
  test('[SHP-1] each session has its own by default, and with "session"', async () => {
    for (const options of [{}, { share: "session" }] as const) {
      const { upstream, servers } = manual(options);
      await sessionsOf(upstream, ["alice", "alice"]);
      assert.equal(servers.length, 2);
    }
  });

  test('[SHP-1] with "user" all sessions of a user, with "all" those of everybody', async () => {
    for (const [share, programs] of [["user", 2], ["all", 1]] as const) {
      const { upstream, servers } = manual({ share });
      await sessionsOf(upstream, ["alice", "bob", "alice", "bob", "alice"]);
      assert.equal(servers.length, programs, share);
      assert.equal(upstream.programs, programs);
    }
  });

  test('[SHP-1] somebody whom nobody knows has a program of their own with "user"', async () => {
    const { upstream, servers } = manual({ share: "user" });
    await sessionsOf(upstream, ["alice", "alice"], { user: undefined });
    assert.equal(servers.length, 2);
  });

  test("[SHP-2] the client that the program sees is the same for all", async () => {
    const all = manual({ share: "all" });
    await sessionsOf(all.upstream, ["alice"]);
    assert.deepEqual(all.opened[0]?.client, { capabilities: {} });
    const own = manual({ share: "user" });
    const bare = { client: { capabilities: {} } };
    await sessionsOf(own.upstream, ["alice"]);
    await sessionsOf(own.upstream, ["alice"], bare);
    await sessionsOf(own.upstream, ["alice"]);
    const { roots: _, ...rest } = CAPABLE.capabilities;
    assert.deepEqual(own.opened.map(({ client }) => client), [{ capabilities: rest }, {
      capabilities: {},
    }]);
  });

  test("[SHP-3] refuses values, combinations and limits with the name to correct", () => {
    const cases: [() => unknown, RegExp][] = [
      // The types refuse it too.
      [
        () => stdio({ command: "x", share: "none" as "all" }),
        /"session", "user" or "all" as "share"/,
      ],
      [() => stdio({ command: "x", shareLimits: { calls: 1 } }), /"share": "user" or "all"/],
      [
        () => stdio({ command: "x", share: "all", shareLimits: { call: 1 } as object }),
        /shareLimits\.calls/,
      ],
      [
        () => stdio({ command: "x", share: "all", shareLimits: { calls: 0 } }),
        /shareLimits\.calls/,
      ],
      [
        () => stdio({ command: "x", share: "all", shareLimits: { calls: 1001 } }),
        /at most 1000 as "shareLimits\.calls"/,
      ],
      [
        () => http({ url: "https://a.example", share: "all", forwardHeaders: ["x-user"] }),
        /"forwardHeaders".*"share": "user"/,
      ],
      [() => http({ url: "https://a.example", share: "all", auth: () => "t" }), /"share": "user"/],
      [
        () =>
          http({
            url: "https://a.example",
            share: "all",
            auth: { headers: () => ({}), refused: () => Promise.resolve(false) },
          }),
        /"share": "user" with accounts/,
      ],
    ];
    for (const [make, message] of cases) assert.throws(make, message);
    const given = http({ url: "https://a.example", share: "user", auth: () => "t" });
    assert.equal(given.share, "user");
    assert.equal(lazy(given).share, "user");
    const [one, other] = ["all", "user"].map((share) =>
      stdio({ command: "x", share: share === "all" ? "all" : "user" }).identity
    );
    assert.notEqual(one, other);
  });
});

describe("what is kept apart", () => {
  test("[SHP-4] any interleaving of calls, progress, cancellations and floods: nothing crosses", async () => {
    const steps = fc.array(
      fc.record({
        session: fc.nat({ max: 4 }),
        kind: fc.constantFrom("call", "answer", "progress", "cancel", "stray", "close"),
        pick: fc.nat({ max: 1000 }),
      }),
      { minLength: 5, maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const { upstream, server } = manual();
        const sessions = await sessionsOf(upstream, ["a", "b", "c", "d", "e"]);
        const program = server();
        /** What each session has open, by the key of its call. */
        const open = new Map<string, { session: number; stop: AbortController }>();
        const settled = new Map<string, unknown>();
        const progress = new Map<string, number[]>();
        const closed = new Set<number>();
        let calls = 0;
        for (const { session, kind, pick } of steps) {
          const keys = [...open.keys()];
          const key = keys[pick % Math.max(1, keys.length)];
          const chosen = key === undefined ? undefined : open.get(key);
          if (kind === "call" && !closed.has(session)) {
            const own = `${session}/${calls++}`;
            const stop = new AbortController();
            open.set(own, { session, stop });
            // The token is the same for all: clients count from 1, too.
            at(sessions, session).call("t", { key: own }, { progressToken: 1 }, {
              signal: stop.signal,
              notify: ({ method, params }) => {
                assert.equal(method, "notifications/progress");
                assert.equal(params?.progressToken, 1);
                assert.equal(params?.message, own);
                progress.get(own)?.push(Number(params?.progress)) ??
                  progress.set(own, [Number(params?.progress)]);
              },
            }).then(
              (result) => settled.set(own, textOf(result)),
              (error) => settled.set(own, error),
            );
            await flush();
          } else if (kind === "answer" && key !== undefined) {
            program.say({ id: program.idOf(key), result: text(key) });
            await flush();
            assert.equal(settled.get(key), key);
            open.delete(key);
            // A second answer to the same call is for nobody.
            program.say({ id: program.idOf(key), result: text("again") });
          } else if (kind === "progress" && key !== undefined) {
            const params = { progressToken: program.idOf(key), progress: pick, message: key };
            const before = progress.get(key)?.length ?? 0;
            program.say({ method: "notifications/progress", params });
            assert.equal(progress.get(key)?.length, before + 1);
          } else if (kind === "cancel" && key !== undefined && chosen !== undefined) {
            chosen.stop.abort(new Error("enough"));
            await flush();
            assert.ok(settled.get(key) instanceof Error);
            const ids = program.told("notifications/cancelled").map(({ requestId }) => requestId);
            assert.equal(ids.at(-1), program.idOf(key));
            open.delete(key);
          } else if (kind === "stray") {
            // What nobody asked: answers, progress, updates, log messages.
            program.say({ id: 1_000_000 + pick, result: text("stray") });
            const params = { progressToken: 1_000_000 + pick, progress: 1 };
            program.say({ method: "notifications/progress", params });
            program.say({ method: "notifications/resources/updated", params: { uri: "memo://x" } });
            program.say({ method: "notifications/message", params: { level: "error", data: "x" } });
          } else if (kind === "close" && closed.size < 4 && !closed.has(session)) {
            closed.add(session);
            await at(sessions, session).session.close();
            await flush();
            for (const [own, { session: whose }] of [...open]) {
              if (whose !== session) continue;
              assert.ok(settled.get(own) instanceof Error);
              open.delete(own);
            }
          }
          for (const own of open.keys()) assert.equal(settled.has(own), false, own);
        }
        for (const { recorder } of sessions) {
          assert.deepEqual(recorder.notifications, []);
          assert.deepEqual(recorder.ends, []);
        }
        for (const [key, { session }] of open) {
          program.say({ id: program.idOf(key), result: text(key) });
          await flush();
          assert.equal(settled.get(key), key, `${session}`);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("[SHP-5] subscriptions are counted: the first is sent, and the last end", async () => {
    const { upstream, server } = manual();
    const sessions = await sessionsOf(upstream, ["a", "b", "c"]);
    const program = server();
    const sent = () =>
      ["subscribe", "unsubscribe"].map((each) => program.requests(`resources/${each}`).length);
    const uri = "memo://1";
    await Promise.all(
      [at(sessions, 0), at(sessions, 1)].map((each) =>
        each.request("resources/subscribe", { uri })
      ),
    );
    assert.deepEqual(sent(), [1, 0]);
    program.say({ method: "notifications/resources/updated", params: { uri } });
    program.say({ method: "notifications/resources/updated", params: { uri: "memo://2" } });
    program.say({ method: "notifications/resources/updated", params: { uri: 5 } });
    assert.deepEqual(sessions.map((each) => methodsOf(each).length), [1, 1, 0]);
    await at(sessions, 2).request("resources/unsubscribe", { uri });
    await at(sessions, 0).request("resources/unsubscribe", { uri });
    assert.deepEqual(sent(), [1, 0]);
    program.say({ method: "notifications/resources/updated", params: { uri } });
    assert.deepEqual(sessions.map((each) => methodsOf(each).length), [1, 2, 0]);
    // The session of the last one ends without a word.
    await at(sessions, 1).session.close();
    await flush();
    assert.deepEqual(sent(), [1, 1]);
    await at(sessions, 2).request("resources/subscribe", { uri });
    assert.deepEqual(sent(), [2, 1]);
  });

  test("[SHP-5] a subscription that the program refuses is nobody's, and the next one is sent", async () => {
    let refuse = true;
    const upstream = withShare(
      new FakeUpstream({
        answers: {
          "resources/subscribe": () => {
            if (!refuse) return {};
            throw new McpError(ErrorCode.InvalidParams, "No such resource");
          },
        },
      }),
      checkShare("test", { share: "all" }),
    );
    const sessions = await sessionsOf(upstream, ["a", "b"]);
    await assert.rejects(at(sessions, 0).request("resources/subscribe", { uri: "x" }), McpError);
    refuse = false;
    await at(sessions, 1).request("resources/subscribe", { uri: "x" });
  });

  test("[SHP-6] a changed list is news for all sessions", async () => {
    const { upstream, server } = manual();
    const sessions = await sessionsOf(upstream, ["a", "b", "c"]);
    await at(sessions, 2).session.close();
    server().say({ method: "notifications/tools/list_changed" });
    assert.deepEqual(sessions.map((each) => methodsOf(each).length), [1, 1, 0]);
  });

  test('[SHP-7] log messages go to nobody with "all", although one call runs', async () => {
    const { upstream, server } = manual();
    const sessions = await sessionsOf(upstream, ["a", "b"]);
    assert.equal(at(sessions, 0).session.facts.capabilities.logging, undefined);
    const call = at(sessions, 0).call("t", { key: "k" });
    await flush();
    server().say({ method: "notifications/message", params: { level: "error", data: "secret" } });
    server().say({ method: "notifications/elicitation/complete", params: { elicitationId: "1" } });
    server().say({ id: server().idOf("k"), result: text("done") });
    await call;
    assert.deepEqual(sessions.map(methodsOf), [[], []]);
  });

  test('[SHP-7] with "user" they go to the session whose call runs, or to all of the user', async () => {
    const { upstream, server } = manual({ share: "user" });
    const sessions = await sessionsOf(upstream, ["a", "a", "b"]);
    const program = server(0);
    const say = () =>
      program.say({ method: "notifications/message", params: { level: "error", data: "x" } });
    say();
    assert.deepEqual(sessions.map((each) => methodsOf(each).length), [1, 1, 0]);
    const call = at(sessions, 1).call("t", { key: "k" });
    await flush();
    say();
    program.say({ id: program.idOf("k"), result: text("done") });
    await call;
    assert.deepEqual(sessions.map((each) => methodsOf(each).length), [1, 2, 0]);
  });

  test("[SHP-8] the program gets the most verbose level that is wanted", async () => {
    const { upstream, server } = manual({ share: "user" });
    const sessions = await sessionsOf(upstream, ["a", "a"]);
    const levels = () => server().requests("logging/setLevel").map(({ params }) => params.level);
    await at(sessions, 0).request("logging/setLevel", { level: "error" });
    await at(sessions, 1).request("logging/setLevel", { level: "debug" });
    await at(sessions, 0).request("logging/setLevel", { level: "warning" });
    assert.deepEqual(levels(), ["error", "debug"]);
    await at(sessions, 1).session.close();
    await at(sessions, 0).request("logging/setLevel", { level: "info" });
    assert.deepEqual(levels(), ["error", "debug", "info"]);
  });
});

describe("what a program asks", () => {
  const question = (id: string, method = "elicitation/create") => ({
    id,
    method,
    params: { message: "Which?", requestedSchema: { type: "object", properties: {} } },
  });

  test('[SHP-9] is refused with "all", whatever runs, and reported once', async () => {
    const { upstream, server } = manual();
    const sessions = await sessionsOf(upstream, ["a", "b"]);
    const program = server();
    program.say(question("q1"));
    const call = at(sessions, 0).call("t", { key: "k" });
    await flush();
    program.say(question("one of one session runs"));
    const second = at(sessions, 0).call("t", { key: "l" });
    await flush();
    for (const [id, method] of [["q2"], ["q3", "sampling/createMessage"], ["q4", "roots/list"]]) {
      program.say(question(String(id), method));
    }
    await flush();
    for (const id of ["one of one session runs", "q1", "q2", "q3", "q4"]) {
      const { error } = program.answerTo(id) ?? {};
      assert.ok(isObject(error) && /several sessions use this server/.test(String(error.message)));
    }
    program.say({ id: program.idOf("k"), result: text("done") });
    program.say({ id: program.idOf("l"), result: text("done") });
    await Promise.all([call, second]);
    const events = sessions.flatMap(({ recorder }) => recorder.events);
    const refused = events.filter(({ type }) => type === "upstream-question-refused");
    assert.deepEqual(refused.map((event) => "method" in event ? event.method : ""), [
      "elicitation/create",
      "sampling/createMessage",
      "roots/list",
    ]);
    assert.ok(sessions.every(({ recorder }) => recorder.questions.length === 0));
  });

  test('[SHP-10] with "user" goes to the only session in whose call it may be, otherwise to none', async () => {
    const { upstream, server } = manual({ share: "user" });
    const sessions = await sessionsOf(upstream, ["a", "a"]);
    for (const { recorder } of sessions) {
      recorder.answer = () => ({ action: "accept", content: {} });
    }
    const program = server();
    const asked = () => sessions.map(({ recorder }) => recorder.questions.length);
    program.say(question("none runs"));
    const calls = [at(sessions, 1).call("t", { key: "1" })];
    await flush();
    program.say(question("one runs"));
    program.say(question("roots", "roots/list"));
    calls.push(at(sessions, 1).call("t", { key: "2" }));
    await flush();
    program.say(question("two of one session run"));
    calls.push(at(sessions, 0).call("t", { key: "3" }));
    await flush();
    program.say(question("two sessions have calls"));
    await flush();
    assert.deepEqual(asked(), [0, 2]);
    for (const id of ["none runs", "roots", "two sessions have calls"]) {
      assert.ok(program.answerTo(id)?.error, id);
    }
    for (const id of ["one runs", "two of one session run"]) {
      assert.ok(program.answerTo(id)?.result, id);
    }
    for (const key of ["1", "2", "3"]) program.say({ id: program.idOf(key), result: text(key) });
    await Promise.all(calls);
  });

  test("[SHP-11] calls of an upstream of 2026-07-28 say whose they are, and keep their questions", async () => {
    const asks: Answer = (call) => ({
      resultType: "input_required",
      inputRequests: { who: { method: "elicitation/create", params: {} } },
      requestState: String(call.params.name),
    });
    const fake = new FakeUpstream({
      version: "2026-07-28",
      answers: tools({ one: asks, two: asks }),
    });
    const upstream = withShare(fake, checkShare("test", { share: "all" }));
    const sessions = await sessionsOf(upstream, ["a", "b"]);
    const [one, two] = await Promise.all([
      at(sessions, 0).call("one"),
      at(sessions, 1).call("two"),
    ]);
    assert.deepEqual([one.requestState, two.requestState], ["one", "two"]);
    const meta = fake.session().calls[0]?.params._meta;
    assert.ok(isObject(meta));
    const capabilities = meta["io.modelcontextprotocol/clientCapabilities"];
    assert.deepEqual(capabilities, CAPABLE.capabilities);
  });

  test("[SHP-12] what a client notifies of stays with its session", async () => {
    const { upstream, server } = manual();
    const sessions = await sessionsOf(upstream, ["a", "b"]);
    const call = at(sessions, 0).call("t", { key: "k" });
    await flush();
    const id = server().idOf("k");
    const before = server().received.length;
    await at(sessions, 1).session.notify({
      method: "notifications/cancelled",
      params: { requestId: id },
    });
    await at(sessions, 1).session.notify({ method: "notifications/roots/list_changed" });
    assert.equal(server().received.length, before);
    server().say({ id, result: text("done") });
    assert.equal(textOf(await call), "done");
  });
});

describe("how long a program runs", () => {
  test("[SHP-13] its end ends each call of each session, and the next one starts one", async () => {
    const { upstream, servers, server } = manual();
    const sessions = await sessionsOf(upstream, ["a", "b"]);
    const calls = sessions.map((session, nth) => session.call("t", { key: `${nth}` }));
    await flush();
    const error = new UpstreamError("closed", { detail: "exit code 3" });
    server().onclose?.(error);
    for (const { reason, status } of await Promise.allSettled(calls) as PromiseRejectedResult[]) {
      assert.equal(status, "rejected");
      assert.equal(reason, error);
    }
    // All get the same error, so that it counts once.
    assert.deepEqual(sessions.map(({ recorder }) => recorder.ends), [[error], [error]]);
    assert.equal(upstream.programs, 0);
    await sessionsOf(upstream, ["a", "b", "c"]);
    assert.equal(servers.length, 2);
  });

  test("[SHP-13] a start that fails fails for all that wait for it, and the next is tried anew", async () => {
    let starts = 0;
    const upstream = withShare({
      kind: "stdio",
      identity: "fails",
      async open() {
        starts++;
        await flush();
        throw new UpstreamError("closed");
      },
    }, checkShare("test", { share: "all" }));
    const opened = await Promise.allSettled(
      ["a", "b", "c"].map((id) => sessionsOf(upstream, [id])),
    );
    assert.equal(countOf(opened, "rejected"), 3);
    assert.equal(starts, 1);
    await assert.rejects(sessionsOf(upstream, ["a"]));
    assert.equal(starts, 2);
  });

  test("[SHP-14] ends a while after its last session, and not if another comes before", async () => {
    const clock = new FakeClock();
    const { upstream, server, servers } = manual({ share: "all", shareLimits: { idleMs: 1000 } });
    const [first] = await sessionsOf(upstream, ["a"], { clock });
    await first?.session.close();
    await clock.advance(999);
    const [second] = await sessionsOf(upstream, ["b"], { clock });
    await clock.advance(5000);
    assert.equal(server().isClosed, false);
    await second?.session.close();
    await clock.advance(1000);
    assert.equal(server().isClosed, true);
    assert.equal(servers.length, 1);
    assert.equal(clock.pending, 0);
  });

  test("[SHP-14] nobody left to wait for its start stops it", async () => {
    let stopped = false;
    const upstream = withShare({
      kind: "stdio",
      identity: "slow",
      open: ({ signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener("abort", () => {
            stopped = true;
            reject(signal.reason);
          })
        ),
    }, checkShare("test", { share: "all" }));
    const stops = [new AbortController(), new AbortController()];
    const opening = stops.map(({ signal }) => sessionsOf(upstream, ["a"], { signal }));
    const settled = Promise.allSettled(opening);
    stops[0]?.abort(new Error("enough"));
    await flush();
    assert.equal(stopped, false);
    stops[1]?.abort(new Error("enough"));
    assert.equal(countOf(await settled, "rejected"), 2);
    await flush();
    assert.equal(stopped, true);
    assert.equal(upstream.programs, 0);
  });

  test("[SHP-15] a session that ends in mid-call cancels its own calls only", async () => {
    const { upstream, server } = manual();
    const sessions = await sessionsOf(upstream, ["a", "b"]);
    const gone = at(sessions, 0).call("t", { key: "gone" });
    const stays = at(sessions, 1).call("t", { key: "stays" });
    gone.catch(() => {});
    await flush();
    await at(sessions, 0).session.close();
    await assert.rejects(gone, UpstreamError);
    const cancelled = server().told("notifications/cancelled").map(({ requestId }) => requestId);
    assert.deepEqual(cancelled, [server().idOf("gone")]);
    server().say({ id: server().idOf("stays"), result: text("ok") });
    assert.equal(textOf(await stays), "ok");
    await assert.rejects(at(sessions, 0).call("t", { key: "late" }), UpstreamError);
  });

  test("[SHP-16] a busy program isn't probed, and one that is idle and silent ends for all", async () => {
    const { upstream, server } = manual();
    const sessions = await sessionsOf(upstream, ["a", "b"]);
    const call = at(sessions, 0).call("t", { key: "k" });
    await flush();
    assert.deepEqual(await at(sessions, 1).request("ping"), {});
    at(sessions, 1).session.lost?.();
    assert.equal(server().isClosed, false);
    server().say({ id: server().idOf("k"), result: text("ok") });
    await call;
    at(sessions, 1).session.lost?.();
    await flush();
    assert.equal(server().isClosed, true);
    assert.deepEqual(sessions.map(({ recorder }) => recorder.ends.length), [1, 0]);
  });
});

describe("bounds and turns", () => {
  test("[SHP-17] a program has a number of sessions, and refuses more", async () => {
    const { upstream, servers } = manual({ share: "all", shareLimits: { sessions: 2 } });
    const sessions = await sessionsOf(upstream, ["a", "b"]);
    await assert.rejects(sessionsOf(upstream, ["c"]), /Call again later: as many sessions/);
    await at(sessions, 0).session.close();
    await sessionsOf(upstream, ["c"]);
    assert.equal(servers.length, 1);
  });

  test("[SHP-18] a session with a thousand calls doesn't keep the others waiting", async () => {
    const shareLimits = { calls: 4, callsPerSession: 3, callsPerUser: 3, waitingPerSession: 1000 };
    const { upstream, server } = manual({ share: "all", shareLimits });
    const sessions = await sessionsOf(upstream, ["a", "b", "c"]);
    const program = server();
    const order = () =>
      program.requests("tools/call").map(({ params }) =>
        isObject(params.arguments) ? String(params.arguments.key) : ""
      );
    const many = Array.from(
      { length: 1000 },
      (_, nth) => at(sessions, 0).call("t", { key: `a${nth}` }),
    );
    await flush();
    assert.deepEqual(order(), ["a0", "a1", "a2"]);
    const others = [
      at(sessions, 1).call("t", { key: "b" }),
      at(sessions, 2).call("t", { key: "c" }),
    ];
    await flush();
    assert.deepEqual(order().slice(3), ["b"]);
    program.say({ id: program.idOf("a0"), result: text("") });
    await flush();
    assert.ok(order().includes("c") && order().length === 5);
    const done = new Set(["a0"]);
    for (let fresh = [""]; fresh.length > 0;) {
      fresh = order().filter((key) => !done.has(key));
      for (const key of fresh) {
        done.add(key);
        program.say({ id: program.idOf(key), result: text("") });
      }
      await flush();
    }
    await Promise.all([...many, ...others]);
    assert.equal(
      order().filter((key) => key.startsWith("a")).join(),
      many.map((_, nth) => `a${nth}`).join(),
    );
  });

  test("[SHP-18] with one turn for all, they take turns", async () => {
    const shareLimits = { calls: 1 };
    const { upstream, server } = manual({ share: "all", shareLimits });
    const sessions = await sessionsOf(upstream, ["a", "b", "c"]);
    const keys = ["a1", "a2", "a3", "b1", "b2", "c1", "c2"];
    const calls = keys.map((key) => at(sessions, "abc".indexOf(key.charAt(0))).call("t", { key }));
    for (const key of ["a1", "a2", "b1", "c1", "a3", "b2", "c2"]) {
      await flush();
      const sent = server().requests("tools/call").at(-1);
      assert.deepEqual(sent?.params.arguments, { key });
      server().say({ id: server().idOf(key), result: text("") });
    }
    await Promise.all(calls);
  });

  test("[SHP-18] many sessions of one user have one user's part", async () => {
    const shareLimits = { calls: 10, callsPerSession: 2, callsPerUser: 3 };
    const { upstream, server } = manual({ share: "all", shareLimits });
    const sessions = await sessionsOf(upstream, ["a", "a", "a", "b"]);
    for (const [nth, session] of sessions.entries()) {
      session.call("t", { key: `${nth}` }).catch(() => {});
      session.call("t", { key: `${nth}+` }).catch(() => {});
    }
    await flush();
    assert.equal(server().requests("tools/call").length, 3 + 2);
    for (const { session } of sessions) await session.close();
  });

  test("[SHP-19] what waits is bounded in number and time, and leaves with its signal", async () => {
    const clock = new FakeClock();
    const shareLimits = {
      calls: 1,
      callsPerSession: 1,
      callsPerUser: 1,
      waitingPerSession: 2,
      waitMs: 500,
    };
    const { upstream, server } = manual({ share: "all", shareLimits });
    const [session, other] = await sessionsOf(upstream, ["a", "b"], { clock });
    assert.ok(session && other);
    const runs = session.call("t", { key: "runs" });
    const stop = new AbortController();
    const left = session.call("t", { key: "left" }, undefined, { signal: stop.signal });
    const late = session.call("t", { key: "late" });
    left.catch(() => {});
    late.catch(() => {});
    await assert.rejects(
      session.call("t", { key: "more" }),
      /Call again later: the upstream is busy/,
    );
    stop.abort(new Error("enough"));
    await assert.rejects(left, /enough/);
    const ended = other.call("t", { key: "ended" });
    ended.catch(() => {});
    await flush();
    await other.session.close();
    await assert.rejects(ended, UpstreamError);
    await clock.advance(500);
    await assert.rejects(late, /Call again later/);
    server().say({ id: server().idOf("runs"), result: text("ok") });
    assert.equal(textOf(await runs), "ok");
    assert.deepEqual(server().requests("tools/call").length, 1);
    // The place is free again.
    const next = session.call("t", { key: "next" });
    await flush();
    server().say({ id: server().idOf("next"), result: text("ok") });
    await next;
  });
});

/** A gateway over an upstream, and what it reported. */
function served(upstream: Upstream, options: Parameters<typeof gateway>[0] = {}) {
  const gw = gateway({ upstreams: { files: upstream }, ...options });
  const events: McpEvent[] = [];
  const host = new GatewayHost();
  host.report = (event: McpEvent) => void events.push(event);
  gw.attach?.(host);
  return { gw, host, events };
}

const fakeShared = (init: FakeUpstreamInit, options: ShareOptions = { share: "all" }) => {
  const fake = new FakeUpstream(init);
  return { fake, upstream: withShare(fake, checkShare("test", options)) };
};

describe("behind a gateway", () => {
  test("[SHP-20] sessions and views use one, which counts as one and ends with the gateway", async () => {
    const { fake, upstream } = fakeShared({ answers: tools({ pid: () => text("1") }) });
    const { gw, events } = served(upstream);
    const only = gw.only("files");
    for (const [to, name] of [[gw, "files__pid"], [only, "pid"]] as const) {
      for (const id of ["s1", "s2"]) {
        assert.equal(textOf(await ask(to, callOf(name, sessionOf(`${id} ${name}`)))), "1");
      }
    }
    assert.equal(fake.sessions.length, 1);
    const [row] = gw.upstreamControl?.list() ?? [];
    assert.deepEqual([row?.sessions, row?.programs], [4, 1]);
    const counts = events.flatMap((event) =>
      event.type === "upstream-opened" ? [event.sessions] : []
    );
    assert.deepEqual(counts, [1, 2]);
    await gw.close();
    assert.equal(fake.live, 0);
  });

  test("[SHP-20] a restart, a removal and another setting end it; the same setting keeps it", async () => {
    const { fake, upstream } = fakeShared({
      identity: "same",
      answers: tools({ pid: () => text("1") }),
    });
    const other = fakeShared({ identity: "same", answers: tools({ pid: () => text("2") }) });
    const { gw } = served(upstream);
    const call = async (id: string) => textOf(await ask(gw, callOf("files__pid", sessionOf(id))));
    await call("s1");
    await gw.set("files", other.upstream);
    assert.equal(await call("s2"), "1");
    assert.deepEqual([fake.sessions.length, other.fake.sessions.length], [1, 0]);
    await gw.upstreamControl?.restart("files");
    assert.equal(fake.live, 0);
    await call("s1");
    assert.equal(fake.sessions.length, 2);
    await gw.remove("files");
    assert.equal(fake.live, 0);
    await gw.close();
  });

  test("[SHP-21] one crash of a program of many sessions counts once", async () => {
    const clock = new FakeClock();
    const fake = new FakeUpstream({ answers: tools({ hang: () => new Promise(() => {}) }) });
    const program: Upstream = {
      kind: "stdio",
      identity: "crashes",
      open: (init) => fake.open(init),
    };
    const upstream = withShare(program, checkShare("test", { share: "all" }));
    const { gw, events } = served(upstream, { clock });
    const sessions = Array.from({ length: 20 }, (_, nth) => sessionOf(`s${nth}`));
    const call = () =>
      Promise.allSettled(sessions.map((session) => ask(gw, callOf("files__hang", session))));
    /** Ends the program in which all sessions have a call. */
    const crash = async (nth: number, calls: Promise<PromiseSettledResult<unknown>[]>) => {
      await flush();
      assert.equal(fake.sessions.length, nth + 1);
      assert.equal(
        fake.session(nth).calls.filter(({ method }) => method === "tools/call").length,
        20,
      );
      const error = new UpstreamError("closed", { detail: "exit code 1" });
      fake.session(nth).opened.downstream.ended(error);
      assert.equal(countOf(await calls, "rejected"), 20);
    };
    // The first start after a crash is at once, and the second after a second.
    await crash(0, call());
    await crash(1, call());
    const third = call();
    await flush();
    assert.equal(fake.sessions.length, 2);
    await clock.advance(1300);
    await crash(2, third);
    const crashed = events.filter(({ type }) => type === "upstream-crashed");
    assert.deepEqual(crashed.map((event) => "crashes" in event ? event.crashes : 0), [3]);
    // All are told at once, and nothing starts.
    assert.equal(countOf(await call(), "rejected"), 20);
    assert.equal(fake.sessions.length, 3);
    await gw.close();
  });

  test("[SHP-22] its place is nobody's share, and one that nobody uses gives it to another", async () => {
    const takes: Upstream = {
      kind: "stdio",
      identity: "places",
      async open(init) {
        const release = await init.takeProgram?.();
        return await new FakeUpstream({
          answers: tools({ pid: () => text("1") }),
          closing: () => release?.(),
        }).open(init);
      },
    };
    const shared = withShare(takes, checkShare("test", { share: "all" }));
    const limits = { programs: 2, programsPerPrincipal: 1 };
    const gw = gateway({ upstreams: { files: shared, own: takes, more: takes }, limits });
    const session = sessionOf("s1");
    for (const name of ["files__pid", "own__pid"]) {
      assert.equal(textOf(await ask(gw, callOf(name, session))), "1");
    }
    assert.equal(gw.stats().programs, 2);
    const other = sessionOf("s2");
    const bob = { principal: { id: "bob" } };
    await gw.sessionEnded?.("s1", "deleted");
    assert.equal(textOf(await ask(gw, callOf("own__pid", other, bob))), "1");
    assert.equal(gw.stats().programs, 2);
    await gw.close();
    assert.equal(gw.stats().programs, 0);
  });

  test("[SHP-23] served alone it is seen as by all, without the methods of its own", async () => {
    const fake = fakeShared({
      capabilities: { tools: {}, tasks: {}, experimental: { own: {} } },
      answers: { ...tools({ pid: () => text("1") }), "tasks/list": () => ({ tasks: ["theirs"] }) },
    });
    const { gw } = served(fake.upstream);
    const only = gw.only("files");
    const session = sessionOf("s1");
    await ask(only, callOf("pid", session));
    const tasks = new GatewayExchange("tasks/list", {}, { session });
    await assert.rejects(async () => await ask(only, tasks), McpError);
    assert.ok(!fake.fake.session().methods.includes("tasks/list"));
    await gw.close();
  });
});

describe("over HTTP", () => {
  for (const [version, sessions] of [["2025-11-25", 1], ["2026-07-28", 0]] as const) {
    test(`[SHP-27] ${version}: each message has its own credentials, in one session if there is one`, async () => {
      const server = new McpServer({ name: "who", version: "1.0.0" });
      server.registerTool("who", {}, (_args, { principal }) => principal.id);
      const opened = new Set<string>();
      const handler = createMcpHandler(server, {
        authenticate: (request) => ({
          id: request.headers.get("authorization") ?? "",
          issuer: "i",
        }),
        onEvent: (event) => event.type === "session-opened" && opened.add(event.session),
      });
      const upstream = http({
        url: "https://who.example/mcp",
        share: "user",
        versions: [version],
        auth: () => "alice",
        fetch: (url, init) => handler(new Request(url, init)),
      });
      const gw = gateway({ upstreams: { it: upstream } });
      for (const id of ["s1", "s2", "s3"]) {
        assert.equal(textOf(await ask(gw, callOf("it__who", sessionOf(id)))), "Bearer alice");
      }
      assert.equal(opened.size, sessions);
      assert.equal(gw.upstreamControl?.list()[0]?.programs, 1);
      await gw.close();
      await handler.close();
    });
  }

  test("[SHP-28] a user without a name is known on this machine only, by the program", async () => {
    const { fake, upstream } = fakeShared({ answers: tools({ count }) }, { share: "user" });
    const { gw } = served(upstream);
    const call = async (id: string, sender: object) => {
      const exchange = callOf("files__count", sessionOf(id), { principal: ANONYMOUS });
      return textOf(await ask(gw, Object.assign(exchange, sender)));
    };
    const claude = { info: { name: "claude", version: "1" }, capabilities: {} };
    const local = { localPeer: "127.0.0.1", client: claude };
    assert.deepEqual([await call("s1", local), await call("s2", local)], ["1", "2"]);
    const other = { ...claude, info: { name: "cursor", version: "1" } };
    assert.equal(await call("s3", { ...local, client: other }), "1");
    assert.equal(await call("s4", { client: claude }), "1");
    assert.equal(await call("s5", { client: claude }), "1");
    assert.equal(fake.sessions.length, 4);
    await gw.close();
    assert.equal(fake.live, 0);
  });
});

describe("clients that attack each other", () => {
  test("[SHP-29] a cancellation with the id of another session's call ends the sender's own", async () => {
    const { upstream, server } = manual({ share: "all" }, { tools: {} });
    const gw = gateway({ upstreams: { it: upstream } });
    const handler = createMcpHandler(gw, {
      authenticate: (request) => ({ id: request.headers.get("authorization") ?? "" }),
    });
    const [ada, eve] = await Promise.all(
      ["ada", "eve"].map((authorization) => connect(handler, { headers: { authorization } })),
    );
    assert.ok(ada && eve);
    // Clients count their requests alike, so both calls have the same id.
    const stop = new AbortController();
    const theirs = ada.callTool("it__t", { key: "ada" });
    const own = eve.callTool("it__t", { key: "eve" }, { signal: stop.signal });
    own.catch(() => {});
    while (server().requests("tools/call").length < 2) await flush();
    stop.abort(new Error("enough"));
    await assert.rejects(own);
    while (server().told("notifications/cancelled").length < 1) await flush();
    const cancelled = server().told("notifications/cancelled").map(({ requestId }) => requestId);
    assert.deepEqual(cancelled, [server().idOf("eve")]);
    server().say({ id: server().idOf("ada"), result: text("for ada") });
    assert.equal(textOf({ ...await theirs }), "for ada");
    await Promise.all([ada.close(), eve.close()]);
    await handler.close();
    await gw.close();
    assert.equal(server().isClosed, true);
  });
});

describe("real programs", () => {
  test("[SHP-24] twenty sessions in one program, beside twenty programs: the same answers", async () => {
    const answersOf = async (share: "session" | "all") => {
      const upstream = tinyChild([], { share });
      const sessions = await sessionsOf(
        upstream,
        Array.from({ length: 20 }, (_, nth) => `u${nth}`),
      );
      const lists = await Promise.all(sessions.map((session) => session.request("tools/list")));
      const pids = await Promise.all(
        sessions.map(async (session) => String(textOf(await session.call("pid")))),
      );
      const instructions = sessions.map(({ session }) => session.facts.serverInfo);
      for (const { session } of sessions) await session.close();
      await upstream.endUnused?.();
      assert.ok([...new Set(pids)].every((pid) => !isAlive(Number(pid))));
      return { lists, instructions, programs: new Set(pids).size };
    };
    const own = await answersOf("session");
    const shared = await answersOf("all");
    assert.deepEqual(shared.lists, own.lists);
    assert.deepEqual(shared.instructions, own.instructions);
    assert.deepEqual([own.programs, shared.programs], [20, 1]);
  });

  test("[SHP-24] a program that is killed ends for all, and starts once", async () => {
    const upstream = tinyChild([], { share: "all" });
    const { gw } = served(upstream);
    const sessions = ["s1", "s2", "s3"].map(sessionOf);
    const pid = async (nth: number) => {
      const session = sessions[nth];
      assert.ok(session);
      return Number(textOf(await ask(gw, callOf("files__pid", session))));
    };
    const first = await pid(0);
    assert.deepEqual(await Promise.all([pid(1), pid(2)]), [first, first]);
    const hanging = sessions.map((session) => ask(gw, callOf("files__hang", session)));
    const settled = Promise.allSettled(hanging);
    await flush();
    process.kill(first, "SIGKILL");
    assert.equal(countOf(await settled, "rejected"), 3);
    const [one, two, three] = await Promise.all([pid(0), pid(1), pid(2)]);
    assert.deepEqual([one === first, two === one, three === one], [false, true, true]);
    await gw.close();
    assert.equal(isAlive(Number(one)), false);
  });
});
