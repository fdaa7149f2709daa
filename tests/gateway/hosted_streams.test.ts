/**
 * What a hosted server of an official SDK does to the streams of its client, alone and among others.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { McpServer as SdkV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { createMcpHandler, type Dispatcher } from "../../mod.ts";
import { gateway, sdk } from "../../src/gateway/mod.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { as, byToken, initialize } from "../support/wire.ts";

const said = (text: string) => ({ content: [{ type: "text" as const, text }] });

/** A server whose tools close its client's streams, and speak on the server's own stream. */
function closing(): SdkV1 {
  const server = new SdkV1({ name: "closing", version: "1.0.0" });
  server.registerTool("close", {}, async (extra) => {
    if (extra.closeStandaloneSSEStream === undefined) return said("can't");
    extra.closeStandaloneSSEStream();
    server.sendToolListChanged();
    return said("closed");
  });
  server.registerTool("close_own", {}, async (extra) => {
    extra.closeSSEStream?.();
    return said("later");
  });
  return server;
}

/** The ways in which the server is served: alone, as one of a gateway, and among others. */
const PLACES: readonly (readonly [name: string, prefix: string, make: () => Dispatcher])[] = [
  ["alone", "", () => sdk(closing)],
  ["as the only view", "", () => gateway({ upstreams: { up: sdk(closing) } }).only("up")],
  [
    "among others",
    "up__",
    () => gateway({ upstreams: { up: sdk(closing), other: sdk(closing) } }),
  ],
];

describe("streams of hosted servers", () => {
  for (const [place, prefix, make] of PLACES) {
    test(`[APP-8] closeStandaloneSSEStream ends the client's GET, which it resumes (${place})`, async () => {
      const handler = createMcpHandler(make(), { streams: { retryMs: 1234 } });
      const peer = await initialize(handler.fetch);
      const first = await peer.listen();
      const { id: primed } = await first.next() ?? {};
      const { content } = await peer.result(await peer.call(1, `${prefix}close`));
      assert.deepEqual(content, said("closed").content);
      const rest = await first.rest();
      assert.ok(rest.some(({ retry }) => retry === 1234), "it was told when to come back");
      const last = rest.findLast(({ id }) => id !== undefined)?.id ?? primed;
      assert.ok(last, "there is an id to resume by");
      // What was sent meanwhile is not lost, and the session and its server go on.
      const second = await peer.listen(last);
      assert.equal((await second.message())?.method, "notifications/tools/list_changed");
      const again = await peer.result(await peer.call(2, `${prefix}close`));
      assert.deepEqual(again.content, said("closed").content);
      assert.ok((await second.rest()).some(({ retry }) => retry === 1234));
      await handler.close();
    });

    test(`[APP-8] closeSSEStream ends the response, whose rest is resumed (${place})`, async () => {
      const handler = createMcpHandler(make(), { streams: { retryMs: 1 } });
      const peer = await initialize(handler.fetch);
      const frames = await peer.frames(await peer.call(1, `${prefix}close_own`)).rest();
      assert.ok(
        !frames.some(({ message }) => message?.result !== undefined),
        "it was closed before",
      );
      const { id } = frames.find(({ id }) => id !== undefined) ?? {};
      const resumed = await peer.listen(id);
      const answer: JsonObject | undefined = await resumed.message();
      assert.deepEqual((answer?.result as JsonObject | undefined)?.content, said("later").content);
      await handler.close();
    });
  }

  test("[APP-8] a client that can't resume has neither", async () => {
    const handler = createMcpHandler(PLACES[2]?.[2]() ?? sdk(closing));
    const peer = await initialize(handler.fetch, { version: "2025-06-18" });
    const { content } = await peer.result(await peer.call(1, "up__close"));
    assert.deepEqual(content, said("can't").content);
    await handler.close();
  });

  test("[APP-8] the stream of another client's session stays", async () => {
    const gw = gateway({ upstreams: { up: sdk(closing) } });
    const handler = createMcpHandler(gw, { authenticate: byToken });
    const [a, b] = [
      await initialize(handler.fetch, { headers: as("alice") }),
      await initialize(handler.fetch, { headers: as("bob") }),
    ];
    const [mine, other] = [await a.listen(), await b.listen()];
    await a.result(await a.call(1, "up__close"));
    await mine.rest();
    // A notification still comes on it.
    await gw.remove("up");
    const told = await other.message();
    assert.equal(told?.method, "notifications/tools/list_changed");
    await handler.close();
    await gw.close();
  });
});
