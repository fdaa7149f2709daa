import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gw } from "../../examples/openapi.ts";
import { createMcpHandler } from "../../mod.ts";
import { connect } from "../../src/testing/mod.ts";
import { pasted, reach, running } from "./program.ts";
import { text } from "./text.ts";

describe("examples/openapi.ts", () => {
  test("[OAPI-6, OAPI-7, OAPI-10] serves an API's operations, with its key, but not all", async () => {
    const handler = createMcpHandler(gw);
    const client = await connect(handler);
    try {
      assert.deepEqual((await client.listTools()).map(({ name }) => name), [
        "books__books_search",
        "books__books_get",
      ]);
      const found = await client.callTool("books__books_search", { author: "Gibson" });
      const { result } = found.structuredContent as { result: { title: string }[] };
      assert.deepEqual(result.map(({ title }) => title), ["Neuromancer"]);
      const none = await client.callTool("books__books_get", { isbn: "../books" });
      assert.equal(none.isError, true);
      assert.match(text(none) ?? "", /^The API answered 404.*: \{"error":"No such book"\}$/);
    } finally {
      await client.close();
      await handler.close();
    }
  });

  test("runs, and prints a line that works", () =>
    running("openapi.ts", async (program) => {
      const client = await reach(program.url);
      assert.match(text(await client.callTool("books__books_search")) ?? "", /Neuromancer/);
      await client.close();
      for (const answer of await pasted(program)) assert.match(answer, /"name":"mooring-gateway"/);
    }));
});
