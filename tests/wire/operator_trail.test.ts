/**
 * What an operator finds out afterwards: who did what, and why it failed.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { audit, hashedAddresses } from "../../src/audit/mod.ts";
import { Unauthorized } from "../../src/auth/errors.ts";
import { createOperator, type OperatorOptions } from "../../src/dashboard/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { EventOptions } from "../../src/handler/types.ts";
import { McpServer } from "../../src/server/server.ts";
import { ToolError } from "../../src/server/tool_error.ts";
import { z } from "zod";
import { FakeClock } from "../support/clock.ts";
import { initialize, soon } from "../support/wire.ts";

/** An argument that must show up nowhere. */
const SECRET = "b0dy-5ecret";
const KEY = "a secret that is long enough for all of them";

/** An endpoint with an operator and a trail. */
function bench(options: OperatorOptions = {}, events: EventOptions = { nodeName: "north" }) {
  const clock = new FakeClock();
  let written = "";
  const trail = audit({ write: (lines) => void (written += lines), clock });
  const server = new McpServer({ name: "demo", version: "1.0.0" });
  const inputSchema = z.object({ query: z.string() });
  const started = Promise.withResolvers<void>();
  server.registerTool("look", { inputSchema }, () => "Looked");
  server.registerTool("full", { inputSchema }, ({ query }) => {
    throw new ToolError(`The disk is full: ${query}`);
  });
  server.registerTool("broken", { inputSchema }, ({ query }) => {
    throw new RangeError(`No such row: ${query}`);
  });
  server.registerTool("wait", { inputSchema }, (_args, { signal }) => {
    started.resolve();
    return new Promise<string>((_resolve, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason))
    );
  });
  const handler = createMcpHandler(server, {
    clock,
    events,
    onEvent: trail.onEvent,
    authenticate({ headers }) {
      const user = headers.get("x-user");
      if (user === null) throw new Unauthorized("Send a user");
      return { id: user, issuer: "https://login.example" };
    },
  });
  const operator = createOperator(handler, options);
  return {
    clock,
    handler,
    operator,
    started: started.promise,
    peer: (user: string) => initialize(handler, { headers: { "x-user": user } }),
    async lines(): Promise<Record<string, unknown>[]> {
      await trail.flush();
      return written.trim().split("\n").map((line) => JSON.parse(line));
    },
    async close() {
      await operator.close();
      await handler.close({ graceMs: 0 });
      await trail.close();
    },
  };
}

/** The context that the Node adapter passes. */
const from = (remoteAddress: string) => ({ incoming: { socket: { remoteAddress } } });

describe("the trail of operators", () => {
  test("[OPR-13, OPR-12] it names the call, its user and its request; draining and its end differ", async () => {
    const { close, handler, lines, operator, peer, started } = bench();
    assert.equal(operator.node, "north");
    const ada = await peer("ada");
    const call = ada.call(7, "wait", { query: SECRET });
    await soon(started);
    const { calls: [running], sessions: [session], nodes } = await operator.snapshot();
    assert.deepEqual(nodes.map(({ node }) => node), ["north"]);
    assert.ok(running !== undefined && session !== undefined);
    const { id, node } = running;
    await operator.act({ act: "cancel-call", node, id }, "grace");
    await soon(call).then((response) => response.body?.cancel());
    await operator.act({ act: "drain-node", node, on: true }, "grace");
    await operator.act({ act: "drain-node", node, on: false }, "grace");
    await operator.act({ act: "drain-cluster", on: true }, "grace");
    await operator.act({ act: "drain-cluster", on: false }, "linus");
    await operator.act({ act: "end-session", session: session.session }, "linus");
    await operator.act({ act: "end-principal", principal: "eve" }, "linus");
    const all = await lines();
    const acts = all.filter(({ act }) => act === "operator");
    assert.deepEqual(acts.map(({ action, operator }) => `${action} ${operator}`), [
      "cancel-call grace",
      "drain-node grace",
      "undrain-node grace",
      "drain-cluster grace",
      "undrain-cluster linus",
      "end-session linus",
      "end-principal linus",
    ]);
    assert.deepEqual(acts[0]?.detail, {
      ...{ target: `north/${id}`, outcome: "done", count: 1, request: id, method: "tools/call" },
      ...{ tool: "wait", session: session.session, principal: "ada" },
      issuer: "https://login.example",
    });
    // The same number as the line of the call itself.
    const cancelled = all.find(({ outcome }) => outcome === "operator-cancelled");
    assert.deepEqual([cancelled?.request, cancelled?.tool, cancelled?.node], [id, "wait", "north"]);
    assert.deepEqual(acts[5]?.detail, {
      ...{ target: session.session, outcome: "done", count: 1, session: session.session },
      ...{ principal: "ada", issuer: "https://login.example" },
    });
    assert.ok(!JSON.stringify(all).includes(SECRET));
    await handler.close({ graceMs: 0 });
    await close();
  });

  test("[OPR-13] a refusal has its sender's address: whole, short, hashed, or not", async () => {
    const hashed = hashedAddresses({ secret: KEY });
    const expected: readonly [EventOptions["address"], string, unknown][] = [
      [undefined, "192.0.2.7", "192.0.2.7"],
      ["full", "::ffff:192.0.2.7", "192.0.2.7"],
      ["full", "2001:DB8::7", "2001:db8::7"],
      ["short", "192.0.2.7", "192.0.2.0/24"],
      ["short", "2001:db8:1:2::7", "2001:db8:1::/48"],
      ["short", "a name", undefined],
      ["none", "192.0.2.7", undefined],
      [hashed, "192.0.2.7", hashed("192.0.2.7", new Request("http://localhost"))],
      [(_, { headers }) => headers.get("x-real-ip") ?? undefined, "192.0.2.7", "198.51.100.1"],
      [
        () => {
          throw new Error("Broken");
        },
        "192.0.2.7",
        undefined,
      ],
    ];
    for (const [address, sender, wanted] of expected) {
      const events = { nodeName: "north", ...address !== undefined && { address } };
      const { close, handler, lines, operator } = bench({}, events);
      const headers = { "content-type": "application/json", "x-real-ip": "198.51.100.1" };
      const request = new Request("http://localhost/mcp", { method: "POST", headers, body: "{}" });
      const response = await handler(request, from(sender));
      assert.ok(response.status >= 400);
      const [line] = await lines();
      assert.equal(line?.act, "refused");
      assert.equal(line?.address, wanted, String(address));
      const { refusals: [refusal] } = await operator.recent({});
      assert.deepEqual([refusal?.address, refusal?.node], [wanted ?? "", "north"]);
      await close();
    }
    assert.match(hashed("192.0.2.7", new Request("http://localhost")) ?? "", /^[0-9a-f]{16}$/);
    for (const wrong of ["whole", 1, {}]) {
      assert.throws(() => bench({}, { address: wrong as "full" }), /events\.address/);
    }
    assert.throws(() => bench({}, { nodeName: "" }), /events\.nodeName/);
  });
});

