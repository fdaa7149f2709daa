/**
 * Calls that run long, behind the gateway: all servers together, one alone, found by search, on pipes and by
 * the command.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway, http, lazy, local } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { TASKS } from "../../src/protocol/task_store.ts";
import { McpServer } from "../../src/server/server.ts";
import type { RequestContext } from "../../src/server/types.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { Gate, initialize, soon, textOf } from "../support/wire.ts";

const AFTER = 45_000;
const JSON_ONLY = { accept: "application/json" };

type Handler = ReturnType<typeof createMcpHandler>;
type Call = (name: string, args?: JsonObject) => Promise<JsonObject>;

const ERAS = {
  async "2025"(handler: Handler): Promise<Call> {
    const peer = await initialize(handler, JSON_ONLY);
    let id = 100;
    return async (name, args = {}) => await peer.result(await peer.call(++id, name, args));
  },
  async "2026"(handler: Handler): Promise<Call> {
    const peer = new ModernPeer(handler, JSON_ONLY);
    return (name, args) => peer.say(name, args);
  },
};
type Era = keyof typeof ERAS;

/** Lets a new client of an endpoint list the tools. */
const LIST: Readonly<Record<Era, (handler: Handler) => Promise<unknown>>> = {
  "2025": async (handler) => await (await initialize(handler, JSON_ONLY)).request(99, "tools/list"),
  "2026": (handler) => new ModernPeer(handler, JSON_ONLY).ask("tools/list"),
};

function slowServer() {
  const finish = new Gate<string>();
  const ran: RequestContext[] = [];
  const server = new McpServer({ name: "slow", version: "1.0.0" });
  const work = async (_: unknown, ctx: RequestContext) => {
    ran.push(ctx);
    return await finish.promise;
  };
  server.registerTool("work", { _meta: { ui: { resourceUri: "ui://slow/page" } } }, work);
  server.registerTool("never", { longCalls: false }, work);
  return { server, finish, ran };
}

function handleOf(result: JsonObject): string {
  const [, handle] = /"handle": "([^"]+)"/.exec(String(textOf(result))) ?? [];
  assert.ok(handle, `No handle: ${JSON.stringify(result)}`);
  return handle;
}

/** Lets time pass in steps, so that what happens in between has its turn. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  await clock.advance(0);
  await clock.advance(ms);
}

for (const era of Object.keys(ERAS) as Era[]) {
  describe(`LONG: behind a gateway, ${era}`, () => {
    for (const way of ["together", "alone", "found"] as const) {
      test(`[LONG-18] a tool of an upstream, ${way}`, async () => {
        const clock = new FakeClock();
        const { server, finish, ran } = slowServer();
        const upstream = way === "found" ? lazy(local(server)) : local(server);
        const gw = gateway({ upstreams: { a: upstream }, clock });
        const view = way === "alone" ? gw.view({ only: "a" }) : gw.view({});
        const handler = createMcpHandler(view, { clock, longCalls: {} });
        const call = await ERAS[era](handler);
        const begin = (tool: string) =>
          way === "found"
            ? call("call_tool", { name: `a__${tool}`, arguments: {} })
            : call(way === "alone" ? tool : `a__${tool}`);
        if (way === "found") await call("search_tools", { query: "work" });
        const pending = begin("work");
        await pass(clock, 1_000);
        ran[0]?.progress(1, 2, "Half");
        await pass(clock, AFTER - 1_000);
        const answer = await soon(pending, "the handle");
        assert.match(String(textOf(answer)), /Half \(1 of 2\)/);
        const never = begin("never");
        await pass(clock, AFTER * 2);
        finish.open("Done");
        assert.equal(textOf(await soon(never)), "Done");
        const handle = handleOf(answer);
        assert.equal(textOf(await call("wait_for_result", { handle })), "Done");
        await handler.close();
        await gw.close();
      });
    }

    test("[LONG-9] the name by which an app calls a tool has the same time", async () => {
      const clock = new FakeClock();
      const { server, finish } = slowServer();
      const gw = gateway({ upstreams: { a: local(server) }, clock });
      const handler = createMcpHandler(gw, { clock, longCalls: {} });
      const call = await ERAS[era](handler);
      // An app knows the tools that its server has listed.
      await new ModernPeer(handler, JSON_ONLY).ask("tools/list");
      await (await initialize(handler, JSON_ONLY)).request(99, "tools/list", {});
      const short = call("never");
      await pass(clock, AFTER * 2);
      finish.open("Late");
      assert.equal(textOf(await soon(short)), "Late");
      await handler.close();
      await gw.close();
    });
  });
}

/** A server with long calls of its own, which are answered earlier than those of the gateway, over HTTP. */
function remoteServer(clock: FakeClock) {
  const slow = slowServer();
  slow.server.registerTool("slower", { longCalls: { afterMs: AFTER * 2 } }, async (_, ctx) => {
    slow.ran.push(ctx);
    return await slow.finish.promise;
  });
  const handler = createMcpHandler(slow.server, { clock, longCalls: { afterMs: 5_000 } });
  const fetch: typeof globalThis.fetch = (input, init) => handler(new Request(input, init));
  return { ...slow, handler, upstream: http({ url: "http://inner.example/mcp", fetch }) };
}

