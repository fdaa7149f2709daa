/**
 * The audit trail: what it says, what it never says, and what happens when it can't be written.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { audit } from "../../src/audit/audit.ts";
import type { AuditOptions } from "../../src/audit/types.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock } from "../support/clock.ts";
import { CAPABLE, ModernPeer, questionsOf, stateOf } from "../support/modern.ts";
import { as, byToken, Gate, initialize, soon } from "../support/wire.ts";

const YES = { action: "accept", content: { approve: true } };
const SECRET = "s3cret-argument";
const REFUSED: McpEvent = { type: "refused", status: 403, reason: "origin" };

/** The entries in lines, without their times. */
function entriesIn(lines: string): JsonObject[] {
  assert.ok(lines === "" || lines.endsWith("\n"));
  return lines.split("\n").filter((line) => line !== "").map((line) => {
    const { time, ...entry } = JSON.parse(line);
    assert.match(time, /^\d{4}-\d\d-\d\dT/);
    return entry;
  });
}

/** A trail whose lines are kept. */
function kept(options: Partial<AuditOptions> = {}) {
  const lines: string[] = [];
  const trail = audit({ write: (text) => void lines.push(text), ...options });
  return { trail, entries: () => entriesIn(lines.join("")), lines };
}

function server(): McpServer {
  const made = new McpServer({ name: "audited", version: "1.0.0" });
  const inputSchema = z.object({ path: z.string() });
  made.registerTool("look", { inputSchema }, () => `Result ${SECRET}`);
  made.registerTool("fail", { inputSchema }, () => {
    throw new McpError(-32050, `Failed ${SECRET}`);
  });
  made.registerTool("purge", { inputSchema, scopes: ["admin"] }, () => "Purged");
  made.registerTool("delete", { inputSchema, approval: true }, () => "Deleted");
  made.registerResource("note", "demo://notes/{id}", {}, () => "A note");
  return made;
}

function world(options: McpHandlerOptions = {}) {
  const { trail, entries, lines } = kept();
  const handler = createMcpHandler(server(), {
    authenticate: byToken,
    onEvent: trail.onEvent,
    ...options,
  });
  const found = async (...acts: readonly string[]) => {
    await trail.flush();
    return entries().filter(({ act }) => acts.includes(String(act)));
  };
  return { handler, trail, entries, lines, found };
}

