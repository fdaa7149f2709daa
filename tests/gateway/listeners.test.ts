/**
 * Clients of 2026-07-28 that hold `subscriptions/listen`: what changes in the upstreams reaches them, as far
 * as they asked for it and may know it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { McpServer as SdkV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { SubscribeRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { createMcpHandler, type Dispatcher, McpServer } from "../../mod.ts";
import {
  gateway,
  type GatewayOptions,
  type GatewayPolicy,
  local,
  sdk,
  type Upstream,
  type UpstreamMiddleware,
} from "../../src/gateway/mod.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken, Gate, soon } from "../support/wire.ts";

const TOOLS = "notifications/tools/list_changed";
const RESOURCES = "notifications/resources/list_changed";
const UPDATED = "notifications/resources/updated";
const URI = "note://1";

/** A server whose changes a test makes. */
interface Hosted {
  readonly upstream: Upstream & Partial<Dispatcher>;
  /** Adds a tool. */
  addTool(name: string): void;
  addResource(uri: string): void;
  /** Says that a resource changed. */
  update(uri: string): void;
}

function ours(): Hosted {
  const server = new McpServer({ name: "ours", version: "1.0.0" });
  server.registerTool("open", {}, () => "ok");
  server.registerResource("note", URI, {}, () => "text");
  return {
    upstream: local(server),
    addTool: (name) => void server.registerTool(name, {}, () => "ok"),
    addResource: (uri) => void server.registerResource(uri, uri, {}, () => "text"),
    update: (uri) => server.resourceUpdated(uri),
  };
}

function official(): Hosted {
  let server: SdkV1 | undefined;
  const get = (): SdkV1 => server ?? assert.fail("It isn't hosted yet");
  const text = (uri: string) => ({ contents: [{ uri, text: "text" }] });
  const upstream = sdk(() => {
    server = new SdkV1({ name: "official", version: "1.0.0" }, {
      capabilities: { resources: { subscribe: true, listChanged: true } },
    });
    server.registerTool("open", {}, () => ({ content: [] }));
    server.registerResource("note", URI, {}, () => text(URI));
    server.server.setRequestHandler(SubscribeRequestSchema, () => ({}));
    return server;
  });
  return {
    upstream,
    addTool: (name) => void get().registerTool(name, {}, () => ({ content: [] })),
    addResource: (uri) => void get().registerResource(uri, uri, {}, () => text(uri)),
    update: (uri) => void get().server.sendResourceUpdated({ uri }),
  };
}

const ALL = { toolsListChanged: true, resourcesListChanged: true, resourceSubscriptions: [URI] };

async function listening(dispatcher: Dispatcher, filter: JsonObject = ALL) {
  const handler = createMcpHandler(dispatcher, { authenticate: byToken });
  const peer = new ModernPeer(handler.fetch, { headers: as("ann") });
  await peer.ask("server/discover");
  await peer.ask("resources/list");
  const frames = await peer.listen(filter);
  const acknowledged = (await frames.message())?.params as JsonObject;
  return { handler, peer, frames, acknowledged: acknowledged.notifications };
}

/** A gateway whose test knows when something was subscribed to. */
function subscribable(options: GatewayOptions) {
  const subscribed = new Gate();
  const middleware: UpstreamMiddleware = async ({ method }, next) => {
    const result = await next();
    if (method === "resources/subscribe") subscribed.open();
    return result;
  };
  return {
    gw: gateway({ ...options, middleware: [middleware] }),
    subscribed: soon(subscribed.promise),
  };
}

const PLACES: readonly (readonly [string, (upstream: Upstream) => GatewayOptions])[] = [
  ["alone", (up) => ({ upstreams: { up } })],
  ["merged", (up) => ({ upstreams: { up, other: ours().upstream } })],
  ["merged, for each request", (up) => ({ upstreams: { up }, stateless: "request" })],
];

