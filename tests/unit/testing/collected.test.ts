/** What is collected as garbage while a stream is open. */
import assert from "node:assert/strict";
import { test } from "node:test";
import v8 from "node:v8";
import vm from "node:vm";
import { McpServer } from "../../../src/server/server.ts";
import { createMcpHandler } from "../../../src/handler/handler.ts";
import { connect } from "../../../src/testing/mod.ts";

/** Returns what collects garbage now; `undefined` where a runtime doesn't let a program do so. */
function collector(): (() => void) | undefined {
  const { Bun } = globalThis as { Bun?: { gc(now: boolean): void } }; // there is one under Bun
  if (Bun !== undefined) return () => Bun.gc(true);
  try {
    v8.setFlagsFromString("--expose-gc");
    const gc: unknown = vm.runInNewContext("gc");
    return typeof gc === "function" ? () => gc() : undefined;
  } catch {
    return undefined;
  }
}

for (const protocolVersion of ["2025-11-25", "2026-07-28"]) {
  test(`a client ends its streams after garbage was collected: ${protocolVersion}`, async () => {
    const collect = collector();
    const server = new McpServer({ name: "test", version: "1.0.0" });
    server.registerTool("hello", {}, () => "Hello");
    server.registerResource("note", "note:one", {}, () => "One");
    const handler = createMcpHandler(server);
    for (let n = 0; n < 5; n++) {
      const client = await connect(handler, { protocolVersion });
      await client.listTools();
      await client.subscribe("note:one");
      for (let turn = 0; turn < 3; turn++) {
        collect?.();
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      await client.close();
    }
    const { listens, streams } = handler.stats();
    assert.deepEqual([listens, streams], [0, 0]);
    await handler.close();
  });
}
