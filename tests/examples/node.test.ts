import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { handler } from "../../examples/node.ts";
import { connect } from "../../src/testing/mod.ts";
import { pasted, reach, running } from "./program.ts";
import { text } from "./text.ts";

describe("examples/node.ts", () => {
  test("greets", async () => {
    const client = await connect(handler);
    try {
      assert.equal(text(await client.callTool("hello")), "Hello from Node!");
    } finally {
      await client.close();
      await handler.close();
    }
  });

  test("runs beside the server's own page, and prints a line that works", () =>
    running("node.ts", async (program) => {
      const client = await reach(program.url);
      assert.equal(text(await client.callTool("hello")), "Hello from Node!");
      await client.close();
      const page = await fetch(new URL("/", program.url));
      assert.equal(await page.text(), "The endpoint is at /mcp");
      for (const answer of await pasted(program)) assert.match(answer, /"name":"node"/);
    }));
});
