/**
 * What an operator sees of an endpoint, and does to it, on one node and on several.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createOperator, type Operator } from "../../src/dashboard/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { endpointOf } from "../../src/handler/endpoint_of.ts";
import { gateway, local } from "../../src/gateway/mod.ts";
import { ToolError } from "../../src/server/tool_error.ts";
import { McpServer } from "../../src/server/server.ts";
import { Cluster, type TestNode } from "../support/cluster.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { settle } from "../support/settle.ts";
import {
  as,
  Blocker,
  byToken,
  Events,
  initialize,
  Peer,
  soon,
  Stub,
  text,
} from "../support/wire.ts";

/** A handler of its own with an operator. */
function single(options: { readonly operator?: boolean } = {}) {
  const clock = new FakeClock();
  const events = new Events();
  const blocker = new Blocker();
  const stub = new Stub({
    hello: () => text("Hello"),
    block: blocker.act,
    fail: () => ({ ...text("No"), isError: true }),
    boom: () => {
      throw new Error("secret-in-error");
    },
  });
  const handler = createMcpHandler(stub, { clock, authenticate: byToken, onEvent: events.onEvent });
  const make = () => createOperator(handler, { node: "one" });
  const operator = options.operator === false ? undefined : make();
  return { clock, events, blocker, handler, make, operator: operator as Operator };
}

/** A cluster whose nodes have operators. */
function operated(count: number, options: { readonly pinned?: boolean } = {}) {
  const cluster = new Cluster(options);
  const nodes = Array.from({ length: count }, () => cluster.add());
  const operators = nodes.map(({ handler }, index) =>
    createOperator(handler, { node: `node-${index}` })
  );
  return {
    cluster,
    nodes: nodes as [TestNode, TestNode, TestNode],
    operators: operators as [Operator, Operator, Operator],
    /** Lets time pass until a promise settles. */
    async during<T>(promise: Promise<T>, ms = 1_500): Promise<T> {
      await cluster.advance(ms);
      return await soon(promise);
    },
  };
}

