import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { gateway, local } from "../../src/gateway/mod.ts";
import { McpError, MissingCapabilityError } from "../../src/protocol/errors.ts";
import type { Notification } from "../../src/protocol/exchange.ts";
import { connect, type TestClient } from "../../src/testing/mod.ts";
import { contractServer, THING } from "../contracts/upstream_servers.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { as, byToken, Events, soon } from "../support/wire.ts";
import {
  ask,
  callOf,
  FakeUpstream,
  type FakeUpstreamInit,
  GatewayExchange,
  GatewayHost,
  sessionOf,
  text,
  textOf,
  tools,
} from "./core_support.ts";

type ConnectOptions = NonNullable<Parameters<typeof connect>[1]>;

/** A client of a handler over a gateway over the contract server. */
async function connected(
  options: ConnectOptions,
  work: (client: TestClient, other: TestClient) => Promise<void>,
): Promise<void> {
  const gw = gateway({ upstreams: { up: local(contractServer()) } });
  const handler = createMcpHandler(gw, { authenticate: byToken });
  const client = await connect(handler, { headers: as("alice"), ...options });
  const other = await connect(handler, { headers: as("alice") });
  try {
    await work(client, other);
  } finally {
    await Promise.all([client.close(), other.close()]);
    await handler.close();
    assert.equal(gw.stats().sessions, 0);
    await gw.close();
  }
}

async function say(client: TestClient, name: string, args = {}): Promise<unknown> {
  return textOf({ ...await client.callTool(name, args) });
}

