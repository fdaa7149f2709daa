/**
 * Ten questions of an operator, each answered by what the page shows, by `mooring top`, or by the audit trail. The
 * docs have the same ten.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { audit } from "../../src/audit/mod.ts";
import { Unauthorized } from "../../src/auth/errors.ts";
import { plainText } from "../../src/cli/top/screen.ts";
import { TopState } from "../../src/cli/top/state.ts";
import { createDashboard, operatorTokens, percentile } from "../../src/dashboard/mod.ts";
import { gateway, http, local } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpServer } from "../../src/server/server.ts";
import { ToolError } from "../../src/server/tool_error.ts";
import { connect, type TestClient } from "../../src/testing/mod.ts";
import { FakeClock, flush } from "../support/clock.ts";

const NOON = Date.UTC(2026, 0, 2, 12);
const MINUTE = 60_000;

/** The questions, as the docs have them. */
const QUESTIONS = [
  "Who tried wrong tokens?",
  "Who ended this user's session?",
  "Which tool got slow at noon?",
  "Why did this user's call fail?",
  "What runs now, for whom, and since when?",
  "Who has the most sessions, and how full is the limit?",
  "Which upstream fails, and why?",
  "Who drains this node, and does it still?",
  "Which client programs speak an old version?",
  "What did this user call, and how did it end?",
] as const;

const docs = await readFile(new URL("../../docs/operator.md", import.meta.url), "utf8");
let asked = 0;

/** A day at an endpoint whose clock the test moves. */
async function bench() {
  const clock = new FakeClock(NOON - 10 * MINUTE);
  const server = new McpServer({ name: "tickets", version: "1.0.0" });
  const gates: (() => void)[] = [];
  const waiting = () => new Promise<void>((resolve) => void gates.push(resolve));
  server.registerTool("look", {}, () => "Looked");
  server.registerTool("report", {}, async () => {
    await waiting();
    return "Reported";
  });
  server.registerTool("close", {}, () => {
    throw new ToolError("The ticket is locked");
  });
  server.registerTool("crash", {}, () => {
    throw new Error("The database is away");
  });
  const gw = gateway({
    // Nobody listens there.
    upstreams: { tickets: local(server), files: http({ url: "http://127.0.0.1:1/mcp" }) },
  });
  let written = "";
  const trail = audit({ write: (lines) => void (written += lines), clock });
  const handler = createMcpHandler(gw, {
    clock,
    onEvent: trail.onEvent,
    events: { nodeName: "north" },
    limits: { sessions: 10 },
    authenticate({ headers }) {
      const [, user] = /^Bearer token-of-(\w+)$/.exec(headers.get("authorization") ?? "") ?? [];
      if (user === undefined) throw new Unauthorized("Send a token");
      return { id: user };
    },
  });
  const dashboard = createDashboard(handler, {
    clock,
    authenticate: operatorTokens({ operators: { ada: "the token of ada the operator" } }),
  });
  const clients: TestClient[] = [];
  const from = (address: string) => (request: Request) =>
    handler(request, { remoteAddr: { hostname: address } });
  return {
    clock,
    dashboard,
    /** Connects a user. */
    async user(name: string, clientName = "example", protocolVersion?: "2025-03-26") {
      const client = await connect(from("192.0.2.1"), {
        headers: { authorization: `Bearer token-of-${name}` },
        clientInfo: { name: clientName, version: "1.0" },
        ...protocolVersion !== undefined && { protocolVersion },
      });
      clients.push(client);
      return client;
    },
    /** Sends a request with a token that nobody has. */
    async stranger(address: string) {
      const headers = {
        authorization: "Bearer a-guess",
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      };
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });
      const response = await from(address)(
        new Request("http://localhost/mcp", { method: "POST", headers, body }),
      );
      assert.equal(response.status, 401);
      await response.text();
    },
    /** Lets the tool `report` take a time. */
    async report(client: TestClient, ms: number) {
      const call = client.callTool("tickets__report");
      while (gates.length === 0) await flush();
      await clock.advance(ms);
      gates.shift()?.();
      await call;
    },
    /** What `mooring top --once` writes. */
    async top() {
      const { at, omitted, ...set } = await dashboard.snapshot();
      const state = new TopState();
      state.apply({ at, omitted, reset: true, set, del: {} });
      return plainText(state, 160);
    },
    /** The lines of the audit trail. */
    async lines(): Promise<readonly Record<string, unknown>[]> {
      await trail.flush();
      return written.trim().split("\n").map((line) => JSON.parse(line));
    },
    async [Symbol.asyncDispose]() {
      for (const release of gates) release();
      await Promise.all(clients.map((client) => client.close().catch(() => {})));
      await dashboard.close();
      await handler.close({ graceMs: 0 });
      await gw.close();
      await trail.close();
    },
  };
}

