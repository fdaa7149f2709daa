import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { app, handler } from "../../examples/hono.ts";
import { connect, RefusedError } from "../../src/testing/mod.ts";
import { pasted, reach, running } from "./program.ts";
import { text } from "./text.ts";

const WITH_KEY = { headers: { "x-api-key": "demo-key" } };

describe("examples/hono.ts", () => {
  test("knows whom the app knows", async () => {
    const client = await connect((request) => app.fetch(request), WITH_KEY);
    try {
      assert.equal(text(await client.callTool("whoami")), "You are ada");
      await assert.rejects(connect((request) => app.fetch(request)), (error) => {
        return error instanceof RefusedError && error.status === 401;
      });
      const index = await app.request("/");
      assert.equal(await index.text(), "The endpoint is at /mcp");
    } finally {
      await client.close();
      await handler.close();
    }
  });

  test("runs, and prints a line that works", () =>
    running("hono.ts", async (program) => {
      const client = await reach(program.url, WITH_KEY);
      assert.equal(text(await client.callTool("whoami")), "You are ada");
      await client.close();
      for (const answer of await pasted(program)) assert.match(answer, /^HTTP\/1\.1 401/);
    }));
});
