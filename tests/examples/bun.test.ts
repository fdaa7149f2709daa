import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { server } from "../../examples/bun.ts";
import { createMcpHandler } from "../../mod.ts";
import { connect } from "../../src/testing/mod.ts";
import { pasted, reach, running, runtime } from "./program.ts";
import { text } from "./text.ts";

describe("examples/bun.ts", () => {
  test("greets", async () => {
    const handler = createMcpHandler(server);
    const client = await connect(handler);
    try {
      assert.equal(text(await client.callTool("hello")), "Hello from Bun!");
    } finally {
      await client.close();
      await handler.close();
    }
  });

  if (runtime === "bun") {
    test("[END-1] runs, prints a line that works, and stops when asked to", () =>
      running("bun.ts", async (program) => {
        const client = await reach(program.url);
        assert.equal(text(await client.callTool("hello")), "Hello from Bun!");
        await client.close();
        for (const answer of await pasted(program)) assert.match(answer, /"name":"bun"/);
        assert.equal(await program.stop(), 0);
        assert.match(program.output(), /Stopped\n$/);
      }));
  }
});
