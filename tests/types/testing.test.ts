import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { type CallToolResult, createMcpHandler, McpServer, ToolError } from "../../mod.ts";
import { connect, type TestClient, type ToolName } from "../../src/testing/mod.ts";

/** Whether two types are the same, not only assignable to each other. */
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

/** Compiles only for `true`. */
function same<T extends true>(_proof?: T): void {}

function build() {
  const server = new McpServer({ name: "typed", version: "1.0.0" });
  const tools = {
    // The key needn't be the name of the tool
    sum: server.registerTool("add", {
      inputSchema: z.object({ a: z.number(), b: z.number().default(2) }),
      outputSchema: z.object({ sum: z.number() }),
    }, ({ a, b }) => {
      if (a < 0) throw new ToolError("Only natural numbers");
      return { structuredContent: { sum: a + b } };
    }),
    find: server.registerTool("find", {
      inputSchema: {
        type: "object",
        properties: { text: { type: "string" }, limit: { type: "integer" } },
        required: ["text"],
      },
      outputSchema: { type: "array", items: { type: "string" } },
    }, ({ text, limit = 1 }) => ({ structuredContent: [text.slice(0, limit)] })),
    hello: server.registerTool("hello", { description: "Greets." }, () => "Hello!"),
    count: 7,
  };
  return { server, tools };
}
type Tools = ReturnType<typeof build>["tools"];

describe("a client that knows the tools", () => {
  test("[AUT-8] takes their names and arguments, and knows their data", async () => {
    const { server, tools } = build();
    assert.deepEqual([tools.sum.name, tools.find.name], ["add", "find"]);
    same<Equal<ToolName<Tools>, "add" | "find" | "hello">>();
    await using handler = createMcpHandler(server);
    await using client = await connect<Tools>(handler);

    const added = await client.callTool("add", { a: 1 }, { timeoutMs: 10_000 });
    same<Equal<typeof added.structuredContent, { sum: number } | undefined>>();
    assert.equal(added.structuredContent?.sum, 3);
    const failed = await client.callTool("add", { a: -1 });
    assert.deepEqual([failed.isError, failed.structuredContent], [true, undefined]);

    const found = await client.callTool("find", { text: "abc" });
    same<
      Equal<typeof found.structuredContent, string[] | { readonly result: string[] } | undefined>
    >();
    assert.deepEqual(found.structuredContent, { result: ["a"] });

    const hello = await client.callTool("hello");
    same<Equal<typeof hello, CallToolResult>>();
    assert.deepEqual(hello.content, [{ type: "text", text: "Hello!" }]);

    const wrong = () => [
      // @ts-expect-error There is no such tool
      client.callTool("nope"),
      // @ts-expect-error A number is missing
      client.callTool("add"),
      // @ts-expect-error It is a number
      client.callTool("add", { a: "1" }),
      // @ts-expect-error There is no such argument
      client.callTool("add", { a: 1, c: 1 }),
      // @ts-expect-error It takes no arguments
      client.callTool("hello", { a: 1 }),
    ];
    void wrong;
  });

  test("[AUT-8] sends anything under a name that the compiler doesn't know", async () => {
    const { server } = build();
    await using handler = createMcpHandler(server);
    await using client = await connect<Tools>(handler);
    const result = await client.callTool("add" as string, { a: "1" });
    same<Equal<typeof result, CallToolResult>>();
    assert.equal(result.isError, true);
    await assert.rejects(client.callTool("nope" as string), { name: "McpError", code: -32602 });
    for (const { name } of await client.listTools()) {
      assert.ok((await client.callTool(name, { a: 1, text: "x" })).content);
    }
  });

  test("[AUT-8] is also a client that knows none; a tuple of handles will do", async () => {
    const { server, tools: { sum, hello } } = build();
    await using handler = createMcpHandler(server);
    await using two = await connect<[typeof sum, typeof hello]>(handler);
    same<Equal<ToolName<[typeof sum, typeof hello]>, "add" | "hello">>();
    assert.equal((await two.callTool("add", { a: 2, b: 2 })).structuredContent?.sum, 4);
    const any: TestClient = two;
    assert.equal((await any.callTool("hello")).isError, undefined);
    await using plain = await connect(handler);
    const result = await plain.callTool("find", { text: 7 });
    same<Equal<typeof result, CallToolResult>>();
    assert.equal(result.isError, true);
  });
});
