import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gw } from "../../examples/gateway.ts";
import { createMcpHandler } from "../../mod.ts";
import { connect } from "../../src/testing/mod.ts";
import { pasted, reach, running } from "./program.ts";
import { text } from "./text.ts";

describe("examples/gateway.ts", () => {
  test("[GTW-1, GTW-8, GTW-9] counts for each session, and says how all is used", async () => {
    const handler = createMcpHandler(gw);
    const [a, b] = await Promise.all([connect(handler), connect(handler)]);
    try {
      assert.deepEqual((await a.listTools()).map(({ name }) => name), [
        "clock__now",
        "counter__up",
      ]);
      for (let n = 1; n <= 5; n++) assert.equal(text(await a.callTool("counter__up")), `${n}`);
      for (let n = 1; n <= 3; n++) assert.equal(text(await b.callTool("counter__up")), `${n}`);
      assert.match(
        text(await b.callTool("clock__now")) ?? "",
        /^\d\d\/\d\d\/\d{4}, \d\d:\d\d:\d\d$/,
      );
    } finally {
      await Promise.all([a.close(), b.close()]);
      await handler.close();
    }
    assert.equal(gw.stats().sessions, 0);
  });

  test("runs, and prints a line that works", () =>
    running("gateway.ts", async (program) => {
      const client = await reach(program.url);
      assert.equal(text(await client.callTool("counter__up")), "1");
      await client.close();
      for (const answer of await pasted(program)) assert.match(answer, /"name":"mooring-gateway"/);
    }));
});
