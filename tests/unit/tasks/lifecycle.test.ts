import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { ErrorCode, McpError } from "../../../src/protocol/errors.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../../src/server/server.ts";
import type { RequestContext } from "../../../src/server/types.ts";
import { tasks } from "../../../src/tasks/mod.ts";
import { connect } from "../../../src/testing/mod.ts";
import { flush } from "../../support/clock.ts";
import { as, Gate } from "../../support/wire.ts";
import { inWorld, KNOWS, TASKS, textOf } from "./support.ts";

const REQUIRED = { requiredCapabilities: { extensions: { [TASKS]: {} } } };

describe("a tool with a task", () => {
  test("[EXT-2] is answered with a handle at once, and the result is there later", async () => {
    await inWorld(async (world) => {
      const gate = new Gate<string>();
      world.server.registerTool("slow", { task: "optional" }, () => gate.promise);
      const { result, status } = await world.call("slow");
      const { taskId } = result;
      assert.equal(status, 200);
      assert.ok(typeof taskId === "string" && /^[\w-]{32}$/.test(taskId));
      const now = new Date(world.clock.now()).toISOString();
      const handle = {
        taskId,
        status: "working",
        createdAt: now,
        lastUpdatedAt: now,
        ttlMs: 60_000,
        pollIntervalMs: 1_000,
      };
      assertSame(result, { resultType: "task", ...handle });
      assertSame(await world.get(taskId), { resultType: "complete", ...handle });
      assert.equal(world.tasks.running, 1);
      await world.clock.advance(5_000);
      gate.open("Done");
      await flush();
      assertSame(await world.get(taskId), {
        resultType: "complete",
        ...handle,
        status: "completed",
        lastUpdatedAt: new Date(world.clock.now()).toISOString(),
        result: { resultType: "complete", content: [{ type: "text", text: "Done" }] },
      });
      assert.equal(world.tasks.running, 0);
    });
  });

  test("[EXT-3] keeps its result until it expires, and then nobody knows it", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("quick", { task: "optional" }, () => "Done");
      const id = await world.begin("quick");
      await world.clock.advance(59_999);
      assert.equal((await world.get(id)).status, "completed");
      await world.clock.advance(1);
      assert.equal((await world.send("tasks/get", { taskId: id })).error.code, -32602);
    });
  });

  test("[EXT-2] runs as an ordinary call for clients that don't know tasks", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("quick", { task: "optional" }, () => "Done");
      for (const capabilities of [{}, { extensions: {} }, { experimental: { [TASKS]: {} } }]) {
        const { result } = await world.call("quick", {}, { capabilities });
        assert.equal(result.resultType, "complete");
        assert.equal(textOf(result), "Done");
      }
      const { result } = await world.send("tools/call", { name: "quick", task: { ttl: 1 } }, {
        capabilities: {},
      });
      assert.equal(result.resultType, "complete");
    });
  });

  test("[EXT-2] refuses such clients where it is required, before anything runs", async () => {
    await inWorld(async (world) => {
      let ran = 0;
      world.server.registerTool("job", { task: "required", approval: true }, () => `${++ran}`);
      const { status, error } = await world.call("job", {}, { capabilities: { elicitation: {} } });
      assert.equal(status, 400);
      assert.equal(error.code, -32021);
      assert.deepEqual(error.data, REQUIRED);
      assert.equal(ran, 0);
    });
  });

  test("[EXT-1, EXT-2] is an ordinary tool to 2025 clients, whatever they declare", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("quick", { task: "optional" }, () => "Done");
      world.server.registerTool("job", { task: "required" }, () => "Done");
      const client = await connect(world.handler, { capabilities: KNOWS, headers: as("alice") });
      try {
        assert.equal(textOf(await client.callTool("quick")), "Done");
        await assert.rejects(client.callTool("job"), { code: -32021, data: REQUIRED });
        assert.equal(Object.hasOwn(client.capabilities, "extensions"), false);
        await assert.rejects(client.request("tasks/get", { taskId: "x" }), { code: -32601 });
      } finally {
        await client.close();
      }
    });
  });

  test("a tool without a task is none, and a wrong argument makes none", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("plain", {}, () => "Done");
      const inputSchema = z.object({ a: z.number() });
      world.server.registerTool("job", { inputSchema, task: "required" }, ({ a }) => `${a}`);
      assert.equal((await world.call("plain")).result.resultType, "complete");
      const { result } = await world.call("job", { a: "1" });
      assert.deepEqual([result.resultType, result.isError], ["complete", true]);
      const id = await world.begin("job", { a: 1 });
      assert.equal(textOf((await world.get(id)).result), "1");
    });
  });

  test("[EXT-3] a tool that fails completes, one with a protocol error fails", async () => {
    await inWorld(async (world) => {
      const cases: Record<string, () => unknown> = {
        says: () => ({ isError: true, content: [{ type: "text", text: "No luck" }] }),
        throws: () => {
          throw new TypeError("secret");
        },
        mcp: () => {
          throw new McpError(ErrorCode.InvalidParams, "Give a later date", { field: "date" });
        },
        old: () => {
          throw new McpError(ErrorCode.ResourceNotFound, "Nothing there");
        },
        odd: () => {
          throw new McpError(ErrorCode.InvalidParams, "Odd", 1n);
        },
      };
      const ends: Record<string, JsonObject> = {};
      for (const [name, handler] of Object.entries(cases)) {
        world.server.registerTool(name, { task: "optional" }, handler as () => string);
        ends[name] = await world.get(await world.begin(name));
      }
      assert.equal(ends.says?.status, "completed");
      assert.deepEqual(ends.says?.result, {
        resultType: "complete",
        isError: true,
        content: [{ type: "text", text: "No luck" }],
      });
      assert.equal(ends.throws?.status, "completed");
      assert.equal(textOf(ends.throws?.result), 'The tool "throws" failed');
      assert.equal(JSON.stringify(ends).includes("secret"), false);
      assert.equal(ends.mcp?.status, "failed");
      assert.equal(ends.mcp?.statusMessage, "Give a later date");
      assert.deepEqual(ends.mcp?.error, {
        code: -32602,
        message: "Give a later date",
        data: { field: "date" },
      });
      assert.equal(Object.hasOwn(ends.mcp ?? {}, "result"), false);
      assert.deepEqual(ends.old?.error, { code: -32602, message: "Nothing there" });
      assert.deepEqual(ends.odd?.error, { code: -32603, message: "Internal error" });
      assert.equal(world.events.of("error").length, 2);
    });
  });

  test("[EXT-3] a result that doesn't fit its schema, or is no JSON, fails", async () => {
    await inWorld(async (world) => {
      const outputSchema = z.object({ sum: z.number() });
      const misfit = (() => ({ structuredContent: { sum: "1" } })) as unknown as () => {
        structuredContent: { sum: number };
      };
      world.server.registerTool("misfit", { outputSchema, task: "optional" }, misfit);
      const circle: Record<string, unknown> = {};
      circle.circle = circle;
      const content = [{ type: "text" as const, text: "x" }];
      world.server.registerTool("circle", { task: "optional" }, () => ({ content, _meta: circle }));
      for (const name of ["misfit", "circle"]) {
        const { status, error } = await world.get(await world.begin(name));
        assert.equal(status, "failed");
        assert.equal((error as JsonObject).code, -32603);
      }
      assert.equal(world.events.of("error").length, 2);
    });
  });

  test("its handler sees the request that began it, and can send nothing", async () => {
    await inWorld(async (world) => {
      const seen: RequestContext[] = [];
      world.server.registerTool("job", { task: "optional" }, (_args, ctx) => {
        seen.push(ctx);
        ctx.log("alert", "x");
        ctx.notify({ method: "notifications/custom" });
        ctx.closeStream();
        return "Done";
      });
      await world.begin("job", {}, { who: "bob", headers: { "x-trace": "7" } });
      const [ctx] = seen;
      assert.equal(ctx?.principal.id, "bob");
      assert.equal(ctx?.protocolVersion, "2026-07-28");
      assert.equal(ctx?.request.headers.get("x-trace"), "7");
      assert.equal(ctx?.session, undefined);
      assert.deepEqual(ctx?.client.capabilities, KNOWS);
      assert.equal(ctx?.signal.aborted, false);
    });
  });

  test("[EXT-3] its progress is its message, until it ends", async () => {
    await inWorld(async (world) => {
      const gate = new Gate<string>();
      world.server.registerTool("job", { task: "optional" }, async (_args, ctx) => {
        ctx.progress(1, 3);
        await gate.promise;
        ctx.progress(2, 3, "Nearly there".repeat(100));
        return await new Promise<string>(() => {});
      });
      const id = await world.begin("job");
      assert.equal((await world.get(id)).statusMessage, "1 of 3");
      await world.clock.advance(10);
      gate.open("");
      await flush();
      const { statusMessage, lastUpdatedAt } = await world.get(id);
      assert.match(String(statusMessage), /^Nearly there/);
      assert.ok(String(statusMessage).length <= 501);
      assert.equal(lastUpdatedAt, new Date(world.clock.now()).toISOString());
      await world.cancel(id);
      assert.equal(Object.hasOwn(await world.get(id), "statusMessage"), false);
    });
  });

  test("[ASK-4] its approval is asked for in the task, and without a yes it doesn't run", async () => {
    await inWorld(async (world) => {
      let ran = 0;
      world.server.registerTool("job", { task: "optional", approval: true }, () => `${++ran}`);
      for (const [approve, text] of [[false, 'The tool "job" was not approved'], [true, "1"]]) {
        const id = await world.begin("job");
        const { inputRequests } = await world.get(id);
        const [key = ""] = Object.keys(inputRequests as JsonObject);
        await world.update(id, { [key]: { action: "accept", content: { approve } } });
        assert.equal(textOf((await world.get(id)).result), text);
      }
      assert.equal(ran, 1);
    });
  });
});