for (const era of Object.keys(ERAS) as Era[]) {
  describe(`LONG: a server elsewhere with long calls of its own, ${era}`, () => {
    for (const way of ["together", "alone", "found"] as const) {
      for (const isListed of [false, true]) {
        const when = isListed ? "that has listed its tools" : "before its tools are listed";
        test(`[LONG-20] each gets the result of its handle, ${way}, ${when}`, async () => {
          const clock = new FakeClock();
          const { upstream, handler: inner, finish, ran } = remoteServer(clock);
          const init = { upstreams: { a: way === "found" ? lazy(upstream) : upstream }, clock };
          const [gw, other] = [gateway(init), gateway(init)];
          const shown = way === "alone" ? "" : "a__";
          const began = createMcpHandler(way === "alone" ? gw.only("a") : gw, {
            clock,
            longCalls: {},
          });
          const using = (call: Call): Call => (name, args = {}) =>
            way === "found" && name.startsWith(shown)
              ? call("call_tool", { name, arguments: args })
              : call(name, args);
          const first = using(await ERAS[era](began));
          // The server hands over its own call, and the gateway the one that is longer there.
          const theirs = first(`${shown}work`);
          const ours = first(`${shown}slower`);
          await pass(clock, 5_000);
          const upstreams = handleOf(await soon(theirs, "the server's handle"));
          await pass(clock, AFTER);
          const gateways = handleOf(await soon(ours, "the gateway's handle"));
          // Another process of the gateway knows nothing of the server yet, nor a new session.
          const fresh = createMcpHandler(way === "alone" ? other.only("a") : other, {
            clock,
            longCalls: {},
          });
          const third = using(await ERAS[era](fresh));
          if (isListed) await LIST[era](began);
          if (isListed) await LIST[era](fresh);
          finish.open("Done");
          await pass(clock, 1_000);
          const theirWait = `${shown}wait_for_result`;
          for (const call of [third, first]) {
            assert.equal(textOf(await call(theirWait, { handle: upstreams })), "Done");
            const answered = await call(`${shown}cancel_call`, { handle: upstreams });
            assert.match(String(textOf(answered)), /ended already/);
            const unknown = await call("wait_for_result", { handle: "call_none" });
            assert.match(String(textOf(unknown)), /^Unknown handle/);
          }
          assert.equal(textOf(await first("wait_for_result", { handle: gateways })), "Done");
          assert.match(
            String(textOf(await first("cancel_call", { handle: gateways }))),
            /ended already/,
          );
          if (way === "found") {
            const wrapped = { name: "wait_for_result", arguments: { handle: gateways } };
            assert.equal(textOf(await first("call_tool", wrapped)), "Done");
          }
          assert.equal(ran.length, 2);
          for (const each of [began, fresh]) await each.close();
          for (const each of [gw, other]) await each.close();
          await inner.close();
        });
      }
    }
  });
}

