import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { McpServer } from "../../../mod.ts";
import { IdleClock } from "../../../src/adapters/idle_clock.ts";
import { mcpWorker } from "../../../src/adapters/workers.ts";
import { SignedIds } from "../../../src/adapters/workers_ids.ts";
import { FakeClock } from "../../support/clock.ts";
import { Objects } from "../../support/worker_objects.ts";

const KEY = "a key of at least 32 bytes for tests";

function makeServer(): McpServer {
  const server = new McpServer({ name: "test", version: "1.0.0" });
  server.registerTool("hello", {}, () => "Hello!");
  return server;
}

function post(body: object, session?: string): Request {
  return new Request("http://localhost/mcp", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...session !== undefined && { "mcp-session-id": session },
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, ...body }),
  });
}

const INITIALIZE = {
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "test", version: "1.0.0" },
  },
};

describe("mcpWorker()", () => {
  test("[WRK-4] an alarm and the application end a session, and nothing stays stored", async () => {
    const worker = mcpWorker(makeServer, {
      requests: { stateKeys: [KEY] },
      sessions: { idleMs: 1 },
    });
    const objects = new Objects(worker);
    const { env } = objects;
    const begin = async () => {
      const response = await worker.fetch(post(INITIALIZE), env);
      return response.headers.get("mcp-session-id") ?? "";
    };
    const idle = await begin();
    const alarm = objects.alarms.get(idle);
    assert.ok(alarm);
    while (objects.log.length === 0) await alarm();
    assert.equal(objects.alarms.has(idle), false);
    assert.equal((await worker.fetch(post({ method: "ping" }, idle), env)).status, 404);
    assert.deepEqual(objects.log, ["deleteAll"]);
    const second = mcpWorker(makeServer, { requests: { stateKeys: [KEY] } });
    const others = new Objects(second);
    const response = await second.fetch(post(INITIALIZE), others.env);
    const session = response.headers.get("mcp-session-id") ?? "";
    assert.equal(await second.notify(others.env, session, { method: "notifications/a" }), true);
    assert.equal(await second.end(others.env, session), true);
    assert.deepEqual(others.log, ["deleteAll"]);
    assert.equal(await second.notify(others.env, session, { method: "notifications/a" }), false);
    assert.equal(await second.end(others.env, "x"), false);
    assert.equal(others.size, 1);
    objects.close();
    others.close();
  });

  test("[WRK-5] an object that is not reached through its Worker answers nobody", async () => {
    const worker = mcpWorker(makeServer(), { requests: { stateKeys: [KEY] } });
    const objects = new Objects(worker);
    const response = await objects.get(objects.idFromName("x")).fetch(post(INITIALIZE));
    assert.equal(response.status, 500);
    assert.equal(response.headers.has("mcp-session-id"), false);
    objects.close();
  });

  test("names what is missing", async () => {
    const keyless = mcpWorker(makeServer());
    await assert.rejects(keyless.fetch(post(INITIALIZE), {}), /"requests.stateKeys"/);
    const unbound = mcpWorker(makeServer(), { requests: { stateKeys: [KEY] }, binding: "HERE" });
    await assert.rejects(unbound.fetch(post(INITIALIZE), {}), /no binding "HERE"/);
    // @ts-expect-error: not a server
    assert.throws(() => mcpWorker({}), TypeError);
  });

  test("needs no binding without sessions", async () => {
    const worker = mcpWorker(makeServer(), () => ({ sessions: false }));
    const response = await worker.fetch(post(INITIALIZE), {});
    assert.equal(response.status, 200);
    assert.equal(response.headers.has("mcp-session-id"), false);
    assert.equal(await worker.end({}, "x"), false);
  });
});

describe("SignedIds", () => {
  test("[WRK-5] verifies its own ids, also by an older key, and no others", async () => {
    const ids = new SignedIds([KEY]);
    const id = await ids.mint();
    assert.match(id, /^[\w-]{32}$/);
    assert.equal(await ids.verify(id), true);
    assert.equal(await new SignedIds([`new ${KEY}`, KEY]).verify(id), true);
    assert.equal(await new SignedIds([`new ${KEY}`]).verify(id), false);
    for (let at = 0; at < id.length; at++) {
      const other = id[at] === "A" ? "B" : "A";
      assert.equal(await ids.verify(id.slice(0, at) + other + id.slice(at + 1)), false);
    }
    for (const text of ["", id.slice(1), `${id}A`, "\0".repeat(32)]) {
      assert.equal(await ids.verify(text), false);
    }
  });
});

describe("IdleClock", () => {
  test("[WRK-4] has no timers while it is suspended, and those that are due after it", async () => {
    const real = new FakeClock();
    const clock = new IdleClock(real);
    const calls: string[] = [];
    clock.timer(100, () => calls.push("early"));
    clock.timer(1_000, () => calls.push("late"));
    clock.timer(100, () => calls.push("never"))();
    assert.equal(real.pending, 0);
    clock.resume();
    clock.resume();
    assert.equal(real.pending, 2);
    clock.suspend();
    assert.equal(real.pending, 0);
    await real.advance(500);
    assert.deepEqual(calls, []);
    clock.resume();
    await real.advance(1);
    assert.deepEqual(calls, ["early"]);
    await real.advance(499);
    assert.deepEqual(calls, ["early", "late"]);
    clock.suspend();
    assert.equal(real.pending, 0);
  });
});