/** One question, which the docs have too. */
function question(text: (typeof QUESTIONS)[number], answer: () => Promise<void>): void {
  asked += 1;
  test(`[OPR-19] ${text}`, async () => {
    assert.ok(docs.includes(text), "The docs have the question");
    await answer();
  });
}

describe("an operator's ten questions", () => {
  question("Who tried wrong tokens?", async () => {
    await using day = await bench();
    for (let tries = 0; tries < 3; tries++) await day.stranger("203.0.113.9");
    await day.stranger("198.51.100.7");
    const { refusals } = await day.dashboard.recent({ reason: "unauthorized" });
    assert.deepEqual(refusals.map(({ address, status }) => `${address} ${status}`), [
      "198.51.100.7 401",
      ...Array(3).fill("203.0.113.9 401"),
    ]);
    const refused = (await day.lines()).filter(({ act }) => act === "refused");
    assert.equal(refused.filter(({ address }) => address === "203.0.113.9").length, 3);
    assert.match(await day.top(), /unauthorized +401 +north +4 +4/);
  });

  question("Who ended this user's session?", async () => {
    await using day = await bench();
    const grace = await day.user("grace");
    await grace.callTool("tickets__look");
    const { sessions: [session] } = await day.dashboard.snapshot();
    const ended = await day.dashboard.act(
      { act: "end-session", session: session?.session ?? "" },
      "ada",
    );
    assert.ok(ended.ok);
    const line = (await day.lines()).find(({ act }) => act === "operator");
    assert.deepEqual(
      [line?.operator, line?.action, (line?.detail as Record<string, unknown>).principal],
      ["ada", "end-session", "grace"],
    );
    assert.match(await day.top(), new RegExp(`ada +end-session +${session?.session}`));
    const { acts: [act] } = await day.dashboard.snapshot();
    assert.deepEqual([act?.operator, act?.outcome], ["ada", "done"]);
  });

  question("Which tool got slow at noon?", async () => {
    await using day = await bench();
    const grace = await day.user("grace");
    for (const ms of [100, 120, 90]) await day.report(grace, ms);
    await day.clock.advance(10 * MINUTE);
    assert.equal(Math.floor(day.clock.now() / MINUTE), NOON / MINUTE);
    for (const ms of [4_000, 6_000]) await day.report(grace, ms);
    await grace.callTool("tickets__look");
    await day.clock.advance(5 * MINUTE);
    const slowest = async (tool: string) => {
      const { minutes } = await day.dashboard.recent({ tool });
      return minutes.map(({ at, buckets }) => [
        new Date(at).toISOString().slice(11, 16),
        (percentile(buckets, 0.95) ?? 0) > 1_000,
      ]);
    };
    assert.deepEqual(await slowest("tickets__report"), [["12:00", true], ["11:50", false]]);
    assert.deepEqual(await slowest("tickets__look"), [["12:00", false]]);
  });

  question("Why did this user's call fail?", async () => {
    await using day = await bench();
    const grace = await day.user("grace");
    await grace.callTool("tickets__look");
    await grace.callTool("tickets__close");
    await grace.callTool("tickets__crash");
    const other = await day.user("bob");
    await other.callTool("tickets__look");
    const { calls } = await day.dashboard.recent({ principal: "grace" });
    const found = calls.filter(({ tool }) => tool !== "");
    assert.deepEqual(found.map(({ tool, outcome, node }) => [tool, outcome, node]), [
      ["tickets__crash", "tool-error", "north"],
      ["tickets__close", "tool-error", "north"],
      ["tickets__look", "result", "north"],
    ]);
    // Each leads to its session, which has the same calls.
    const session = found[0]?.session ?? "";
    const { calls: same } = await day.dashboard.recent({ session });
    assert.ok(found.every(({ request }) => same.some((call) => call.request === request)));
    const trail = (await day.lines()).filter(({ act, outcome }) => act === "call" && outcome);
    assert.ok(trail.some(({ tool, errorType }) => tool === "tickets__close" && errorType));
  });

  question("What runs now, for whom, and since when?", async () => {
    await using day = await bench();
    const grace = await day.user("grace");
    await grace.callTool("tickets__look");
    await grace.listTools();
    const call = grace.callTool("tickets__report").catch(() => {});
    for (let turns = 0; (await day.dashboard.snapshot()).calls.length === 0; turns++) {
      assert.ok(turns < 500);
      await flush();
    }
    await day.clock.advance(90_000);
    const { calls: [running], at } = await day.dashboard.snapshot();
    assert.deepEqual([running?.tool, running?.principal, running?.upstream], [
      "tickets__report",
      "grace",
      "tickets",
    ]);
    assert.equal(at - (running?.startedAt ?? 0), 90_000);
    assert.match(await day.top(), /tickets__report +grace +example 1\.0 +north .* 1m30s/);
    const { node = "", id = 0 } = running ?? {};
    await day.dashboard.act({ act: "cancel-call", node, id }, "ada");
    await call;
  });

  question("Who has the most sessions, and how full is the limit?", async () => {
    await using day = await bench();
    for (let count = 0; count < 6; count++) await day.user("grace");
    await day.user("bob");
    const { sessions, limits } = await day.dashboard.snapshot();
    const counts = Map.groupBy(sessions, ({ principal }) => principal);
    const [[most = "", rows = []] = []] = [...counts].sort((a, b) => b[1].length - a[1].length);
    assert.deepEqual([most, rows.length], ["grace", 6]);
    const limit = limits.find(({ limit }) => limit === "limits.sessions");
    assert.deepEqual([limit?.used, limit?.most], [7, 10]);
    assert.match(await day.top(), /^sessions +north +70\.0% +7 +10$/m);
  });

  question("Which upstream fails, and why?", async () => {
    await using day = await bench();
    const grace = await day.user("grace");
    await grace.listTools();
    await assert.rejects(grace.callTool("files__read"));
    const { upstreams } = await day.dashboard.snapshot();
    const found = upstreams.filter(({ health }) => health === "failing");
    assert.deepEqual(found.map(({ upstream }) => upstream), ["files"]);
    assert.match(found[0]?.failure ?? "", /\w/);
    assert.match(await day.top(), /^files +failing +http +north /m);
  });

  question("Who drains this node, and does it still?", async () => {
    await using day = await bench();
    await day.dashboard.act({ act: "drain-node", node: "north", on: true }, "ada");
    const during = await day.dashboard.snapshot();
    assert.deepEqual(during.nodes.map(({ state }) => state), ["draining"]);
    assert.match(await day.top(), /north +draining/);
    await day.clock.advance(5 * MINUTE);
    await day.dashboard.act({ act: "drain-node", node: "north", on: false }, "grace hopper");
    const { nodes, acts } = await day.dashboard.snapshot();
    assert.deepEqual(nodes.map(({ state }) => state), ["healthy"]);
    assert.deepEqual(acts.map(({ act, operator }) => `${operator}: ${act}`), [
      "ada: drain-node",
      "grace hopper: undrain-node",
    ]);
    const lines = (await day.lines()).filter(({ act }) => act === "operator");
    assert.deepEqual(lines.map(({ time, operator, action }) => [time, operator, action]), [
      ["2026-01-02T11:50:00.000Z", "ada", "drain-node"],
      ["2026-01-02T11:55:00.000Z", "grace hopper", "undrain-node"],
    ]);
  });

  question("Which client programs speak an old version?", async () => {
    await using day = await bench();
    await day.user("grace", "new-ide");
    await day.user("bob", "old-chat", "2025-03-26");
    const { sessions } = await day.dashboard.snapshot();
    const old = sessions.filter(({ version }) => version < "2025-06-18");
    assert.deepEqual(old.map(({ client, principal, version }) => [client, principal, version]), [
      ["old-chat 1.0", "bob", "2025-03-26"],
    ]);
    assert.match(await day.top(), /bob +old-chat 1\.0 +2025-03-26/);
    const begun = (await day.lines()).filter(({ act }) => act === "session-begun");
    assert.ok(begun.some(({ protocolVersion }) => protocolVersion === "2025-03-26"));
  });

  question("What did this user call, and how did it end?", async () => {
    await using day = await bench();
    const grace = await day.user("grace");
    const bob = await day.user("bob");
    await grace.callTool("tickets__look");
    await bob.callTool("tickets__look");
    await day.clock.advance(30 * MINUTE);
    await grace.callTool("tickets__close");
    const calls = (await day.lines()).filter(({ act, principal }) =>
      act === "call" && principal === "grace"
    );
    assert.deepEqual(
      calls.map(({ time, tool, outcome, errorType }) => [
        String(time).slice(11, 16),
        tool,
        outcome,
        errorType,
      ]),
      [
        ["11:50", "tickets__look", "result", undefined],
        ["12:20", "tickets__close", "result", "tool_error"],
      ],
    );
    // Nothing of what was sent or answered
    assert.doesNotMatch(JSON.stringify(calls), /Looked|locked/);
  });

  test("[OPR-19] there are ten, and the docs have no other", () => {
    assert.equal(asked, QUESTIONS.length);
    const [, section = ""] = docs.split("## Ten questions");
    const inDocs = [...(section.split("\n## ")[0] ?? "").matchAll(/^\| ([^|]*\?) +\|/gm)];
    assert.deepEqual(inDocs.map(([, text = ""]) => text.trim()), [...QUESTIONS]);
  });
});
