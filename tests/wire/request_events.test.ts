/**
 * What events say about requests and sessions, and what they never say.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hashedPrincipals } from "../../src/audit/principal_hash.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, Events, initialize, type Peer } from "../support/wire.ts";

const SECRET = "s3cret";

function world(options: McpHandlerOptions = {}) {
  const server = new McpServer({ name: "events", version: "1.0.0" });
  server.registerTool("look", {}, () => "Looked");
  server.registerTool("fail", {}, () => ({ content: [], isError: true }));
  server.registerPrompt("greet", {}, () => "Hello");
  server.registerResource("fixed", "demo://fixed", {}, () => "Fixed");
  server.registerResource("note", "demo://notes/{id}", {}, () => "A note");
  const events = new Events();
  const handler = createMcpHandler(server, {
    authenticate: (request) => ({
      id: request.headers.get("authorization")?.slice(7) ?? "nobody",
      issuer: "https://login.example",
    }),
    onEvent: events.onEvent,
    ...options,
  });
  return { events, handler };
}

describe("MID: events of requests", () => {
  test("[MID-7] they name what is registered, the principal, the program and the outcome", async () => {
    const { events, handler } = world();
    const peer = await initialize(handler, { headers: as("alice") });
    const modern = new ModernPeer(handler, { headers: as("bob") });
    await peer.result(await peer.call(1, "look"));
    await modern.say("fail");
    const [started] = events.of("request-started").slice(-2);
    const [old, now] = events.of("request-finished").slice(-2);
    assert.ok(old && now && started);
    const { ms, responseChars, session, node, request, ...rest } = old;
    assert.deepEqual(rest, {
      type: "request-finished",
      method: "tools/call",
      tool: "look",
      prompt: undefined,
      resource: undefined,
      upstream: undefined,
      principal: "alice",
      issuer: "https://login.example",
      client: { name: "wire-test", version: "1.0.0" },
      era: "2025",
      protocolVersion: "2025-11-25",
      outcome: "result",
      errorType: undefined,
      cached: undefined,
      repeated: undefined,
      requestChars: JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "look", arguments: {} },
      }).length,
    });
    assert.ok(ms >= 0 && !Number.isNaN(ms) && Number(responseChars) > 50);
    assert.match(String(session), /^[0-9a-f]{8}$/);
    assert.match(node, /^[\w-]{16}$/);
    assert.deepEqual([started.request, started.tool], [request, "look"]);
    assert.deepEqual(
      [now.era, now.session, now.principal, now.client?.name, now.errorType],
      ["2026", undefined, "bob", "modern-test", "tool_error"],
    );
    assert.notEqual(now.request, request);
    await handler.close();
  });

  test("[MID-7] a name, URI or method that a client makes up is in none", async () => {
    const { events, handler } = world();
    const peer = await initialize(handler, { headers: as("alice") });
    const about = async (method: string, params: Record<string, unknown>) => {
      await (await peer.request(1, method, params)).text();
      const { method: name, tool, prompt, resource } = events.of("request-finished").at(-1) ?? {};
      return [name, tool ?? prompt ?? resource];
    };
    assert.deepEqual(await about("tools/call", { name: SECRET }), ["tools/call", undefined]);
    assert.deepEqual(await about("prompts/get", { name: SECRET }), ["prompts/get", undefined]);
    assert.deepEqual(await about("prompts/get", { name: "greet" }), ["prompts/get", "greet"]);
    assert.deepEqual(await about(`made/${SECRET}`, {}), ["(unknown)", undefined]);
    assert.deepEqual(await about("__proto__", {}), ["(unknown)", undefined]);
    const read = "resources/read";
    assert.deepEqual(await about(read, { uri: `other://${SECRET}` }), [read, undefined]);
    assert.deepEqual(await about(read, { uri: "demo://fixed" }), [read, "demo://fixed"]);
    assert.deepEqual(await about(read, { uri: `demo://notes/${SECRET}` }), [
      read,
      "demo://notes/{id}",
    ]);
    const ref = { type: "ref/resource", uri: "demo://notes/{id}" };
    const complete = "completion/complete";
    const argument = { name: "id", value: SECRET };
    assert.deepEqual(await about(complete, { ref, argument }), [complete, "demo://notes/{id}"]);
    assert.ok(!JSON.stringify(events.all.filter(({ type }) => type !== "error")).includes(SECRET));
    assert.ok(!JSON.stringify(events.all).includes(String(peer.sessionId)));
    await handler.close();
  });

  test("[MID-7] a client program's name is clipped, and can't control a terminal", async () => {
    const { events, handler } = world();
    const peer: Peer = (await initialize(handler, { headers: as("alice") })).with({});
    const request = peer.initializeRequest(1);
    const params = Object(request.params);
    const clientInfo = { name: `\u001b[31m\n\u202e${"n".repeat(500)}`, version: "1\r\n0" };
    await (await peer.post({ ...request, params: { ...params, clientInfo } })).text();
    const { client } = events.of("session-opened").at(-1) ?? {};
    assert.ok(client && client.name.length <= 101);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(client.name + client.version, /[\u0000-\u001f\u202e]/);
    assert.match(client.name, /^\\u001b\[31m \\u202en+…$/);
    await handler.close();
  });

  test("[MID-7] principals are hashed if that is wanted: alike for one, unlike for two, nowhere plain", async () => {
    const { events, handler } = world({ events: { principalName: hashedPrincipals() } });
    for (const id of ["alice", "alice", "bob"]) {
      const peer = await initialize(handler, { headers: as(id) });
      await peer.result(await peer.call(1, "look"));
    }
    const names = events.of("request-finished").filter(({ tool }) => tool === "look")
      .map(({ principal }) => principal);
    assert.equal(names[0], names[1]);
    assert.notEqual(names[0], names[2]);
    assert.ok(names.every((name) => /^[0-9a-f]{16}$/.test(name)));
    assert.doesNotMatch(JSON.stringify(events.all), /alice|bob/);
    assert.throws(
      () => world({ events: { principalName: "hashed" as never } }),
      /"events.principalName"/,
    );
    // Nodes that share a secret give the same principal the same hash.
    const named = async (key: string) => {
      const { events, handler } = world({
        events: { principalName: hashedPrincipals({ secret: key.repeat(32) }) },
      });
      await initialize(handler, { headers: as("alice") });
      await handler.close();
      return events.of("session-opened")[0]?.principal;
    };
    assert.throws(() => hashedPrincipals({ secret: "short" }), /32 bytes or more as "secret": 5/);
    assert.equal(await named("a"), await named("a"));
    assert.notEqual(await named("a"), await named("b"));
    await handler.close();
  });

  test("[MID-7] the end of a session says how long it lasted, however it ended", async () => {
    const clock = new FakeClock();
    const { events, handler } = world({ clock, sessions: { idleMs: 10_000 } });
    const [deleted, idle, shut] = await Promise.all(
      [1, 2, 3].map(() => initialize(handler, { headers: as("alice") })),
    );
    await clock.advance(1_000);
    await (await deleted?.delete())?.text();
    await clock.advance(8_000);
    await shut?.result(await shut.call(1, "look"));
    await clock.advance(60_000);
    const late = await initialize(handler, { headers: as("alice") });
    await clock.advance(500);
    const closing = handler.close();
    await clock.advance(5_000);
    await closing;
    assert.ok(idle && late);
    const ends = events.of("session-ended").map(({ reason, ms }) => `${reason} ${ms}`);
    assert.deepEqual(ends.slice(0, 1), ["deleted 1000"]);
    assert.ok(ends.slice(1, 3).every((end) => /^idle \d{5}$/.test(end)), String(ends));
    assert.deepEqual(ends.slice(3), ["shutdown 500"]);
  });
});
