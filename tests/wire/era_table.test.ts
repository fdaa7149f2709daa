/**
 * The era table: an endpoint serves either era with the other's row removed.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ERAS } from "../../src/handler/eras.ts";
import { makeHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { Events, initialize, Peer, refused, Stub, text, textOf } from "../support/wire.ts";

const MODERN = "2026-07-28";
const ENVELOPE: JsonObject = {
  "io.modelcontextprotocol/protocolVersion": MODERN,
  "io.modelcontextprotocol/clientCapabilities": {},
};
const HEADERS = {
  "mcp-protocol-version": MODERN,
  "mcp-method": "tools/call",
  "mcp-name": "hello",
};

function endpoint(era: "2025" | "2026", options: McpHandlerOptions = {}) {
  const events = new Events();
  const stub = new Stub({ hello: () => text("Hello") });
  const rows = { [era]: ERAS[era] };
  return {
    stub,
    events,
    handler: makeHandler(stub, { onEvent: events.onEvent, ...options }, rows),
  };
}

function callModern(peer: Peer): Promise<Response> {
  return peer.request(1, "tools/call", { name: "hello", _meta: ENVELOPE }, HEADERS);
}

describe("ERA: one row of the table", () => {
  test("[ERA-1] without the 2026 row, 2025 clients are served whole, and 2026 ones learn the versions", async () => {
    const { handler, stub, events } = endpoint("2025");
    const peer = await initialize(handler);
    assert.equal(textOf(await peer.result(await peer.call(1, "hello"))), "Hello");
    const stream = await peer.listen();
    await stream.next();
    assert.ok(
      await handler.notify(String(peer.sessionId), { method: "notifications/tools/list_changed" }),
    );
    assert.equal((await stream.message())?.method, "notifications/tools/list_changed");
    const called = stub.exchanges.length;
    const { data } = await refused(await callModern(new Peer(handler)), 400, -32022, 1);
    assert.equal((data as JsonObject).requested, MODERN);
    assert.equal(stub.exchanges.length, called);
    assert.deepEqual(events.refusals, ["version"]);
    assert.equal((await peer.delete()).status, 204);
    await stream.cancel();
    await handler.close();
  });

  test("[ERA-1] without the 2025 row, 2026 clients are served whole, and others refused", async () => {
    const { handler, stub, events } = endpoint("2026");
    const peer = new Peer(handler);
    assert.equal(textOf(await peer.result(await callModern(peer))), "Hello");
    const called = stub.exchanges.length;
    await refused(await peer.post(peer.initializeRequest()), 400, -32022, 0);
    const get = await peer.get();
    assert.equal(get.headers.get("allow"), "POST");
    await refused(get, 405, -32000);
    await refused(await peer.delete(), 405, -32000);
    assert.equal(stub.exchanges.length, called);
    assert.deepEqual(events.refusals, ["version", "sessions-off", "sessions-off"]);
    assert.deepEqual([handler.stats().sessions, handler.stats().requests], [0, 0]);
    await handler.close();
  });

  test("[ERA-1] with no row at all, nobody is served and nothing is thrown", async () => {
    const stub = new Stub();
    const handler = makeHandler(stub, {}, {});
    const peer = new Peer(handler);
    await refused(await callModern(peer), 400, -32022, 1);
    await refused(await peer.get(), 405, -32000);
    assert.equal(stub.exchanges.length, 0);
    await handler.close();
  });
});