describe("the methods of tasks", () => {
  test("[EXT-1] are offered by those servers alone that use the extension", async () => {
    await inWorld(async (world) => {
      const { capabilities } = (await world.send("server/discover")).result;
      assert.deepEqual((capabilities as JsonObject).extensions, { [TASKS]: {} });
    });
    const plain = new McpServer({ name: "plain", version: "1.0.0" });
    assert.throws(
      () => plain.registerTool("job", { task: "optional" }, () => ""),
      { name: "TypeError", message: /^Call server\.use\(tasks\(\)\).*: "job"$/ },
    );
    const handle = plain.registerTool("job", {}, () => "");
    assert.throws(() => handle.update({ task: "required" }), /Call server\.use/);
    plain.use(tasks());
    handle.update({ task: "required" });
    assert.throws(() => handle.update({ task: "maybe" as "optional" }), /"optional" or "required"/);
  });

  test("[EXT-3] want the client to know tasks", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("quick", { task: "optional" }, () => "Done");
      const taskId = await world.begin("quick");
      for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
        for (const id of [taskId, "unknown"]) {
          const params = { taskId: id, inputResponses: {} };
          const { status, error } = await world.send(method, params, { capabilities: {} });
          assert.equal(status, 400);
          assert.equal(error.code, -32021);
          assert.deepEqual(error.data, REQUIRED);
        }
      }
    });
  });

  test("[EXT-3] are no more than three", async () => {
    await inWorld(async (world) => {
      for (const method of ["tasks/result", "tasks/list", "tasks/create"]) {
        const { status, error } = await world.send(method, { taskId: "x" });
        assert.equal(status, 404);
        assert.equal(error.code, -32601);
      }
    });
  });

  test("[ERA-3] want the task's id in the Mcp-Name header", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("quick", { task: "optional" }, () => "Done");
      const taskId = await world.begin("quick");
      for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
        const params = { taskId, inputResponses: {} };
        const reply = await world.send(method, params, { headers: { "mcp-name": "other" } });
        assert.equal(reply.status, 400);
        assert.equal(reply.error.code, -32020);
      }
    });
  });

  test("want an id, and answers as an object", async () => {
    await inWorld(async (world) => {
      for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
        const { error } = await world.send(method, { taskId: 7, inputResponses: {} });
        assert.equal(error.code, -32602);
        assert.equal(error.message, 'Give a task\'s id as "taskId"');
      }
      for (const inputResponses of [undefined, null, [], "x"]) {
        const { error } = await world.send("tasks/update", { taskId: "x", inputResponses });
        assert.match(String(error.message), /inputResponses/);
      }
    });
  });
});

