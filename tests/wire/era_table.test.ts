/**
 * One era without the other: what an endpoint is whose era table lacks a row.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ERAS } from "../../src/handler/eras.ts";
import { makeHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import { ErrorCode } from "../../src/protocol/errors.ts";
import type { Era } from "../../src/protocol/versions.ts";
import { McpServer } from "../../src/server/server.ts";
import { MODERN, ModernPeer } from "../support/modern.ts";
import { Events, initialize, LATEST, Peer, refused } from "../support/wire.ts";

/** An endpoint whose era table has one row. */
function only(era: Era, options: McpHandlerOptions = {}): McpHandler {
  const server = new McpServer({ name: "one era", version: "1.0.0" });
  server.registerTool("hello", {}, () => "Hello");
  return makeHandler(server, options, { rows: { [era]: ERAS[era] } });
}

const HELLO = [{ type: "text", text: "Hello" }];

describe("ERA: the 2025 row alone", () => {
  test("[ERA-1] serves 2025 clients in full", async () => {
    await using handler = only("2025");
    const peer = await initialize(handler);
    assert.deepEqual((await peer.result(await peer.call(1, "hello"))).content, HELLO);
    const stream = await peer.listen();
    await stream.cancel();
    assert.equal((await peer.delete()).status, 204);
  });

  test("[ERA-1, ERA-3] refuses 2026 requests once, and offers no version of theirs", async () => {
    const events = new Events();
    await using handler = only("2025", { onEvent: events.onEvent });
    const modern = new ModernPeer(handler);
    for (const method of ["server/discover", "tools/list", "subscriptions/listen"]) {
      const response = await modern.request(method);
      assert.equal(response.status, 400);
      const { error } = await response.json();
      assert.equal(error.code, ErrorCode.UnsupportedVersion);
      assert.equal(error.data.requested, MODERN);
      assert.ok(error.data.supported.includes(LATEST));
      assert.ok(!error.data.supported.includes(MODERN), String(error.data.supported));
    }
    assert.deepEqual(events.refusals, ["version", "version", "version"]);
    assert.equal(handler.stats().listens, 0);
  });
});

describe("ERA: the 2026 row alone", () => {
  test("[ERA-1] serves 2026 clients in full, and says so", async () => {
    await using handler = only("2026");
    const modern = new ModernPeer(handler);
    assert.deepEqual((await modern.say("hello")).content, HELLO);
    const { supportedVersions } = await modern.ask("server/discover");
    assert.deepEqual(supportedVersions, [MODERN]);
    const frames = await modern.listen({ toolsListChanged: true });
    assert.equal(handler.stats().listens, 1);
    await frames.cancel();
  });

  test("[ERA-1, SES-11] has neither handshake nor sessions", async () => {
    const events = new Events();
    await using handler = only("2026", { onEvent: events.onEvent });
    const peer = new Peer(handler);
    const { data } = await refused(
      await peer.post(peer.initializeRequest()),
      400,
      ErrorCode.UnsupportedVersion,
      0,
    );
    assert.deepEqual(data, { supported: [MODERN], requested: LATEST });
    for (const response of [await peer.get(), await peer.delete()]) {
      await refused(response, 405, ErrorCode.Refused);
      assert.equal(response.headers.get("allow"), "POST");
    }
    assert.deepEqual(events.refusals, ["version", "sessions-off", "sessions-off"]);
    assert.equal(handler.stats().sessions, 0);
  });
});

describe("ERA: versions without a row", () => {
  test("[ERA-1] can't be asked for", () => {
    assert.throws(() => only("2025", { versions: [MODERN] }), RangeError);
    assert.throws(() => only("2026", { versions: [LATEST, MODERN] }), RangeError);
  });
});
