import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { server } from "../../examples/smallest.ts";
import { createMcpHandler } from "../../mod.ts";
import { connect } from "../../src/testing/mod.ts";
import { pasted, reach, running, runtime } from "./program.ts";
import { text } from "./text.ts";

describe("examples/smallest.ts", () => {
  test("greets", async () => {
    const handler = createMcpHandler(server);
    const client = await connect(handler);
    try {
      assert.equal(text(await client.callTool("hello")), "Hello!");
    } finally {
      await client.close();
      await handler.close();
    }
  });

  // It listens with Deno's adapter.
  if (runtime === "deno") {
    test("runs, and prints a line that works", () =>
      running("smallest.ts", async (program) => {
        const client = await reach(program.url);
        assert.equal(text(await client.callTool("hello")), "Hello!");
        await client.close();
        for (const answer of await pasted(program)) assert.match(answer, /mcp-session-id: /i);
      }));
  }
});