describe("listeners of 2026-07-28", () => {
  for (const [kind, make] of [["local", ours], ["sdk", official]] as const) {
    for (const [place, serve] of PLACES) {
      test(`[APP-9] changes of a hosted server reach them (${kind}, ${place})`, async () => {
        const hosted = make();
        const { gw, subscribed } = subscribable(serve(hosted.upstream));
        const served = place === "alone" ? gw.only("up") : gw;
        // The other server has the same resource, so its address names the server
        const uri = place === "merged" ? "note://up__1" : URI;
        const filter = { ...ALL, resourceSubscriptions: [uri] };
        const { handler, frames, acknowledged } = await listening(served, filter);
        assert.deepEqual(acknowledged, filter);
        await subscribed;
        hosted.addTool("added");
        assert.equal((await frames.message())?.method, TOOLS);
        hosted.addResource("note://2");
        assert.equal((await frames.message())?.method, RESOURCES);
        hosted.update("note://2");
        hosted.update(URI);
        const update = await frames.message();
        assert.equal(update?.method, UPDATED);
        assert.equal((update?.params as JsonObject).uri, uri);
        await frames.cancel();
        await handler.close();
      });
    }
  }

  test("[APP-9] who didn't ask hears nothing of it, and the list is new at once", async () => {
    const hosted = ours();
    const gw = gateway({ upstreams: { up: hosted.upstream } });
    const { handler, peer, frames } = await listening(gw, { resourcesListChanged: true });
    await peer.ask("tools/list");
    hosted.addTool("added");
    hosted.addResource("note://2");
    assert.equal((await frames.message())?.method, RESOURCES, "and nothing about tools before");
    const { tools } = await peer.ask("tools/list");
    assert.ok(JSON.stringify(tools).includes("up__added"));
    await frames.cancel();
    await handler.close();
    await gw.close();
  });

  test("[APP-9] another principal's servers say nothing", async () => {
    const hosted = official();
    const gw = gateway({ upstreams: { up: hosted.upstream } });
    const ann = await listening(gw, { toolsListChanged: true });
    await ann.peer.ask("tools/list");
    const bob = new ModernPeer(ann.handler.fetch, { headers: as("bob") });
    // The last server that was made is Bob's
    await bob.ask("tools/list");
    hosted.addTool("bobs");
    await gw.set("late", local(new McpServer({ name: "late", version: "1.0.0" })));
    // What was sent before that is the change of the upstreams alone
    assert.equal((await ann.frames.message())?.method, TOOLS);
    const { tools } = await ann.peer.ask("tools/list");
    assert.ok(!JSON.stringify(tools).includes("bobs"));
    await ann.frames.cancel();
    await ann.handler.close();
    await gw.close();
  });

  test("[APP-9] the change of a tool that the policy hides says nothing", async () => {
    const hosted = ours();
    const policy: GatewayPolicy = {
      upstreams: { up: { tools: { allow: ["open", "shown*"] } } },
    };
    const gw = gateway({ upstreams: { up: hosted.upstream }, policy });
    const { handler, peer, frames } = await listening(gw, {
      toolsListChanged: true,
      resourcesListChanged: true,
    });
    await peer.ask("tools/list");
    hosted.addTool("secret");
    await new Promise((resolve) => setTimeout(resolve, 0));
    hosted.addResource("note://2");
    assert.equal((await frames.message())?.method, RESOURCES, "the hidden tool says nothing");
    hosted.addTool("shown_too");
    assert.equal((await frames.message())?.method, TOOLS);
    await frames.cancel();
    await handler.close();
    await gw.close();
  });

  test("[APP-9] a resource that the policy hides never changes", async () => {
    const hosted = ours();
    hosted.addResource("note://2");
    const policy: GatewayPolicy = {
      upstreams: { up: { resources: { allow: ["note://2"] } } },
    };
    const { gw, subscribed } = subscribable({ upstreams: { up: hosted.upstream }, policy });
    const uris = [URI, "note://2"];
    const { handler, frames, acknowledged } = await listening(gw, { resourceSubscriptions: uris });
    assert.deepEqual(acknowledged, { resourceSubscriptions: uris }, "it looks like any other");
    await subscribed;
    hosted.update(URI);
    hosted.update("note://2");
    assert.equal(((await frames.message())?.params as JsonObject).uri, "note://2");
    await frames.cancel();
    await handler.close();
    await gw.close();
  });

  test("[APP-9] the last listener unsubscribes, and the upstream session may end", async () => {
    const hosted = official();
    const { gw, subscribed } = subscribable({ upstreams: { up: hosted.upstream } });
    const first = await listening(gw, { resourceSubscriptions: [URI] });
    await subscribed;
    const second = await first.peer.listen({ resourceSubscriptions: [URI] });
    await second.message();
    await first.frames.cancel();
    hosted.update(URI);
    assert.equal((await second.message())?.method, UPDATED, "the other one still listens");
    await second.cancel();
    await first.handler.close();
    await gw.close();
    assert.equal(gw.stats().sessions, 0);
  });
});
