import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { server } from "../../examples/demo.ts";
import { createMcpHandler } from "../../mod.ts";
import { connect, type TestClient } from "../../src/testing/mod.ts";
import { pasted, reach, running } from "./program.ts";
import { text } from "./text.ts";

async function connected(
  work: (client: TestClient) => Promise<void>,
  options: Parameters<typeof connect>[1] = {},
): Promise<void> {
  const handler = createMcpHandler(server);
  const client = await connect(handler, options);
  try {
    await work(client);
  } finally {
    await client.close();
    await handler.close();
  }
}

describe("examples/demo.ts", () => {
  test("adds", () =>
    connected(async (client) => {
      const { structuredContent } = await client.callTool("add", { a: 2, b: 3 });
      assert.deepEqual(structuredContent, { sum: 5 });
    }));

  test("brews tea, cup by cup", () =>
    connected(async (client) => {
      const seen: unknown[] = [];
      const result = await client.callTool("brew_tea", { cups: 2, msPerCup: 1 }, {
        onProgress: ({ progress, total, message }) => seen.push([progress, total, message]),
      });
      assert.deepEqual(seen, [[1, 2, "Cup 1 is ready"], [2, 2, "Cup 2 is ready"]]);
      assert.equal(text(result), "2 cups of tea");
    }));

  test("greets whoever tells their name", () =>
    connected(async (client) => {
      assert.equal(text(await client.callTool("greet")), "Hello, Ada!");
    }, { onElicit: () => ({ action: "accept", content: { name: "Ada" } }) }));

  test("greets whoever doesn't", () =>
    connected(async (client) => {
      assert.equal(text(await client.callTool("greet")), "Hello, whoever you are!");
    }, { onElicit: () => ({ action: "decline" }) }));

  test("greets a client that can't be asked", () =>
    connected(async (client) => {
      assert.equal(text(await client.callTool("greet")), "Hello! Your client can't be asked.");
    }));

  test("tells the time, prompts and completes", () =>
    connected(async (client) => {
      const { contents: [time] } = await client.readResource("demo://time");
      assert.ok(time !== undefined && "text" in time && !Number.isNaN(Date.parse(time.text)));
      const { messages } = await client.getPrompt("translate", { text: "Boat", language: "Dutch" });
      assert.deepEqual(messages[0]?.content, { type: "text", text: "Translate into Dutch: Boat" });
      const ref = { type: "ref/prompt", name: "translate" } as const;
      const { values } = await client.complete(ref, { name: "language", value: "G" });
      assert.deepEqual(values, ["German"]);
    }));

  test("runs, and prints a line that works", () =>
    running("demo.ts", async (program) => {
      const client = await reach(program.url);
      const { structuredContent } = await client.callTool("add", { a: 2, b: 3 });
      assert.deepEqual(structuredContent, { sum: 5 });
      await client.close();
      for (const answer of await pasted(program)) assert.match(answer, /"name":"demo"/);
    }));
});