describe("AUD: what the trail says", () => {
  test("[AUD-1] sessions, calls and refusals are lines, without token, session id or body", async () => {
    const { handler, found, trail, lines } = world({
      allowedOrigins: ["https://app.example"],
      authorize: (_, { params }) => params.name !== "hidden",
    });
    const peer = await initialize(handler, { headers: as("alice") });
    const id = String(peer.sessionId);
    await peer.result(await peer.call(1, "look", { path: SECRET }));
    await (await peer.call(2, "fail", { path: SECRET })).text();
    await (await peer.call(3, `made-up-${SECRET}`)).text();
    await (await peer.call(4, "purge", { path: SECRET })).text();
    await peer.result(await peer.request(5, "resources/read", { uri: `demo://notes/${SECRET}` }));
    await (await peer.send("POST", { origin: "https://evil.example" })).text();
    await (await peer.get(undefined, { authorization: `Bearer ${SECRET}` })).text();
    await (await peer.delete()).text();
    const begun = (await found("session-begun"))[0];
    assert.deepEqual(
      [begun?.principal, begun?.client, begun?.protocolVersion],
      ["alice", { name: "wire-test", version: "1.0.0" }, "2025-11-25"],
    );
    const calls = (await found("call")).map((
      { tool, resource, outcome, errorType, principal },
    ) => [tool ?? resource, outcome, errorType, principal]);
    assert.deepEqual(calls, [
      ["look", "result", undefined, "alice"],
      ["fail", "error", "-32050", "alice"],
      [undefined, "error", "-32602", "alice"],
      ["demo://notes/{id}", "result", undefined, "alice"],
    ]);
    const refused = (await found("refused")).map((
      { reason, principal, method, tool },
    ) => [reason, principal, method, tool]);
    assert.deepEqual(refused, [
      ["forbidden", "alice", "tools/call", "purge"],
      ["origin", undefined, undefined, undefined],
      ["unauthorized", undefined, undefined, undefined],
    ]);
    const [ended] = await found("session-ended");
    assert.equal(ended?.reason, "deleted");
    assert.equal(typeof ended?.ms, "number");
    await trail.close();
    const text = lines.join("");
    for (const secret of [SECRET, id, "Bearer"]) assert.ok(!text.includes(secret), secret);
    await handler.close();
  });

  test("[AUD-1] a name from outside stays on its line, and shows what it is", async () => {
    const name = "a\u2028b\u2029c\u202ed\u2066e\u0085f\u200b";
    const { handler, lines, entries, trail } = world({ authenticate: () => ({ id: name }) });
    const peer = await initialize(handler);
    await peer.result(await peer.call(1, "look", { path: "x" }));
    await trail.flush();
    assert.match(lines.join(""), /^[\x20-\x7e\n]+$/);
    assert.ok(entries().some(({ act, principal }) => act === "call" && principal === name));
    await handler.close();
  });

  test("[AUD-1] an approval is two lines, in both eras", async () => {
    const { handler, found } = world();
    const peer = await initialize(handler, {
      headers: as("alice"),
      capabilities: { elicitation: {} },
    });
    const frames = peer.frames(await peer.call(1, "delete", { path: SECRET }));
    const question = await frames.message();
    await peer.reply(question?.id, { action: "decline" });
    await frames.rest();
    const modern = new ModernPeer(handler, { headers: as("bob"), capabilities: CAPABLE });
    const first = await modern.say("delete", { path: SECRET });
    const [key = ""] = Object.keys(questionsOf(first));
    const retry = { requestState: stateOf(first), inputResponses: { [key]: YES } };
    await modern.say("delete", { path: SECRET }, retry);
    const approvals = await found("approval-asked", "approval-answered");
    assert.deepEqual(
      approvals.map(({ act, tool, principal, answer }) => [act, tool, principal, answer]),
      [
        ["approval-asked", "delete", "alice", undefined],
        ["approval-answered", "delete", "alice", "denied"],
        ["approval-asked", "delete", "bob", undefined],
        ["approval-answered", "delete", "bob", "approved"],
      ],
    );
    await handler.close();
  });

  test("[AUD-1] an operator's act is a line, clipped and escaped", async () => {
    const { trail, entries } = kept();
    trail.record({
      action: "end-session",
      operator: "ada",
      detail: { session: "0a1b2c3d", long: "x".repeat(1_000), ended: 1, hidden: "a\u202eb\nc" },
    });
    assert.throws(() => trail.record({ action: "" }), /"action"/);
    await trail.close();
    const [{ detail, ...entry } = {}] = entries();
    assert.deepEqual(entry, { act: "operator", action: "end-session", operator: "ada" });
    assert.ok(isObject(detail));
    assert.deepEqual([detail.session, detail.ended, detail.hidden], ["0a1b2c3d", 1, "a\\u202eb c"]);
    assert.ok(String(detail.long).length <= 201);
  });

  test("[AUD-1] wrong options are errors that name them", () => {
    assert.throws(() => audit({} as AuditOptions), /"write"/);
    assert.throws(() => audit({ write() {}, methods: "tools/call" as never }), /"methods"/);
    assert.throws(() => audit({ write() {}, queueChars: 0 }), /"queueChars"/);
  });
});