describe("a 2025 client of a gateway", () => {
  test("[GTW-1] two clients of one user count for themselves: 5 and 3", () =>
    connected({}, async (a, b) => {
      for (let n = 1; n <= 5; n++) assert.equal(await say(a, "up__count"), `${n}`);
      for (let n = 1; n <= 3; n++) assert.equal(await say(b, "up__count"), `${n}`);
    }));

  test("[GTW-8] progress comes through, in order and before the result", () =>
    connected({}, async (client) => {
      const seen: unknown[] = [];
      const onProgress = ({ progress }: { progress: number }) => seen.push(progress);
      await client.callTool("up__progress", { steps: 3 }, { onProgress });
      assert.deepEqual(seen, [1, 2, 3]);
    }));

  test("[GTW-8] cancelling a call stops the tool", () =>
    connected({}, async (client) => {
      const stop = new AbortController();
      const waiting = assert.rejects(
        client.callTool("up__wait", {}, { signal: stop.signal }),
        /Enough/,
      );
      await client.callTool("up__echo", { text: "" });
      stop.abort(new Error("Enough"));
      await waiting;
      for (let tries = 0; await say(client, "up__stopped") !== "1"; tries++) {
        assert.ok(tries < 1000, "The tool wasn't stopped");
      }
    }));

  test("[GTW-8] a tool can ask the user", () => {
    const onElicit = ({ message }: { message: string }) => {
      assert.equal(message, "Name?");
      return { action: "accept", content: { name: "Ada" } } as const;
    };
    return connected({ onElicit }, async (client) => {
      assert.match(String(await say(client, "up__ask")), /Ada/);
    });
  });

  test("[GTW-8] an upstream can ask outside of calls a client that listens", async () => {
    const { signal } = new AbortController();
    const answers: unknown[] = [];
    const upstream = new FakeUpstream({
      // As servers do that want to know the roots from the beginning.
      opening: ({ downstream }) => {
        downstream.ask("roots/list", {}, signal).then((answer) => answers.push(answer));
      },
    });
    const gw = gateway({ upstreams: { up: upstream } });
    const handler = createMcpHandler(gw);
    const client = await connect(handler, { onRoots: () => [{ uri: "file:///a" }] });
    for (let tries = 0; answers.length === 0; tries++) {
      assert.ok(tries < 10, "It wasn't asked");
      await client.request("ping");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const again = upstream.session().opened.downstream.ask("roots/list", {}, signal);
    answers.push(await soon(again, "an answer"));
    assert.deepEqual(answers, Array(2).fill({ roots: [{ uri: "file:///a" }] }));
    await client.close();
    await handler.close();
    await gw.close();
  });

  test("[SRV-2] [GTW-8] nobody is asked who can't be, which fails the tool", () =>
    connected({}, async (client) => {
      const { content, isError } = await client.callTool("up__ask");
      assert.equal(isError, true);
      assert.match(JSON.stringify(content), /has to ask the user, and this client can't/);
    }));

  test("[GTW-8] the log level is passed on, and what is below it is not", async () => {
    const logged: unknown[] = [];
    const onNotification = ({ method, params }: Notification) => {
      if (method === "notifications/message") logged.push(params?.data);
    };
    await connected({ onNotification }, async (client) => {
      await client.callTool("up__log");
      await client.request("logging/setLevel", { level: "error" });
      await client.callTool("up__log");
      await client.request("logging/setLevel", { level: "debug" });
      await client.callTool("up__log");
      assert.deepEqual(logged, ["logged", "logged"]);
    });
  });

  test("[GTW-8] that a list or a resource changed is told", async () => {
    const told: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const onNotification = ({ method, params }: Notification) => {
      told.push(`${method} ${params?.uri ?? ""}`);
      if (told.length === 2) resolve();
    };
    await connected({ onNotification }, async (client) => {
      await client.request("resources/subscribe", { uri: THING });
      await client.callTool("up__touch");
      await client.callTool("up__change");
      await soon(promise, "two notifications");
      assert.deepEqual(told.sort(), [
        `notifications/resources/updated ${THING}`,
        "notifications/tools/list_changed ",
      ]);
      const listed = await client.listTools();
      assert.ok(listed.some(({ name }) => name === "up__changed_1"));
      await client.request("resources/unsubscribe", { uri: THING });
    });
  });

  test("[GTW-8] errors of upstreams come as they are", () =>
    connected({}, async (client) => {
      await assert.rejects(client.callTool("up__refuse"), (error) => {
        assert.ok(error instanceof Error);
        assert.match(error.message, /Refused/);
        return true;
      });
      assert.equal((await client.callTool("up__fail")).isError, true);
    }));

  test("[GTW-8] a server at work behind two gateways works", async () => {
    const inner = gateway({ upstreams: { up: local(contractServer()) } });
    const outer = gateway({ upstreams: { in: local(inner) } });
    const handler = createMcpHandler(outer);
    const onElicit = () => ({ action: "accept", content: { name: "Ada" } }) as const;
    const client = await connect(handler, { onElicit });
    assert.match(String(await say(client, "in__up__ask")), /Ada/);
    assert.equal(await say(client, "in__up__count"), "1");
    await client.close();
    await handler.close();
    assert.equal(inner.stats().sessions, 0);
    await Promise.all([outer.close(), inner.close()]);
  });

  test("[GTW-8] the events of an upstream that is served alone go to its own endpoint", async () => {
    let isDown = true;
    const up = new FakeUpstream({
      answers: tools({ x: () => text("") }),
      opening: ({ report, name: upstream }) => {
        report({ type: "upstream-output", upstream, text: "Starting" });
        if (isDown) throw new Error("Down");
      },
    });
    const gw = gateway({ upstreams: { up } });
    const [whole, alone] = [new Events(), new Events()];
    const handler = createMcpHandler(gw, { onEvent: whole.onEvent });
    const only = createMcpHandler(gw.only("up"), { onEvent: alone.onEvent });
    await assert.rejects(connect(only), /"up" can't be used now/);
    isDown = false;
    const client = await connect(only);
    await client.callTool("x");
    await client.close();
    await connect(only);
    await only.close({ graceMs: 0 });
    const told = alone.all.map(({ type }) => type).filter((type) => type.startsWith("upstream-"));
    const session = ["upstream-output", "upstream-opened", "upstream-closed"];
    assert.deepEqual(told, ["upstream-output", "upstream-failed", ...session, ...session]);
    assert.ok(whole.all.every(({ type }) => !type.startsWith("upstream-")));
    await handler.close();
    await gw.close();
  });

  test("[GTW-8] one endpoint for each upstream serves that one alone", async () => {
    const gw = gateway({
      upstreams: {
        one: local(contractServer()),
        two: local(new McpServer({ name: "empty", version: "1.0.0" })),
      },
    });
    const handler = createMcpHandler(gw.only("one"));
    const client = await connect(handler);
    assert.equal(await say(client, "echo", { text: "alone" }), "alone");
    await assert.rejects(client.callTool("one__echo", { text: "" }));
    await gw.remove("one");
    assert.deepEqual(await client.listTools(), []);
    await assert.rejects(client.callTool("echo", { text: "" }), /Unknown tool: "echo"/);
    await client.close();
    await handler.close();
    await gw.close();
  });

  test("[GTW-8] results that are too large are refused by the endpoint", async () => {
    const server = new McpServer({ name: "large", version: "1.0.0" });
    server.registerTool("large", {}, () => "x".repeat(5000));
    const gw = gateway({ upstreams: { up: local(server) } });
    const handler = createMcpHandler(gw, { limits: { resultBytes: 4000 } });
    const client = await connect(handler);
    assert.equal((await client.callTool("up__large")).isError, true);
    await client.close();
    await handler.close();
    await gw.close();
  });

  test("[GTW-3] ending a session ends its upstream sessions, and initialize that fails leaves none", async () => {
    const events = new Events();
    const gw = gateway({ upstreams: { up: local(contractServer()) } });
    const handler = createMcpHandler(gw, {
      limits: { sessions: 1 },
      onEvent: events.onEvent,
    });
    const client = await connect(handler);
    assert.equal(gw.stats().sessions, 1);
    await client.close();
    await flush();
    assert.equal(gw.stats().sessions, 0);
    assert.deepEqual(events.of("upstream-closed").map(({ reason }) => reason), ["ended"]);
    await handler.close();
    await gw.close();
  });
});

/** A gateway over one upstream that says what a test has it say. */
function over(init: FakeUpstreamInit) {
  const clock = new FakeClock();
  const upstream = new FakeUpstream(init);
  const gw = gateway({ upstreams: { up: upstream }, clock });
  const host = new GatewayHost();
  gw.attach?.(host);
  return { clock, upstream, gw, host };
}

describe("what upstreams say by the way", () => {
  const session = sessionOf("a");

  test("[GTW-8] goes to the session that it is said in, and to no other", async () => {
    const { clock, upstream, gw, host } = over({
      capabilities: { resources: { subscribe: true }, logging: {} },
      answers: {
        "resources/list": () => ({ resources: [{ uri: "r://1", name: "r" }] }),
        "resources/subscribe": () => ({}),
        "resources/unsubscribe": () => ({}),
      },
    });
    const b = sessionOf("b");
    const subscribe = (uri: string, session = b) =>
      ask(gw, new GatewayExchange("resources/subscribe", { uri }, { session }));
    await subscribe("r://1", session);
    await subscribe("r://1", b);
    const [first, second] = upstream.sessions;
    const updated = { method: "notifications/resources/updated", params: { uri: "r://1" } };
    for (let n = 0; n < 5; n++) first?.opened.downstream.notified(updated);
    first?.opened.downstream.notified({ ...updated, params: { uri: "r://other" } });
    first?.opened.downstream.notified({ ...updated, params: { uri: 1 } });
    first?.opened.downstream.notified({ method: "notifications/odd" });
    second?.opened.downstream.notified({
      method: "notifications/message",
      params: { level: "info", data: "x" },
    });
    await clock.advance(250);
    assert.deepEqual(host.told, [
      ["b", { method: "notifications/message", params: { level: "info", data: "x" } }],
      ["a", updated],
    ]);
    await ask(gw, new GatewayExchange("resources/unsubscribe", { uri: "r://1" }, { session }));
    first?.opened.downstream.notified(updated);
    await clock.advance(250);
    assert.equal(host.told.length, 2);
    assert.deepEqual(host.updated, []);
    assert.deepEqual(host.broadcasts, []);
  });

  test("[GTW-8] subscriptions are bounded, and come back with a new session", async () => {
    const { upstream, gw } = over({
      capabilities: { resources: { subscribe: true } },
      answers: {
        "resources/list": () => ({ resources: [] }),
        "resources/subscribe": ({ params }) => {
          if (params.uri === "r://refused") throw new McpError(-32602, "Refused");
          return {};
        },
      },
    });
    const subscribe = (uri: string) =>
      ask(gw, new GatewayExchange("resources/subscribe", { uri }, { session }));
    await assert.rejects(subscribe("r://refused"), /Refused/);
    for (let n = 0; n < 100; n++) await subscribe(`r://${n}`);
    await subscribe("r://0");
    await assert.rejects(subscribe("r://100"), /Unsubscribe/);
    upstream.session().opened.downstream.ended(new Error("gone"));
    await ask(gw, new GatewayExchange("resources/list", {}, { session }));
    const again = upstream.session(1).methods.filter((method) => method === "resources/subscribe");
    assert.equal(again.length, 100);
  });

  test("[GTW-8] a question outside of calls is asked in the call that runs, else on its own", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { upstream, gw, host } = over({
      answers: tools({
        slow: async () => {
          await promise;
          return text("done");
        },
      }),
    });
    const capabilities = { roots: {} };
    await ask(gw, new GatewayExchange("initialize", {}, { session, capabilities }));
    const { downstream } = upstream.session().opened;
    const question = (method: string) => downstream.ask(method, {}, new AbortController().signal);
    host.answer = async (id, method) => ({ id, method });
    assert.deepEqual(await question("roots/list"), { id: "a", method: "roots/list" });
    await assert.rejects(question("sampling/createMessage"), MissingCapabilityError);
    const slow = callOf("up__slow", session, {
      capabilities,
      answer: () => ({ roots: [] }),
    });
    const answer = ask(gw, slow);
    await flush();
    assert.deepEqual(await question("roots/list"), { roots: [] });
    assert.deepEqual(slow.asked, [{ method: "roots/list", params: {} }]);
    await assert.rejects(question("sampling/createMessage"), MissingCapabilityError);
    await assert.rejects(question("tools/call"), { code: -32601 });
    await assert.rejects(question("constructor"), { code: -32601 });
    resolve();
    await answer;
  });

  test("[GTW-8] a question waits for a client that has no stream yet, but not for ever", async () => {
    const { clock, upstream, gw, host } = over({ answers: tools({ x: () => text("") }) });
    const init = { session, capabilities: { roots: {} } };
    await ask(gw, new GatewayExchange("initialize", {}, init));
    const { downstream } = upstream.session().opened;
    const question = (signal = new AbortController().signal) =>
      downstream.ask("roots/list", {}, signal);
    const refused = new McpError(-32000, "Open a GET stream");
    host.answer = () => Promise.reject(refused);
    // The stream is there when the client asks for something else.
    const first = question();
    await ask(gw, new GatewayExchange("ping", {}, init));
    await flush();
    host.answer = async () => ({ roots: [1] });
    await ask(gw, new GatewayExchange("ping", {}, init));
    assert.deepEqual(await first, { roots: [1] });
    // There is no stream, but a call.
    host.answer = undefined;
    const second = question();
    await ask(gw, callOf("up__x", session, { ...init, answer: () => ({ roots: [2] }) }));
    assert.deepEqual(await second, { roots: [2] });
    // Neither: it is tried so often, and waits so long.
    const often = assert.rejects(question(), /during a call/);
    for (let n = 0; n < 9; n++) {
      await flush();
      await ask(gw, new GatewayExchange("ping", {}, init));
    }
    await often;
    const long = assert.rejects(question(), /timed out/);
    const stop = new AbortController();
    const stopped = assert.rejects(question(stop.signal), /Enough/);
    await flush();
    stop.abort(new Error("Enough"));
    await stopped;
    await clock.advance(300_000);
    await long;
    const ended = assert.rejects(question(), /during a call/);
    await flush();
    await gw.sessionEnded?.("a", "deleted");
    await ended;
    assert.equal(clock.pending, 0);
  });

  test("[GTW-8] upstreams are told what the client can be asked, and nothing else", async () => {
    const { upstream, gw } = over({});
    const capabilities = {
      roots: { listChanged: true, odd: 1 },
      sampling: { tools: {}, odd: {} },
      elicitation: { form: {}, url: {} },
      experimental: { x: {} },
      extensions: { "io.modelcontextprotocol/tasks": {} },
    };
    const open = async (id: string, protocolVersion: "2025-11-25" | "2025-03-26") => {
      const session = sessionOf(id);
      const init = { session, capabilities, protocolVersion };
      await ask(gw, new GatewayExchange("initialize", {}, init));
    };
    await open("new", "2025-11-25");
    await open("old", "2025-03-26");
    assert.deepEqual(upstream.session(0).opened.client.capabilities, {
      roots: { listChanged: true },
      sampling: { tools: {} },
      elicitation: { form: {}, url: {} },
    });
    assert.equal(upstream.session(1).opened.client.capabilities.elicitation, undefined);
    const notify = (id: string) =>
      gw.notified?.({
        ...new GatewayExchange(""),
        method: "notifications/roots/list_changed",
        params: {},
        client: { capabilities },
        session: sessionOf(id),
        report() {},
      });
    await notify("new");
    await notify("unknown");
    assert.deepEqual(upstream.session(0).told, [{ method: "notifications/roots/list_changed" }]);
    assert.deepEqual(upstream.session(1).told, []);
  });

  test("[GTW-8] a call only carries progress and log messages", async () => {
    const { gw } = over({
      answers: tools({
        talk: (call) => {
          call.notify({ method: "notifications/progress", params: { progress: 1 } });
          call.notify({ method: "notifications/message", params: { level: "odd", data: 1 } });
          call.notify({ method: "notifications/message", params: { level: "info", data: 2 } });
          call.notify({ method: "notifications/tools/list_changed" });
          call.notify({ method: "notifications/odd" });
          return text("");
        },
      }),
    });
    const call = callOf("up__talk", session);
    await ask(gw, call);
    assert.deepEqual(call.notified.map(({ params }) => params?.progress ?? params?.data), [1, 2]);
  });

  test("[GTW-8] of the parameters, what is between the client and the gateway stays here", async () => {
    const { upstream, gw } = over({ answers: tools({ x: () => text("") }) });
    const _meta = {
      progressToken: 1,
      traceparent: "00-1",
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": {},
      "io.modelcontextprotocol/clientCapabilities": {},
      "io.modelcontextprotocol/logLevel": "debug",
    };
    const params = {
      name: "up__x",
      arguments: {},
      task: {},
      requestState: "s",
      inputResponses: {},
    };
    await ask(gw, new GatewayExchange("tools/call", { ...params, _meta }, { session }));
    assert.deepEqual(upstream.session().calls[0]?.params, {
      name: "x",
      arguments: {},
      _meta: { progressToken: 1, traceparent: "00-1" },
    });
  });
});