describe("operator: one node", () => {
  /** An endpoint with a session, a stream, finished calls, a refusal, and a call that runs. */
  async function busy() {
    const { clock, handler, operator, blocker } = single();
    const peer = await initialize(handler, { headers: as("alice") });
    const frames = await peer.listen();
    await peer.result(await peer.call(1, "hello"));
    await peer.result(await peer.call(2, "fail"));
    const headers = new Headers({ ...as("alice"), "content-type": "text/plain" });
    await handler(new Request("http://localhost/mcp", { method: "POST", headers, body: "x" }));
    const running = peer.request(3, "tools/call", {
      name: "block",
      arguments: { secret: "b0dy" },
      _meta: { progressToken: "p" },
    });
    await blocker.running();
    const progress = { progressToken: "p", progress: 3, total: 10, message: "three\u202Eof\nten" };
    blocker.runs[0]?.notify({ method: "notifications/progress", params: progress });
    await clock.advance(5_000);
    return {
      peer,
      snapshot: await operator.snapshot(),
      async [Symbol.asyncDispose]() {
        blocker.gate.open("done");
        await (await running).body?.cancel();
        await frames.cancel();
        await handler.close({ graceMs: 0 });
      },
    };
  }

  test("[OPR-1] a snapshot shows the sessions with their users, versions and calls", async () => {
    await using world = await busy();
    const { sessions } = world.snapshot;
    assert.equal(sessions.length, 1);
    const [session] = sessions;
    assert.match(session?.session ?? "", /^[0-9a-f]{8}$/);
    assert.deepEqual(
      [session?.principal, session?.version, session?.nodes, session?.calls, session?.usedAt],
      ["alice", "2025-11-25", ["one"], 1, 0],
    );
  });

  test("[OPR-1] a snapshot shows what runs: its session, its age and its progress", async () => {
    await using world = await busy();
    const { calls: [call], sessions: [session], at } = world.snapshot;
    assert.deepEqual(
      [call?.tool, call?.principal, call?.session, call?.era, call?.id],
      ["block", "alice", session?.session, "2025", 4],
    );
    assert.deepEqual(call?.progress, { value: 3, total: 10, message: "three\\u202eof ten" });
    assert.equal(at - (call?.startedAt ?? 0), 5_000);
  });

  test("[OPR-1] a snapshot shows the open streams", async () => {
    await using world = await busy();
    const kinds = world.snapshot.streams.map(({ kind }) => kind).sort();
    assert.deepEqual(kinds, ["request", "server"]);
  });

  test("[OPR-1] a snapshot counts calls, failures and durations of each tool", async () => {
    await using world = await busy();
    const count = (tool: string) => {
      const row = world.snapshot.tools.find((row) => row.tool === tool);
      return [row?.count, row?.errors, row?.buckets.reduce((sum, n) => sum + n, 0)];
    };
    assert.deepEqual([count("hello"), count("fail")], [[1, 0, 1], [1, 1, 1]]);
  });

  test("[OPR-1] a snapshot counts refusals by reason and status", async () => {
    await using world = await busy();
    assert.deepEqual(
      world.snapshot.refusals.map(({ reason, status, count, lately }) => [
        ...[reason, status, count, lately],
      ]),
      [["content-type", 415, 1, 1]],
    );
  });

  test("[OPR-1] a snapshot shows how much of the limits is used, and how the nodes are", async () => {
    await using world = await busy();
    const { limits, nodes } = world.snapshot;
    const requests = limits.find(({ limit }) => limit === "limits.requests");
    assert.deepEqual([requests?.used, requests?.most], [1, 1_000]);
    assert.deepEqual(nodes.map(({ node, state }) => [node, state]), [["one", "healthy"]]);
  });

  test("[OPR-5] a snapshot holds no session id, argument or credential", async () => {
    await using world = await busy();
    const written = JSON.stringify(world.snapshot);
    for (const secret of [world.peer.sessionId ?? "?", "b0dy", "Bearer"]) {
      assert.ok(!written.includes(secret), secret);
    }
  });

  test("[OPR-2] nothing is collected without an operator, nor after it was closed", async () => {
    const { handler, make } = single({ operator: false });
    const quiet = createMcpHandler(new Stub({ hello: () => text("Hello") }));
    const { calls, reporter } = endpointOf(quiet).components;
    assert.deepEqual([calls.watched, reporter.enabled], [false, false]);
    const operator = createOperator(quiet);
    assert.throws(() => createOperator(quiet), /Close the handler's other operator/);
    const peer = await initialize(quiet);
    await peer.result(await peer.call(1, "hello"));
    assert.ok((await operator.snapshot()).tools.length > 0);
    await operator.close();
    await operator.close();
    assert.deepEqual([calls.watched, reporter.enabled], [false, false]);
    assert.equal(make().node, "one");
    assert.throws(() => endpointOf((() => {}) as never), /createMcpHandler/);
    await handler.close();
    await quiet.close();
  });

  test("[OPR-3, OPR-7] a cancelled call is answered once, in both eras, and its signal aborts", async () => {
    const { clock, events, handler, operator, blocker } = single();
    const peer = await initialize(handler, { headers: as("alice") });
    const modern = new ModernPeer(handler, { headers: as("ada") });
    const old = peer.call(1, "block");
    await blocker.running(1);
    const now = modern.call("block");
    await blocker.running(2);
    const { calls } = await operator.snapshot();
    assert.deepEqual(calls.map(({ era, principal }) => [era, principal]), [
      ["2025", "alice"],
      ["2026", "ada"],
    ]);
    for (const { id, node } of calls) {
      const result = await operator.act({ act: "cancel-call", node, id }, "op");
      assert.deepEqual(result, { ok: true, count: 1, message: "The call is cancelled" });
      const again = await operator.act({ act: "cancel-call", node, id }, "op");
      assert.equal(again.ok, false);
    }
    const message = "An operator cancelled the request";
    const answered = await peer.json(await soon(old));
    assert.deepEqual(answered.error, { code: -32001, message });
    const error = await modern.error(await soon(now));
    assert.deepEqual([error.code, error.message], [-32603, message]);
    assert.deepEqual(
      blocker.reasons.map((reason) => (reason as { kind?: unknown }).kind),
      ["operator-cancelled", "operator-cancelled"],
    );
    assert.deepEqual(
      events.of("operator-act").map(({ act, operator, target, outcome, count }) =>
        [act, operator, target, outcome, count].join()
      ),
      ["2,done,1", "2,failed,0", "3,done,1", "3,failed,0"]
        .map((rest) => `cancel-call,op,one/${rest}`),
    );
    assert.equal((await operator.snapshot()).tools.find(({ tool }) => tool === "block")?.errors, 2);
    // What the handler still says goes nowhere.
    blocker.gate.open("late");
    await clock.advance(10);
    await handler.close({ graceMs: 0 });
  });

  test("[OPR-3] a session, and everything of a user, end by short hash and name", async () => {
    const { handler, operator, blocker } = single();
    const peers: Peer[] = [];
    for (const id of ["alice", "alice", "ada"]) {
      peers.push(await initialize(handler, { headers: as(id) }));
    }
    const modern = new ModernPeer(handler, { headers: as("alice") }).call("block");
    await blocker.running();
    const { sessions } = await operator.snapshot();
    const first = sessions[0]?.session ?? "";
    assert.equal((await operator.act({ act: "end-session", session: first }, "op")).ok, true);
    const twice = await operator.act({ act: "end-session", session: first }, "op");
    assert.deepEqual([twice.ok, twice.message], [false, "The session has ended already"]);
    assert.equal((await peers[0]?.call(1, "hello"))?.status, 404);
    const ended = await operator.act({ act: "end-principal", principal: "alice" }, "op");
    assert.deepEqual([ended.ok, ended.count], [true, 2]);
    assert.match(await (await soon(modern)).text(), /An operator cancelled/);
    assert.equal((await peers[1]?.call(1, "hello"))?.status, 404);
    assert.equal((await peers[2]?.call(1, "hello"))?.status, 200);
    // A user of another issuer with the same id is another user.
    const other = { act: "end-principal", principal: "ada", issuer: "https://other" } as const;
    assert.equal((await operator.act(other, "op")).count, 0);
    assert.equal(handler.sessions.size, 1);
    blocker.gate.open("late");
    await handler.close({ graceMs: 0 });
  });

  test("[OPR-1] made-up tool names are one row, and push nothing out", async () => {
    const { handler, operator } = single();
    const peer = await initialize(handler, { headers: as("alice") });
    for (let i = 0; i < 3; i++) await peer.result(await peer.call(i, "hello"));
    for (let i = 0; i < 700; i++) {
      const response = await peer.call(i, `made-up-${i}-${"x".repeat(i === 0 ? 5_000 : 10)}`);
      await response.body?.cancel();
    }
    const { tools } = await operator.snapshot();
    const rows = tools.filter(({ method }) => method === "tools/call")
      .map(({ tool, count }) => [tool, count]);
    assert.deepEqual(rows, [["hello", 3], ["(unknown)", 700]]);
    await handler.close({ graceMs: 0 });
  });

  test("[OPR-1, OPR-3] upstreams have health, failures and output without secrets, and are restarted", async () => {
    const clock = new FakeClock();
    let fails = false;
    const inner = local(tools());
    const upstream = {
      kind: "local" as const,
      identity: "one",
      open: async (init: Parameters<typeof inner.open>[0]) => {
        if (fails) throw new Error("token pa55word refused");
        init.report({ type: "upstream-output", upstream: init.name, text: "up with pa55word" });
        return await inner.open(init);
      },
    };
    const gw = gateway({ upstreams: { notes: upstream } });
    const handler = createMcpHandler(gw, { clock });
    const redact = (text: string) => text.replaceAll("pa55word", "[secret]");
    const operator = createOperator(handler, { node: "one", redact });
    const peer = await initialize(handler);
    await peer.result(await peer.call(1, "notes__add"));
    const [row] = (await operator.snapshot()).upstreams;
    assert.deepEqual(
      [row?.upstream, row?.kind, row?.health, row?.sessions, row?.opened, row?.output],
      ["notes", "local", "up", 1, 1, ["up with [secret]"]],
    );
    const snapshot = await operator.snapshot();
    assert.equal(snapshot.tools.find(({ tool }) => tool === "notes__add")?.upstream, "notes");
    const restarted = await operator.act({ act: "restart-upstream", upstream: "notes" }, "op");
    assert.deepEqual([restarted.ok, restarted.count], [true, 1]);
    assert.equal((await operator.snapshot()).upstreams[0]?.health, "idle");
    assert.equal((await operator.act({ act: "restart-upstream", upstream: "x" }, "op")).ok, false);
    // The next call opens a new session.
    await peer.result(await peer.call(2, "notes__add"));
    assert.equal((await operator.snapshot()).upstreams[0]?.opened, 2);
    fails = true;
    await operator.act({ act: "restart-upstream", upstream: "notes" }, "op");
    await (await peer.call(3, "notes__add")).body?.cancel();
    const [failing] = (await operator.snapshot()).upstreams;
    assert.equal(failing?.health, "failing");
    assert.equal(failing?.failure, "opening: token [secret] refused");
    await handler.close({ graceMs: 0 });
    await gw.close();
  });

  test("[OPR-1] a reader who stops reading is slow, with a backlog", async () => {
    const { handler, operator, clock } = single();
    const peer = await initialize(handler, { headers: as("alice") });
    const response = await peer.get();
    const data = "x".repeat(30_000);
    for (let i = 0; i < 6; i++) {
      await handler.notify(peer.sessionId ?? "", {
        method: "notifications/message",
        params: { level: "info", data },
      });
    }
    await clock.advance(0);
    const [stream] = (await operator.snapshot()).streams;
    assert.deepEqual([stream?.kind, stream?.slow], ["server", true]);
    assert.equal((stream?.cursor ?? 0) + (stream?.backlog ?? 0), 6);
    assert.ok((stream?.backlog ?? 0) > 0 && (stream?.buffered ?? 0) > 30_000);
    await response.body?.cancel();
    await handler.close({ graceMs: 0 });
  });

  test("[OPR-3] two sessions with the same short hash: neither is ended", async () => {
    // The hashes of these two collide (FNV-1a, 32 bits).
    const handler = createMcpHandler(new Stub({}));
    const operator = createOperator(handler);
    const { sessions } = endpointOf(handler).components;
    for (const id of ["costarring", "liquid"]) {
      await sessions.store.reserve(id, undefined);
      await sessions.store.create({
        id,
        owner: undefined,
        createdAt: Date.now(),
        protocolVersion: undefined,
        client: { capabilities: {} },
        initialized: true,
        logLevel: undefined,
      });
    }
    const rows = (await operator.snapshot()).sessions;
    assert.equal(new Set(rows.map(({ session }) => session)).size, 1);
    const act = { act: "end-session", session: rows[0]?.session ?? "" } as const;
    assert.match((await operator.act(act, "op")).message, /^Two sessions have this short hash/);
    assert.equal(handler.sessions.size, 2);
    await operator.close();
    await handler.close({ graceMs: 0 });
  });
});

describe("operator: many nodes", () => {
  test("[OPR-1, OPR-3, OPR-4] every node is seen from one, and a call at another is cancelled", async () => {
    const { cluster, nodes: [a, b], operators: [operator], during } = operated(3);
    const peer = await initialize(b.handler, { headers: as("alice") });
    const running = peer.call(1, "block");
    await b.blocker.running();
    const snapshot = await during(operator.snapshot());
    assert.deepEqual(
      snapshot.nodes.map(({ node, state, self }) => [node, state, self]),
      [["node-0", "healthy", true], ["node-1", "healthy", false], ["node-2", "healthy", false]],
    );
    assert.deepEqual(snapshot.sessions.map(({ principal, nodes }) => [principal, nodes]), [
      ["alice", ["node-1"]],
    ]);
    const [call] = snapshot.calls;
    assert.deepEqual([call?.node, call?.tool], ["node-1", "block"]);
    const request = { act: "cancel-call", node: "node-1", id: call?.id ?? 0 } as const;
    const result = await during(operator.act(request, "op"));
    assert.equal(result.ok, true);
    assert.match(await (await soon(running)).text(), /An operator cancelled/);
    // What nodes say is encrypted: no name, no hash can be read on the bus.
    const said = cluster.store.texts.filter(({ opened }) => opened.includes('"operator"'));
    assert.ok(said.length >= 4);
    for (const { text } of said) {
      assert.ok(!/alice|node-1|block|cancel-call/.test(text));
      assert.ok(!text.includes(peer.sessionId ?? "?"));
    }
    assert.deepEqual(a.events.of("operator-act").map(({ target }) => target), [
      `node-1/${call?.id}`,
    ]);
    b.blocker.gate.open("late");
    await cluster.close();
  });

  test("[OPR-3] pinned sessions end from any node, and a user's calls at every node", async () => {
    const { cluster, nodes: [, b, c], operators: [operator], during } = operated(3, {
      pinned: true,
    });
    const one = await initialize(b.handler, { headers: as("alice") });
    const two = await initialize(c.handler, { headers: as("alice") });
    const modern = new ModernPeer(c.handler, { headers: as("alice") }).call("block");
    await c.blocker.running();
    const { sessions, calls } = await during(operator.snapshot());
    assert.deepEqual(sessions.map(({ nodes }) => nodes).sort(), [["node-1"], ["node-2"]]);
    assert.equal(calls.length, 1);
    const result = await during(operator.act({ act: "end-principal", principal: "alice" }, "op"));
    assert.deepEqual([result.ok, result.count], [true, 3]);
    assert.match(await (await soon(modern)).text(), /An operator cancelled/);
    for (const peer of [one, two]) assert.equal((await peer.call(1, "hello")).status, 404);
    assert.equal(b.stub.ended.length + c.stub.ended.length, 2);
    c.blocker.gate.open("late");
    await cluster.close();
  });

  test("[OPR-3] one node is drained, then the cluster, and each accepts sessions again", async () => {
    const { cluster, nodes: [a, b], operators: [operator], during } = operated(2);
    await during(operator.snapshot());
    const begins = async (node: TestNode) => {
      const peer = new Peer(node.handler, { headers: as("alice") });
      const response = await peer.post(peer.initializeRequest());
      await response.body?.cancel();
      return response.status;
    };
    const drain = (node: string, on: boolean) =>
      during(operator.act({ act: "drain-node", node, on }, "op"));
    assert.equal((await drain("node-1", true)).ok, true);
    assert.deepEqual([await begins(a), await begins(b)], [200, 503]);
    const states = async () =>
      (await during(operator.snapshot())).nodes.map(({ state, drainingAll }) =>
        `${state}${drainingAll ? ", all" : ""}`
      );
    assert.deepEqual(await states(), ["healthy", "draining"]);
    await during(operator.act({ act: "drain-cluster", on: true }, "op"));
    assert.deepEqual([await begins(a), await begins(b)], [503, 503]);
    assert.deepEqual(await states(), ["draining, all", "draining, all"]);
    assert.match((await drain("node-1", false)).message, /but the cluster does/);
    await during(operator.act({ act: "drain-cluster", on: false }, "op"));
    assert.deepEqual([await begins(a), await begins(b)], [200, 200]);
    assert.deepEqual(await states(), ["healthy", "healthy"]);
    assert.equal((await drain("node-9", true)).message, "There is no such node");
    await cluster.close();
  });

  test("[OPR-4] a dead node is lost, one that leaves is gone, and acts at neither hang", async () => {
    const { cluster, operators: [operator, second, third], during } = operated(3);
    await during(operator.snapshot());
    await third.close();
    await settle();
    assert.equal((await during(operator.snapshot())).nodes.length, 2);
    const { node: dead } = cluster.store.texts.map(({ from }) => ({ node: from }))
      .find(({ node }) =>
        node !==
          endpointOf(cluster.nodes[0]?.handler ?? assert.fail()).components.cluster.node &&
        node !== endpointOf(cluster.nodes[2]?.handler ?? assert.fail()).components.cluster.node
      ) ?? assert.fail();
    // It is silent before anybody notices: an act waits for five seconds at most.
    cluster.store.fate = (_text, to) => to === dead ? "lost" : "arrives";
    cluster.store.dead.add("nobody");
    const act = operator.act({ act: "drain-node", node: second.node, on: true }, "op");
    const result = await during(act, 6_000);
    assert.deepEqual([result.ok, result.message], [false, "The node node-1 doesn't answer"]);
    cluster.store.dead.add(dead);
    for (let i = 0; i < 4; i++) await during(operator.snapshot());
    const { nodes } = await during(operator.snapshot());
    assert.deepEqual(nodes.map(({ node, state }) => [node, state]), [
      ["node-0", "healthy"],
      ["node-1", "lost"],
    ]);
    const late = await during(operator.act({ act: "drain-node", node: "node-1", on: true }, "op"));
    assert.equal(late.message, "The node node-1 is lost");
    cluster.store.dead.delete(dead);
    cluster.store.fate = () => "arrives";
    assert.equal((await during(operator.snapshot())).nodes[1]?.state, "healthy");
    await cluster.close();
  });

  test("[OPR-4] what no operator of the cluster wrote is ignored", async () => {
    const { cluster, nodes: [a], during, operators: [operator] } = operated(2);
    const stranger = endpointOf(
      cluster.add({ requests: { stateKeys: ["x".repeat(32)] } }).handler,
    );
    const messenger = stranger.components.cluster.connection?.messenger ?? assert.fail();
    const node = endpointOf(a.handler).components.cluster.node ?? assert.fail();
    for (
      const text of ["{}", "", JSON.stringify({ kind: "act", id: "1", act: { act: "drain-node" } })]
    ) {
      await messenger.send(node, { kind: "operator", text });
    }
    // A node of the cluster whose message can't be decrypted, or isn't one
    const friend = endpointOf(cluster.add().handler).components.cluster.connection?.messenger;
    await friend?.send(node, { kind: "operator", text: "AAAA" });
    await settle();
    const { nodes } = await during(operator.snapshot());
    assert.deepEqual(nodes.map(({ state }) => state), ["healthy", "healthy"]);
    assert.equal(a.events.of("message-ignored").length >= 3, true);
    await cluster.close();
  });
});

function tools(): McpServer {
  const server = new McpServer({ name: "notes", version: "1.0.0" });
  server.registerTool("add", {}, () => "Added");
  server.registerTool("bad", {}, () => {
    throw new ToolError("No");
  });
  return server;
}
