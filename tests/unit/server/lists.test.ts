import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isPromise } from "../../../src/internal/types.ts";
import { isObject, type JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { ResourceTemplate } from "../../../src/server/uris/resource_template.ts";
import type { McpServer } from "../../../src/server/server.ts";
import { FakeExchange } from "../../support/exchange.ts";
import { dispatch } from "../../../src/protocol/route.ts";
import { makeServer, rejectsWith, request } from "./helpers.ts";

/** All entries of a list, page by page; `between` runs after each page. */
async function all(
  server: McpServer,
  method: string,
  field: string,
  pageSize: number,
  between: () => void = () => {},
): Promise<string[][]> {
  const pages: string[][] = [];
  let cursor: unknown;
  do {
    const params = cursor === undefined ? {} : { cursor };
    const result = await request(server, method, params, { pageSize });
    const entries = result[field];
    assert.ok(Array.isArray(entries));
    pages.push(entries.map((entry) => isObject(entry) ? String(entry.name) : ""));
    cursor = result.nextCursor;
    between();
  } while (cursor !== undefined);
  return pages;
}

function withTools(count: number): McpServer {
  const server = makeServer();
  for (let i = 0; i < count; i++) server.registerTool(`t${i}`, {}, () => "x");
  return server;
}

describe("lists", () => {
  const kinds: readonly [string, string, (server: McpServer, name: string) => unknown][] = [
    ["tools/list", "tools", (server, name) => server.registerTool(name, {}, () => "x")],
    ["prompts/list", "prompts", (server, name) => server.registerPrompt(name, {}, () => "x")],
    [
      "resources/list",
      "resources",
      (server, name) => server.registerResource(name, `a://${name}`, {}, () => "x"),
    ],
    [
      "resources/templates/list",
      "resourceTemplates",
      (server, name) => server.registerResource(name, `a://${name}/{id}`, {}, () => "x"),
    ],
  ];
  for (const [method, field, register] of kinds) {
    test(`[SRV-3] ${method} is in registration order, in pages of the exchange's size`, async () => {
      const server = makeServer();
      for (const name of ["b", "a", "d", "c", "e"]) register(server, name);
      assert.deepEqual(await all(server, method, field, 2), [["b", "a"], ["d", "c"], ["e"]]);
      assert.deepEqual(await all(server, method, field, 5), [["b", "a", "d", "c", "e"]]);
      assert.deepEqual(await all(server, method, field, Infinity), [["b", "a", "d", "c", "e"]]);
    });

    test(`[SRV-3] ${method} refuses a cursor that was never given out`, async () => {
      const server = makeServer();
      for (const name of ["a", "b", "c"]) register(server, name);
      const { nextCursor } = await request(server, method, {}, { pageSize: 1 });
      assert.equal(typeof nextCursor, "string");
      const bad = [
        "",
        "x",
        "%%%",
        "🙂",
        7,
        null,
        {},
        `${nextCursor}=`,
        `${nextCursor} `,
        btoa("z.1.0").replaceAll("=", ""),
        btoa("t.9.0").replaceAll("=", ""),
        btoa("p.9.0").replaceAll("=", ""),
        btoa("r.9.0").replaceAll("=", ""),
        btoa("x.9.0").replaceAll("=", ""),
        btoa("l.9.0").replaceAll("=", ""),
        btoa("t.01.0").replaceAll("=", ""),
        "A".repeat(100_000),
      ];
      for (const cursor of bad) {
        await rejectsWith(-32602, /cursor/, () => request(server, method, { cursor }));
      }
      await request(server, method, { cursor: nextCursor });
    });
  }

  test("[SRV-3] a cursor of one list is none of another", async () => {
    const server = withTools(3);
    server.registerPrompt("p", {}, () => "x");
    const { nextCursor } = await request(server, "tools/list", {}, { pageSize: 1 });
    await rejectsWith(-32602, /cursor/, () => {
      return request(server, "prompts/list", { cursor: nextCursor });
    });
  });

  test("[SRV-3] what is removed between pages makes nothing else be skipped or repeated", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.tuple(fc.nat(19), fc.constantFrom("remove", "disable", "update", "add"))),
        async (count, pageSize, changes) => {
          const server = makeServer();
          const handles = Array.from({ length: count }, (_, i) => {
            return server.registerTool(`t${i}`, {}, () => "x");
          });
          const touched = new Set<string>();
          const pages = await all(server, "tools/list", "tools", pageSize, () => {
            const [at, change] = changes.shift() ?? [0, "none"];
            const handle = handles[at];
            if (change === "add") server.registerTool(`new${changes.length}`, {}, () => "x");
            if (change === "update") handle?.update({ title: "x" });
            if (change === "remove") handle?.remove();
            if (change === "disable") handle?.disable();
            if (change === "remove" || change === "disable") touched.add(`t${at}`);
          });
          const names = pages.flat().filter((name) => name.startsWith("t"));
          assert.equal(new Set(names).size, names.length);
          const untouched = (name: string) => !touched.has(name);
          const expected = Array.from({ length: count }, (_, i) => `t${i}`);
          assert.deepEqual(names.filter(untouched), expected.filter(untouched));
        },
      ),
      { numRuns: 50 },
    );
  });

  test("builds a page once, and anew when something changes", async () => {
    const server = withTools(1_000);
    const first = dispatch(server, new FakeExchange("tools/list"));
    assert.ok(!isPromise(first));
    assert.equal(dispatch(server, new FakeExchange("tools/list")), first);
    assert.ok(Object.isFrozen(first));
    const handle = server.registerTool("new", {}, () => "x");
    const second = await request(server, "tools/list");
    assert.notEqual(second, first);
    handle.disable();
    assert.deepEqual(await request(server, "tools/list"), first);
  });

  test("keeps only so many pages ready", async () => {
    const server = withTools(300);
    const pages = await all(server, "tools/list", "tools", 1);
    assert.equal(pages.length, 300);
    const { tools } = await request(server, "tools/list", {}, { pageSize: 1 });
    assert.deepEqual(tools, [{ name: "t0", inputSchema: { type: "object", properties: {} } }]);
  });

  test("[SRV-3] what templates list follows the fixed resources, across pages", async () => {
    for (const pageSize of [1, 2, 3, 4, 100]) {
      const server = makeServer();
      const list = (...names: string[]) => ({
        list: () => ({ resources: names.map((name) => ({ uri: `a://${name}`, name })) }),
      });
      server.registerResource("t1", new ResourceTemplate("a://1/{x}", list("c", "d", "e")), {
        mimeType: "text/plain",
      }, () => "x");
      server.registerResource("a", "a://a", {}, () => "x");
      server.registerResource("t2", "a://2/{x}", {}, () => "x");
      server.registerResource("t3", new ResourceTemplate("a://3/{x}", list()), {}, () => "x");
      server.registerResource("b", "a://b", {}, () => "x");
      server.registerResource("t4", new ResourceTemplate("a://4/{x}", list("f")), {}, () => "x");
      const pages = await all(server, "resources/list", "resources", pageSize);
      assert.deepEqual(pages.flat(), ["a", "b", "c", "d", "e", "f"]);
      assert.ok(pages.every((page) => page.length <= pageSize));
    }
  });

  test("what a template lists takes over what was said of the template", async () => {
    const server = makeServer();
    const resource = { uri: "a://1/1", name: "One", title: "own" };
    const template = new ResourceTemplate("a://1/{x}", {
      list: async () => ({ resources: [resource] }),
    });
    server.registerResource("t", template, { mimeType: "text/plain", title: "shared" }, () => "x");
    const { resources } = await request(server, "resources/list");
    assert.deepEqual(resources, [{ mimeType: "text/plain", ...resource }]);
  });

  test("[SRV-2] a template that fails to list is -32603, told to the operator", async () => {
    const server = makeServer();
    const error = new Error("secret");
    const list = () => Promise.reject(error);
    server.registerResource("t", new ResourceTemplate("a://{x}", { list }), {}, () => "x");
    const exchange = new FakeExchange("resources/list");
    await rejectsWith(-32603, /^Internal error$/, () => dispatch(server, exchange));
    assert.deepEqual(exchange.reported, [{ type: "error", during: "resources/list t", error }]);
  });

  test("[SRV-1] what was never registered has no methods; what was removed has an empty list", async () => {
    const server = makeServer();
    const empty = (field: string): JsonObject => ({ [field]: [] });
    for (const [method, field, register] of kinds) {
      if (method === "resources/templates/list") continue;
      await rejectsWith(-32601, /^Unknown method/, () => request(server, method));
      const handle = register(server, "a");
      assert.ok(typeof handle === "object" && handle !== null && "remove" in handle);
      const { remove } = handle;
      assert.ok(typeof remove === "function");
      remove();
      assert.deepEqual(await request(server, method), empty(field));
    }
  });
});