test("[LONG-20] a task of a server that is served alone is the server's, and others are unknown", async () => {
  const clock = new FakeClock();
  const { upstream, handler: inner, finish } = remoteServer(clock);
  const gw = gateway({ upstreams: { a: upstream }, clock });
  const handler = createMcpHandler(gw.only("a"), { clock, longCalls: {} });
  const capabilities = { extensions: { [TASKS]: {} } };
  const peer = new ModernPeer(handler, { ...JSON_ONLY, capabilities });
  const get = async (taskId: string) => {
    const headers = { "mcp-name": taskId };
    return await (await peer.request("tasks/get", { taskId }, { headers })).json();
  };
  const pending = peer.post(peer.message("tools/call", { name: "work", arguments: {} }));
  await pass(clock, 5_000);
  const { result: { taskId } } = await (await soon(pending)).json();
  assert.equal((await get(taskId)).result.status, "working");
  finish.open("Done");
  await pass(clock, 0);
  assert.equal(textOf((await get(taskId)).result.result), "Done");
  assert.deepEqual((await get("call_none")).error, { code: -32602, message: "Unknown task" });
  await handler.close();
  await gw.close();
  await inner.close();
});

describe("LONG: a server in the process, behind an endpoint that answers no call early", () => {
  const wanted = { name: "TypeError", message: /"longCalls".*"soon"/ };
  const server = (own: boolean) => {
    const made = new McpServer({ name: "test", version: "1.0.0" });
    if (own) made.registerTool("soon", { longCalls: { afterMs: 5_000 } }, () => "");
    return made;
  };

  test("[LONG-19] a tool's own time fails the start, in every view", async () => {
    const inner = gateway({ upstreams: { deep: local(server(true)) } });
    for (const upstream of [local(server(true)), lazy(local(server(true))), local(inner)]) {
      const gw = gateway({ upstreams: { plain: local(server(false)), a: upstream } });
      for (const view of [gw, gw.only("a"), gw.view({ toolSearch: true })]) {
        assert.throws(() => createMcpHandler(view), wanted);
        assert.throws(() => createMcpHandler(view, { longCalls: false }), wanted);
        await createMcpHandler(view, { longCalls: {} }).close();
      }
      await createMcpHandler(gw.only("plain")).close();
      await gw.close();
    }
    await inner.close();
  });

  test("[LONG-19] an end of refusing that is called twice counts once", async () => {
    const made = server(false);
    const gw = gateway({ upstreams: { a: local(made) } });
    for (const dispatcher of [made, gw]) {
      const allow = dispatcher.refuseLongCalls?.();
      assert.ok(allow, "Nothing is refused");
      const handler = createMcpHandler(dispatcher);
      allow();
      allow();
      const own = { longCalls: { afterMs: 5_000 } };
      assert.throws(() => made.registerTool("soon", own, () => ""), wanted);
      await handler.close();
    }
    await gw.close();
  });

  test("[LONG-19] a failed start refuses nothing later", async () => {
    const first = server(false);
    const gw = gateway({ upstreams: { first: local(first), a: local(server(true)) } });
    assert.throws(() => createMcpHandler(gw), wanted);
    first.registerTool("soon", { longCalls: { afterMs: 1 } }, () => "");
    await gw.close();
  });

  test("[LONG-19] it is refused while such an endpoint serves it, and no longer", async () => {
    const early = server(false);
    const gw = gateway({ upstreams: { early: local(early) } });
    const handler = createMcpHandler(gw);
    const other = createMcpHandler(gw);
    const own = { longCalls: { afterMs: 5_000 } };
    const soon = early.registerTool("soon", { longCalls: false }, () => "");
    assert.throws(() => soon.update(own), wanted);
    await assert.rejects(gw.set("late", local(server(true))), wanted);
    await assert.rejects(gw.set("early", local(server(true))), wanted);
    assert.throws(() => soon.update(own), wanted);
    await handler.close();
    assert.throws(() => soon.update(own), wanted);
    const next = server(false);
    await gw.set("early", local(next));
    soon.update(own);
    assert.throws(() => next.registerTool("soon", own, () => ""), wanted);
    await gw.remove("early");
    next.registerTool("soon", own, () => "");
    const last = server(false);
    await gw.set("last", local(last));
    await other.close();
    last.registerTool("soon", own, () => "");
    await gw.close();
  });
});