describe("AUD: when it can't be written", () => {
  test("[AUD-2] a flood behind a slow writer is bounded, counted and said; refusals don't displace calls", async () => {
    const gate = new Gate();
    const lines: string[] = [];
    const trail = audit({
      queueChars: 10_000,
      async write(text) {
        if (lines.push(text) === 1) await gate.promise;
      },
    });
    trail.onEvent(REFUSED);
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(lines.length, 1);
    for (let i = 0; i < 10_000; i++) trail.onEvent(REFUSED);
    const { queued, dropped } = trail.stats();
    assert.ok(queued < 100, `${queued}`);
    assert.equal(queued + dropped, 10_001);
    // The other half of the queue is left for acts that not anybody can cause.
    trail.record({ action: "end-session" });
    assert.equal(trail.stats().dropped, dropped);
    gate.open();
    await soon(trail.flush());
    const entries = entriesIn(lines.join(""));
    assert.deepEqual(entries.filter(({ act }) => act === "dropped"), [{
      act: "dropped",
      lines: dropped,
    }]);
    assert.equal(entries.at(-1)?.action, "end-session");
    assert.deepEqual(trail.stats(), { written: queued + 1, dropped, queued: 0, failures: 0 });
    await trail.close();
  });

  test("[AUD-2] a writer that throws is tried three times, and what it lost is said", async () => {
    const clock = new FakeClock();
    const lines: string[] = [];
    let failing = true;
    const failed = () => trail.stats().failures;
    const trail = audit({
      clock,
      write(text) {
        if (failing) throw new Error("No space left on device");
        lines.push(text);
      },
    });
    trail.record({ action: "one" });
    trail.record({ action: "two" });
    for (let n = 1; n <= 3; n++) {
      await until(() => failed() === n);
      await clock.advance(1_000);
    }
    await soon(trail.flush());
    assert.deepEqual(trail.stats(), { written: 0, dropped: 2, queued: 0, failures: 3 });
    failing = false;
    trail.record({ action: "three" });
    await soon(trail.flush());
    assert.deepEqual(entriesIn(lines.join("")), [
      { act: "dropped", lines: 2 },
      { act: "operator", action: "three", detail: {} },
    ]);
    // A failure that passes loses nothing.
    failing = true;
    trail.record({ action: "four" });
    await until(() => failed() === 4);
    failing = false;
    await clock.advance(1_000);
    await soon(trail.flush());
    assert.equal(trail.stats().dropped, 2);
    assert.equal(entriesIn(lines.join("")).at(-1)?.action, "four");
    await trail.close();
  });

  test("[AUD-2] close() writes what waits, also after a failure, and waits for a hung writer in vain only so long", async () => {
    const { trail, entries } = kept();
    for (let i = 0; i < 1_000; i++) trail.record({ action: `act ${i}` });
    await trail.close();
    assert.equal(entries().length, 1_000);
    trail.record({ action: "late" });
    assert.deepEqual(trail.stats(), { written: 1_000, dropped: 1, queued: 0, failures: 0 });

    const clock = new FakeClock();
    const hung = audit({ clock, write: () => new Promise<void>(() => {}), closeMs: 50 });
    hung.record({ action: "one" });
    await new Promise((resolve) => setTimeout(resolve, 0));
    hung.record({ action: "two" });
    const closing = hung.close();
    await clock.advance(50);
    await soon(closing);
    assert.deepEqual(hung.stats(), { written: 0, dropped: 2, queued: 0, failures: 0 });
    await hung.close();

    let once = false;
    const lines: string[] = [];
    const flaky = audit({
      clock,
      write(text) {
        if (!once) {
          once = true;
          throw new Error("Try again");
        }
        lines.push(text);
      },
    });
    flaky.record({ action: "kept" });
    await until(() => flaky.stats().failures === 1);
    await soon(flaky.close());
    assert.equal(entriesIn(lines.join(""))[0]?.action, "kept");
  });

  test("[AUD-2] a handler answers while its trail can't be written", async () => {
    const trail = audit({ write: () => Promise.reject(new Error("No")), closeMs: 0 });
    const handler = createMcpHandler(server(), { onEvent: trail.onEvent });
    const peer = await initialize(handler);
    for (let i = 0; i < 20; i++) {
      await peer.result(await peer.call(i + 1, "look", { path: "/" }));
    }
    await handler.close();
    await trail.close();
    assert.equal(trail.stats().dropped, 22);
  });
});

/** Waits, turn by turn, until something holds. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !holds(); i++) await new Promise((done) => setTimeout(done, 0));
  assert.ok(holds());
}