describe("the owner of a task", () => {
  test("[EXT-4] is the only one to whom it is not unknown", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("job", { task: "optional" }, async (_args, ctx) => {
        await ctx.elicit("name", { message: "Who?", schema: z.object({ name: z.string() }) });
        return "Done";
      });
      world.server.registerTool("quick", { task: "optional" }, () => "Done");
      const expired = await world.begin("quick");
      await world.clock.advance(30_000);
      const foreign = await world.begin("job");
      const before = JSON.stringify(await world.get(foreign));
      await world.clock.advance(30_000);
      const inputResponses = { name: { action: "accept", content: { name: "Bob" } } };
      for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
        const ids = [foreign, expired, "A".repeat(32), "", "__proto__", "constructor"];
        const replies = await Promise.all(
          ids.map((taskId) => world.send(method, { taskId, inputResponses }, { who: "bob" })),
        );
        const [first, ...others] = replies;
        assert.equal(first?.status, 200);
        assert.deepEqual(first?.error, { code: -32602, message: "Unknown task" });
        for (const { text, status } of others) assert.deepEqual([text, status], [first?.text, 200]);
      }
      assert.equal(JSON.stringify(await world.get(foreign)), before);
    });
  });

  test("[EXT-4] is whoever has the same id of the same issuer through the same client", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("quick", { task: "optional" }, () => "Done");
      const by = (principal: JsonObject) => ({
        headers: { "x-principal": JSON.stringify(principal) },
      });
      const taskId = await world.begin("quick", {}, by({ id: "a", issuer: "i", scopes: ["x"] }));
      await world.get(taskId, by({ id: "a", issuer: "i" }));
      for (const other of [{ id: "a" }, { id: "a", clientId: "i" }, { id: "b", issuer: "i" }]) {
        const { error } = await world.send("tasks/get", { taskId }, by(other));
        assert.equal(error.message, "Unknown task");
      }
    });
  });
});

/** Compares results without what every result of the era says besides. */
function assertSame({ _meta, ...result }: JsonObject, expected: JsonObject): void {
  assert.ok(_meta);
  assert.deepEqual(result, expected);
}
