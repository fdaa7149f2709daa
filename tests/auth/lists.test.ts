import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Authorize } from "../../src/auth/authorize.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken, Events, initialize, seen } from "../support/wire.ts";

const SECRET = "test://secret";

/** A server with a resource and a prompt that not everybody may have. */
function makeServer(): McpServer {
  const server = new McpServer({ name: "lists", version: "1.0.0" });
  server.registerResource("open", "test://open", {}, () => "Open");
  server.registerResource("secret", SECRET, {}, () => "Secret");
  server.registerPrompt("open", {}, () => "Open");
  server.registerPrompt("secret", {}, () => "Secret");
  return server;
}

/** Only root may have what is secret. */
const guard: Authorize = ({ id }, { params: { uri, name, notifications } }) =>
  id === "root" ||
  uri !== SECRET && name !== "secret" && !JSON.stringify(notifications ?? "").includes(SECRET);

const ASKED: readonly [string, JsonObject][] = [
  ["resources/read", { uri: SECRET }],
  ["resources/subscribe", { uri: SECRET }],
  ["prompts/get", { name: "secret" }],
];

describe("AUTH: resources and prompts", () => {
  test("[AUTH-5] one that is refused is answered like an unknown method, though it stands in the list", async () => {
    const events = new Events();
    const handler = createMcpHandler(makeServer(), {
      authenticate: byToken,
      authorize: guard,
      onEvent: events.onEvent,
    });
    const root = await initialize(handler, { headers: as("root") });
    const ben = await initialize(handler, { headers: as("ben") });
    for (const [method, params] of ASKED) {
      await root.result(await root.request(1, method, params));
      const { error } = await ben.json(await ben.request(1, method, params));
      assert.deepEqual(error, { code: -32601, message: `Unknown method: "${method}"` });
      const modern = new ModernPeer(handler, { headers: as("ben") });
      const { status, body } = await seen(await modern.request(method, params));
      assert.equal(status, 404);
      assert.ok(!body.includes("ecret"), body);
    }
    for (const method of ["resources/list", "prompts/list"]) {
      assert.match(JSON.stringify(await ben.result(await ben.request(1, method))), /secret/);
    }
    assert.ok(events.refusals.includes("hidden"));
    await handler.close({ graceMs: 0 });
  });

  test("[AUTH-5] the list is as unknown as any method where it is refused too", async () => {
    const handler = createMcpHandler(makeServer(), {
      authenticate: byToken,
      authorize: (principal, message) =>
        guard(principal, message) && (principal.id === "root" || !/\/list$/.test(message.method)),
    });
    const ben = await initialize(handler, { headers: as("ben") });
    for (const method of ["resources/list", "resources/templates/list", "prompts/list"]) {
      const { error } = await ben.json(await ben.request(1, method));
      assert.deepEqual(error, { code: -32601, message: `Unknown method: "${method}"` });
    }
    const modern = new ModernPeer(handler, { headers: as("ben") });
    const listen = await modern.request("subscriptions/listen", {
      notifications: { resourceSubscriptions: [SECRET] },
    });
    assert.equal(listen.status, 404);
    await listen.body?.cancel();
    await handler.close({ graceMs: 0 });
  });
});
