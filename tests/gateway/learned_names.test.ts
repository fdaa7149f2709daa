/**
 * The names of tools that are called before anybody has listed them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { McpEvent } from "../../mod.ts";
import { gateway, local } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpServer } from "../../src/server/server.ts";
import { ToolError } from "../../src/server/tool_error.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { initialize } from "../support/wire.ts";

/** A gateway before a server with a tool that fails, and the lists that were read. */
function bench(hang = false) {
  const clock = new FakeClock();
  const server = new McpServer({ name: "desk", version: "1.0.0" });
  server.registerTool("fail", {}, () => {
    throw new ToolError("Not today");
  });
  let lists = 0;
  const events: McpEvent[] = [];
  const gw = gateway({
    clock,
    upstreams: { desk: local(server) },
    middleware: [({ method }, next) => {
      if (method === "tools/list") lists++;
      return hang && method === "tools/list" ? new Promise(() => {}) : next();
    }],
  });
  const onEvent = (event: McpEvent) => void events.push(event);
  return {
    clock,
    gw,
    server,
    lists: () => lists,
    handlers: [gw.view(), gw.view({ only: "desk" })].map((view) =>
      createMcpHandler(view, { clock, onEvent })
    ),
    /** The tools of the calls that have ended. */
    tools: () =>
      events.flatMap((event) =>
        event.type === "request-finished" && event.method === "tools/call" ? [event.tool] : []
      ),
  };
}

describe("tools that are called before their list was read", () => {
  test("[MID-7, OPR-14] one that fails has its name in events, and the list is read once", async () => {
    for (const [index, tool] of ["desk__fail", "fail"].entries()) {
      const { handlers, lists, tools, gw } = bench();
      const handler = handlers[index] ?? assert.fail();
      const peer = await initialize(handler);
      for (let calls = 0; calls < 3; calls++) await (await peer.call(calls, tool)).text();
      assert.deepEqual(tools(), [tool, tool, tool]);
      assert.equal(lists(), 1);
      // What there is not has no name, and costs no list.
      const made = tool.replace("fail", "made-up");
      for (let calls = 0; calls < 3; calls++) await (await peer.call(10 + calls, made)).text();
      assert.ok(!tools().includes(made));
      assert.equal(lists(), 1);
      await Promise.all(handlers.map((each) => each.close({ graceMs: 0 })));
      await gw.close();
    }
  });

  test("[MID-7] a list that never comes delays one failed call for a second, and no other", async () => {
    const { clock, handlers, tools, gw } = bench(true);
    const [handler = assert.fail()] = handlers;
    const peer = await initialize(handler);
    let answered = 0;
    let asked = 0;
    const call = () =>
      peer.call(++asked, "desk__fail").then((response) => response.text()).then(() => answered++);
    const first = call();
    for (let turns = 0; turns < 20; turns++) await flush();
    assert.equal(answered, 0);
    await clock.advance(1_000);
    await first;
    await call();
    assert.equal(answered, 2);
    assert.deepEqual(tools(), [undefined, undefined]);
    await Promise.all(handlers.map((each) => each.close({ graceMs: 0 })));
    await gw.close();
  });
});
