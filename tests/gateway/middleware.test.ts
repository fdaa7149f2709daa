/**
 * The gateway's middleware, and what the endpoint's middleware and events say about upstreams.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { onToolCall } from "../../src/calls/middleware/on_tool_call.ts";
import { gateway } from "../../src/gateway/gateway.ts";
import type { UpstreamMiddleware } from "../../src/gateway/types.ts";
import { local } from "../../src/gateway/upstreams/local.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { Exchange } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken, Events, initialize, textOf } from "../support/wire.ts";

/** A server that tells what metadata its calls have. */
function upstream(metas: unknown[] = []): McpServer {
  const server = new McpServer({ name: "upstream", version: "1.0.0" });
  server.registerTool("echo", {}, () => "echo");
  server.registerTool("other", {}, () => "other");
  server.registerResource("note", "demo://notes/{id}", {}, () => "A note");
  const route = server.route.bind(server);
  server.route = (message) => {
    const found = route(message);
    const run = found.run.bind(found);
    return Object.assign(found, {
      run: (exchange: Exchange) => {
        if (exchange.method === "tools/call") metas.push(exchange.params._meta);
        return run(exchange);
      },
    });
  };
  return server;
}

function world(middleware: readonly UpstreamMiddleware[], metas: unknown[] = []) {
  const events = new Events();
  const gw = gateway({ upstreams: { up: local(upstream(metas)) }, middleware });
  const handler = createMcpHandler(gw, {
    authenticate: byToken,
    onEvent: events.onEvent,
    middleware: [
      onToolCall((call, next) => call.name === "alias" ? next({ name: "up__echo" }) : next()),
    ],
  });
  const close = async () => {
    await handler.close();
    await gw.close();
  };
  return { events, gw, handler, close };
}

describe("MID: the gateway's middleware", () => {
  test("[MID-6] it sees upstream, name and principal, and gives the upstream other metadata", async () => {
    const seen: JsonObject[] = [];
    const metas: unknown[] = [];
    const traced: UpstreamMiddleware = async (
      { upstream, kind, method, params, principal },
      next,
    ) => {
      seen.push({ upstream, kind, method, name: params.name, principal: principal.id });
      const meta = isObject(params._meta) ? params._meta : {};
      const result = await next({ ...params, _meta: { ...meta, traceparent: "00-1-2-01" } });
      return { ...result, seen: true };
    };
    const { handler, close } = world([traced], metas);
    const peer = await initialize(handler, { headers: as("alice") });
    assert.equal(textOf(await peer.result(await peer.call(1, "up__echo"))), "echo");
    const modern = new ModernPeer(handler, { headers: as("bob") });
    assert.equal(textOf(await modern.say("up__echo")), "echo");
    const call = { upstream: "up", kind: "local", method: "tools/call", name: "echo" };
    assert.deepEqual(seen.filter(({ method }) => method === "tools/call"), [
      { ...call, principal: "alice" },
      { ...call, principal: "bob" },
    ]);
    assert.ok(metas.every((meta) => isObject(meta) && meta.traceparent === "00-1-2-01"));
    await close();
  });

  test("[MID-6] it refuses, and a mistake in it doesn't end the upstream's session", async () => {
    let act: UpstreamMiddleware = (_, next) => next();
    const { handler, events, close } = world([(request, next) => act(request, next)]);
    const peer = await initialize(handler, { headers: as("alice") });
    const answers: [UpstreamMiddleware, number][] = [
      [() => {
        throw new McpError(-32050, "Not today");
      }, -32050],
      [() => {
        throw new Error("secret");
      }, -32603],
      [({ params }, next) => next({ ...params, name: "other" }), -32603],
    ];
    for (const [middleware, code] of answers) {
      act = middleware;
      const { error } = await (await peer.call(1, "up__echo")).json();
      assert.equal(error.code, code);
      assert.doesNotMatch(error.message, /secret/);
    }
    act = (_, next) => next();
    assert.equal(textOf(await peer.result(await peer.call(2, "up__echo"))), "echo");
    assert.equal(events.of("upstream-closed").length, 0);
    assert.match(String(events.of("error").at(-1)?.error), /Rename a tool/);
    await close();
  });

  test("[MID-7] events name upstream and tool as they are listed, not what a client makes up", async () => {
    const { handler, events, close } = world([]);
    const peer = await initialize(handler, { headers: as("alice") });
    const finished = () => {
      const { method, tool, resource, upstream } = events.of("request-finished").at(-1) ?? {};
      return { method, tool, resource, upstream };
    };
    await peer.result(await peer.request(1, "tools/list"));
    await peer.result(await peer.request(2, "resources/templates/list"));
    const method = "tools/call";
    const none = { tool: undefined, resource: undefined, upstream: undefined };
    await peer.result(await peer.call(3, "alias"));
    assert.deepEqual(finished(), { ...none, method, tool: "up__echo", upstream: "up" });
    await (await peer.call(4, "up__made-up")).text();
    assert.deepEqual(finished(), { ...none, method, upstream: "up" });
    await (await peer.call(5, "nobody__made-up")).text();
    assert.deepEqual(finished(), { ...none, method });
    await peer.result(await peer.request(6, "resources/read", { uri: "demo://notes/token-123" }));
    const read = { ...none, method: "resources/read", resource: "demo://notes/{id}" };
    assert.deepEqual(finished(), { ...read, upstream: "up" });
    assert.ok(!JSON.stringify(events.all).includes("token-123"));
    await close();
  });
});
