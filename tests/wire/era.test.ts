import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../../src/protocol/versions.ts";
import { assertValid } from "../support/schema.ts";
import { Events, initialize, Peer, refused, Stub, text, textOf } from "../support/wire.ts";

const OLD: readonly ProtocolVersion[] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
const MODERN = "2026-07-28";

/** What a request of the 2026 era carries. */
const ENVELOPE: JsonObject = {
  "io.modelcontextprotocol/protocolVersion": MODERN,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "modern", version: "1.0.0" },
};

/** The headers of a request of the 2026 era. */
function headersOf(method: string, name?: string, version: string = MODERN) {
  return { "mcp-protocol-version": version, "mcp-method": method, "mcp-name": name };
}

function endpoint(options: McpHandlerOptions = {}) {
  const events = new Events();
  const stub = new Stub({ hello: () => text("Hello") });
  const handler = createMcpHandler(stub, { versions: OLD, onEvent: events.onEvent, ...options });
  return { events, stub, handler };
}

describe("ERA: 2026-07-28 where it isn't served", () => {
  for (
    const method of ["server/discover", "tools/list", "tools/call", "subscriptions/listen", "ping"]
  ) {
    test(`[ERA-1] ${method} with the envelope → 400 / -32022 and the list, with the request's id`, async () => {
      const { handler, stub, events } = endpoint();
      const peer = new Peer(handler);
      const params = { name: "hello", _meta: ENVELOPE };
      const response = await peer.request("m", method, params, headersOf(method, "hello"));
      const body: JsonObject = await response.clone().json();
      assertValid(MODERN, "UnsupportedProtocolVersionError", body);
      const { data } = await refused(response, 400, -32022, "m");
      assert.deepEqual(data, { supported: OLD, requested: MODERN });
      assert.equal(stub.exchanges.length, 0);
      assert.equal(handler.stats().sessions, 0);
      assert.deepEqual(events.refusals, ["version"]);
      await handler.close();
    });
  }

  test("[ERA-1] a version that nobody knows is refused in the same way", async () => {
    const { handler } = endpoint();
    const version = "2027-01-01";
    const _meta = { ...ENVELOPE, "io.modelcontextprotocol/protocolVersion": version };
    const response = await new Peer(handler).request(
      1,
      "tools/list",
      { _meta },
      headersOf("tools/list", undefined, version),
    );
    const { data } = await refused(response, 400, -32022, 1);
    assert.deepEqual(data, { supported: OLD, requested: version });
    await handler.close();
  });

  test("[ERA-1] a session changes nothing about it, and isn't touched by it", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const params = { _meta: ENVELOPE };
    const response = await peer.request(1, "tools/list", params, headersOf("tools/list"));
    await refused(response, 400, -32022, 1);
    await peer.result(await peer.request(2, "ping"));
    await handler.close();
  });

  test("[ERA-1] versions narrows what is offered in the list", async () => {
    const { handler } = endpoint({ versions: ["2025-06-18"] });
    const response = await new Peer(handler).request(
      1,
      "tools/list",
      { _meta: ENVELOPE },
      headersOf("tools/list"),
    );
    const { data } = await refused(response, 400, -32022, 1);
    assert.deepEqual(data, { supported: ["2025-06-18"], requested: MODERN });
    await handler.close();
  });

  test("[ERA-1] a probe of a client that speaks both ends in a session of the older era", async () => {
    const { handler } = endpoint();
    const peer = new Peer(handler);
    const probe = await peer.request(
      "probe",
      "server/discover",
      { _meta: ENVELOPE },
      headersOf("server/discover"),
    );
    const { data } = await refused(probe, 400, -32022, "probe");
    const [best] = (data as { supported: string[] }).supported;
    peer.version = String(best);
    assert.equal((await peer.initialize()).protocolVersion, "2025-11-25");
    assert.equal(textOf(await peer.result(await peer.call(1, "hello"))), "Hello");
    await handler.close();
  });
});

describe("ERA: what is of which era", () => {
  test("[ERA-1] the same request without the envelope is of the 2025 era", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    for (const _meta of [undefined, {}, { progressToken: 1 }, { "example.com/key": 1 }]) {
      const params = { name: "hello", arguments: {}, ...(_meta && { _meta }) };
      const response = await peer.request(1, "tools/call", params);
      assert.equal(textOf(await peer.result(response)), "Hello");
    }
    await handler.close();
  });

  test("[ERA-1] notifications, replies and batches are of the 2025 era", async () => {
    const { handler, stub } = endpoint();
    const peer = await initialize(handler, { version: "2025-03-26" });
    await peer.notify("notifications/a", { _meta: { progressToken: 1 } });
    assert.equal(stub.notifications.at(-1)?.method, "notifications/a");
    await peer.reply("q", {});
    const batch = await peer.post([{ jsonrpc: "2.0", id: 1, method: "ping" }]);
    assert.equal(batch.status, 200);
    await handler.close();
  });

  test("[ERA-1] a handler that serves no version of the 2025 era shakes no hands", async () => {
    const { handler } = endpoint({ versions: [MODERN] });
    const peer = new Peer(handler);
    const response = await peer.post(peer.initializeRequest());
    assert.equal(response.headers.get("mcp-session-id"), null);
    assert.ok((await response.json()).error);
    assert.equal(handler.stats().sessions, 0);
    await handler.close();
  });

  test("[ERA-1] versions that don't exist are misuse", () => {
    // The point is what happens when the type is not kept.
    const wrong = ["2025-11-26"] as unknown as ProtocolVersion[];
    assert.throws(() => endpoint({ versions: wrong }), RangeError);
    assert.throws(() => endpoint({ versions: [] }), RangeError);
  });
});
