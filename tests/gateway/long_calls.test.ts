/**
 * Calls that run long, behind the gateway: all servers together, one alone, found by search, on pipes and by
 * the command.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway, lazy, local } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import type { RequestContext } from "../../src/server/types.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { Gate, initialize, soon, textOf } from "../support/wire.ts";

const AFTER = 45_000;
const JSON_ONLY = { accept: "application/json" };

type Call = (name: string, args?: JsonObject) => Promise<JsonObject>;

const ERAS = {
  async "2025"(handler: ReturnType<typeof createMcpHandler>): Promise<Call> {
    const peer = await initialize(handler, JSON_ONLY);
    let id = 100;
    return async (name, args = {}) => await peer.result(await peer.call(++id, name, args));
  },
  async "2026"(handler: ReturnType<typeof createMcpHandler>): Promise<Call> {
    const peer = new ModernPeer(handler, JSON_ONLY);
    return (name, args) => peer.say(name, args);
  },
};
type Era = keyof typeof ERAS;

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