describe("why a call failed", () => {
  test("[OPR-14, OPR-5] the last calls have outcome, error and trace, without arguments and results", async () => {
    const { clock, close, operator, peer } = bench();
    const ada = await peer("ada");
    const eve = await peer("eve");
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const send = (user: typeof ada, id: number, name: string) =>
      user.request(id, "tools/call", { name, arguments: { query: SECRET }, _meta: { traceparent } })
        .then((response) => response.text());
    await send(ada, 1, "look");
    await clock.advance(1_000);
    await send(ada, 2, "full");
    await send(ada, 3, "broken");
    await send(eve, 4, "look");
    const { calls } = await operator.recent({ principal: "ada" });
    assert.deepEqual(
      calls.filter(({ method }) => method === "tools/call").map((
        { tool, outcome, node, traceId },
      ) => [tool, outcome, node, traceId].join()),
      [
        "broken,tool-error,north,0af7651916cd43dd8448eb211c80319c",
        "full,tool-error,north,0af7651916cd43dd8448eb211c80319c",
        "look,result,north,0af7651916cd43dd8448eb211c80319c",
      ],
    );
    assert.ok(calls.every(({ ms, session }) => ms === 0 && /^[0-9a-f]{8}$/.test(session)));
    assert.ok(!JSON.stringify(calls).includes(SECRET));
    assert.ok(!/disk/.test(JSON.stringify(calls)));
    const { minutes } = await operator.recent({ tool: "look" });
    assert.equal(minutes.reduce((sum, { count }) => sum + count, 0), 2);
    const [one] = calls;
    const found = await operator.recent({ request: one?.request ?? 0 });
    assert.deepEqual(found.calls, [one]);
    await close();
  });

  test("[OPR-14] arguments, results and what tools say are kept if they are asked for", async () => {
    const redact = (text: string) => text.replaceAll("5ecret", "***");
    const { close, operator, peer } = bench({ recordArguments: true, recordResults: true, redact });
    const ada = await peer("ada");
    await ada.result(await ada.call(1, "full", { query: SECRET }));
    const { calls: [call] } = await operator.recent({ tool: "full" });
    assert.equal(call?.error, "The disk is full: b0dy-***");
    assert.equal(call?.arguments, '{"query":"b0dy-***"}');
    assert.match(call?.result ?? "", /^\{"content":.*b0dy-\*\*\*/);
    assert.throws(() => bench({ recordResults: "yes" as unknown as boolean }), /"recordResults"/);
    await close();
  });

  test("[OPR-14, OPR-11] what is kept is bounded, and a minute is over after a minute", async () => {
    const { clock, close, operator, peer } = bench();
    const ada = await peer("ada");
    for (let id = 1; id <= 1_400; id++) {
      const response = await ada.call(id, "look", { query: SECRET });
      await response.body?.cancel();
    }
    const { calls } = await operator.recent({});
    assert.equal(calls.length, 50);
    const { nodes: [node], history } = await operator.snapshot();
    assert.deepEqual([node?.minute.count, node?.minute.requests], [1_400, 1]);
    // Whoever looks, and when: it is the node's number.
    assert.deepEqual((await operator.snapshot()).nodes[0]?.minute, node?.minute);
    assert.equal(history.length, 1);
    await clock.advance(60_000);
    const later = await operator.snapshot();
    assert.deepEqual([later.nodes[0]?.minute.count, later.history[0]?.count], [0, 1_400]);
    await close();
  });
});
