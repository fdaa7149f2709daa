import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { server } from "../../examples/approval.ts";
import { createMcpHandler } from "../../mod.ts";
import { connect, type TestClient } from "../../src/testing/mod.ts";
import { pasted, reach, running } from "./program.ts";
import { text } from "./text.ts";

type Options = NonNullable<Parameters<typeof connect>[1]>;

async function connected(
  options: Options,
  work: (client: TestClient) => Promise<void>,
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

async function files(client: TestClient): Promise<unknown> {
  return (await client.callTool("list_files")).structuredContent?.files;
}

describe("examples/approval.ts", () => {
  for (
    const [who, options] of [
      ["a client that can't ask", {}],
      ["a user who says no", { onElicit: () => ({ action: "decline" }) }],
      [
        "a user who sends the form with a no",
        { onElicit: () => ({ action: "accept", content: { approve: false } }) },
      ],
    ] satisfies [string, Options][]
  ) {
    test(`[ASK-4] deletes nothing for ${who}`, () =>
      connected(options, async (client) => {
        const result = await client.callTool("delete_file", { name: "thesis.txt" });
        assert.equal(result.isError, true);
        assert.deepEqual(await files(client), ["todo.txt", "thesis.txt", "cache.tmp"]);
      }));
  }

  test("[ASK-4] deletes what the user has seen and approved", async () => {
    const asked: string[] = [];
    const onElicit: Options["onElicit"] = ({ message }) => {
      asked.push(message);
      return { action: "accept", content: { approve: true } };
    };
    await connected({ onElicit }, async (client) => {
      const result = await client.callTool("delete_file", { name: "todo.txt" });
      assert.equal(text(result), "Deleted todo.txt");
      assert.match(asked[0] ?? "", /^Delete "todo\.txt" for good\?/);
      await client.callTool("delete_file", { name: "cache.tmp" });
      assert.equal(asked.length, 1);
      assert.deepEqual(await files(client), ["thesis.txt"]);
    });
  });

  test("runs, and prints a line that works", () =>
    running("approval.ts", async (program) => {
      const client = await reach(program.url);
      assert.equal((await client.callTool("delete_file", { name: "todo.txt" })).isError, true);
      assert.equal(
        (await client.callTool("delete_file", { name: "cache.tmp" })).isError,
        undefined,
      );
      await client.close();
      for (const answer of await pasted(program)) assert.match(answer, /"name":"approval"/);
    }));
});
