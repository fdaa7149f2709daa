import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import type { RequestContext } from "../../../src/server/types.ts";
import { assertValid } from "../../support/schema.ts";
import { inWorld, KNOWS, TASKS, textOf, type World } from "./support.ts";

const NAME = z.object({ name: z.string() });

function askName(ctx: RequestContext, key = "name", message = "Who are you?") {
  return ctx.elicit(key, { message, schema: NAME });
}

function named(name: unknown): JsonObject {
  return { action: "accept", content: { name } };
}

function open(task: JsonObject): string[] {
  return Object.keys(task.inputRequests as JsonObject);
}

describe("a task that asks", () => {
  test("[EXT-6] shows its question, takes the answer and goes on", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("job", { task: "required" }, async (_args, ctx) => {
        const { content } = await askName(ctx);
        return `Hello, ${content?.name}!`;
      });
      const id = await world.begin("job");
      const task = await world.get(id);
      assert.equal(task.status, "input_required");
      assert.deepEqual(open(task), ["name"]);
      const { name: question } = task.inputRequests as JsonObject;
      assertValid("2026-07-28", "InputRequest", question);
      assert.equal(Object.hasOwn(task, "requestState"), false);
      assert.equal(JSON.stringify(await world.get(id)), JSON.stringify(task));
      const { result } = await world.update(id, { name: named("Alice") });
      assert.deepEqual(Object.keys(result).sort(), ["_meta", "resultType"]);
      assert.equal(result.resultType, "complete");
      assert.equal(textOf((await world.get(id)).result), "Hello, Alice!");
    });
  });

  test("[EXT-6] shows all of several questions, and then those that are left", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("job", { task: "required" }, async (_args, ctx) => {
        const answers = await Promise.all([askName(ctx, "a"), askName(ctx, "b"), ctx.roots("c")]);
        return JSON.stringify(answers);
      });
      const capabilities = { ...KNOWS, roots: {} };
      const id = await world.begin("job", {}, { capabilities });
      assert.deepEqual(open(await world.get(id)), ["a", "b", "c"]);
      await world.update(id, { b: named("B") });
      const left = await world.get(id);
      assert.equal(left.status, "input_required");
      assert.deepEqual(open(left), ["a", "c"]);
      await world.update(id, { a: named("A"), b: named("again"), c: { roots: [] } });
      assert.equal(
        textOf((await world.get(id)).result),
        JSON.stringify([named("A"), named("B"), []]),
      );
    });
  });

  test("[EXT-6] ignores what answers nothing, or is no answer", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("job", { task: "required" }, async (_args, ctx) => {
        return `${(await askName(ctx)).content?.name}`;
      });
      const id = await world.begin("job");
      const before = JSON.stringify(await world.get(id));
      const nothing: JsonObject[] = [
        {},
        { other: named("x") },
        { name: 7 },
        { name: null },
        { name: [] },
        Object.fromEntries([["constructor", named("x")], ["__proto__", named("x")]]),
      ];
      for (const answers of nothing) {
        assert.equal((await world.update(id, answers)).result.resultType, "complete");
        assert.equal(JSON.stringify(await world.get(id)), before);
      }
      await world.update(id, { name: named("Alice") });
      const done = JSON.stringify(await world.get(id));
      assert.equal((await world.update(id, { name: named("Bob") })).result.resultType, "complete");
      assert.equal(JSON.stringify(await world.get(id)), done);
    });
  });

  test("[EXT-6] goes back to asking, with another key", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("job", { task: "required" }, async (_args, ctx) => {
        const first = await askName(ctx, "first");
        const second = await askName(ctx, "second", `After ${first.content?.name}?`);
        return `${first.content?.name} ${second.content?.name}`;
      });
      const id = await world.begin("job");
      await world.update(id, { first: named("A") });
      assert.deepEqual(open(await world.get(id)), ["second"]);
      await world.update(id, { second: named("B") });
      assert.equal(textOf((await world.get(id)).result), "A B");
    });
  });

  test("[EXT-6] has the same answer for the same question, and an error for another", async () => {
    await inWorld(async (world) => {
      const thrown: unknown[] = [];
      world.server.registerTool("job", { task: "required" }, async (_args, ctx) => {
        const first = await askName(ctx);
        const again = await askName(ctx);
        await askName(ctx, "name", "And who else?").catch((error) => thrown.push(error));
        return `${first.content?.name} ${again.content?.name}`;
      });
      const id = await world.begin("job");
      await world.update(id, { name: named("A") });
      assert.equal(textOf((await world.get(id)).result), "A A");
      assert.ok(thrown[0] instanceof TypeError);
    });
  });

  test("[SRV-2, EXT-6] fails its tool by an answer that doesn't fit, unless its tool catches that", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("job", { task: "required" }, async (_args, ctx) => {
        return `${(await askName(ctx)).content?.name}`;
      });
      const id = await world.begin("job");
      await world.update(id, { name: named(7) });
      const { status, result } = await world.get(id);
      assert.equal(status, "completed");
      assert.equal((result as JsonObject).isError, true);
      assert.match(
        String(textOf(result)),
        /^A question of the tool "job" failed: The client's answer doesn't fit: "name": /,
      );
    });
  });

  test("[ASK-2, EXT-6] asks no client that can't be asked", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("job", { task: "required" }, async (_args, ctx) => {
        return `${(await askName(ctx)).content?.name}`;
      });
      const capabilities = { extensions: { [TASKS]: {} } };
      const id = await world.begin("job", {}, { capabilities });
      const { status, error } = await world.get(id);
      assert.equal(status, "failed");
      assert.deepEqual((error as JsonObject).data, { requiredCapabilities: { elicitation: {} } });
    });
  });

  test("[EXT-7] asks a hundred questions at a time and a thousand in all", async () => {
    await inWorld(async (world) => {
      const thrown: unknown[] = [];
      world.server.registerTool("many", { task: "required" }, (_args, ctx) => {
        for (let n = 0; n < 101; n++) askName(ctx, `${n}`).catch((error) => thrown.push(error));
        return "Done";
      });
      world.server.registerTool("long", { task: "required" }, async (_args, ctx) => {
        for (let n = 0; n < 1_001; n++) await askName(ctx, `${n}`);
        return "Done";
      });
      await world.begin("many");
      assert.equal(thrown.length, 101);
      assert.match(String(thrown[0]), /at most 100 questions at a time and 1000 in a task/);
      const id = await world.begin("long");
      for (let n = 0; n < 1_000; n++) {
        await world.send("tasks/update", { taskId: id, inputResponses: { [n]: named("x") } });
      }
      assert.match(String(textOf((await world.get(id)).result)), /1000 in a task\. Tell/);
    });
  });

  test("[EXT-6] can ask nothing once it is over", async () => {
    await inWorld(async (world) => {
      const contexts: RequestContext[] = [];
      world.server.registerTool("job", { task: "required" }, (_args, ctx) => {
        contexts.push(ctx);
        return "Done";
      });
      await world.begin("job");
      await assert.rejects(async () => await askName(contexts[0] as RequestContext), {
        message: "Ask before the task has ended",
      });
    });
  });
});

describe("askFirst", () => {
  /** A tool that asks first, for as many questions as given. */
  function addJob(world: World, keys: readonly string[], ran: string[] = []): void {
    const ask = (ctx: RequestContext) => Promise.all(keys.map((key) => askName(ctx, key)));
    world.server.registerTool("job", {
      inputSchema: z.object({ greeting: z.string().default("Hello") }),
      task: {
        support: "optional",
        askFirst: ({ greeting }, ctx) => (ran.push(greeting), ask(ctx)),
      },
    }, async ({ greeting }, ctx) => {
      const names = (await ask(ctx)).map(({ content }) => content?.name);
      return `${greeting}, ${names.join(" and ")}!`;
    });
  }

  test("[EXT-6] asks in the call, and the task has the answers", async () => {
    await inWorld(async (world) => {
      const ran: string[] = [];
      addJob(world, ["a", "b"], ran);
      const { result } = await world.call("job", { greeting: "Hi" });
      assert.equal(result.resultType, "input_required");
      assert.deepEqual(open(result), ["a", "b"]);
      assert.equal(Object.hasOwn(result, "taskId"), false);
      assert.equal(world.tasks.running, 0);
      const { requestState } = result;
      const inputResponses = { a: named("A"), b: named("B") };
      const retry = { name: "job", arguments: { greeting: "Hi" }, inputResponses, requestState };
      const handle = (await world.send("tools/call", retry)).result;
      assert.equal(handle.resultType, "task");
      assert.equal(Object.hasOwn(handle, "requestState"), false);
      assert.equal(Object.hasOwn(handle, "inputRequests"), false);
      await world.clock.advance(1);
      assert.equal(textOf((await world.get(String(handle.taskId))).result), "Hi, A and B!");
      assert.deepEqual(ran, ["Hi", "Hi"]);
    });
  });

  test("[EXT-6] isn't run for an ordinary call, whose handler asks for itself", async () => {
    await inWorld(async (world) => {
      const ran: string[] = [];
      addJob(world, ["a"], ran);
      const capabilities = { elicitation: {} };
      const { result } = await world.call("job", {}, { capabilities });
      assert.equal(result.resultType, "input_required");
      assert.deepEqual(ran, []);
    });
  });

  test("that throws fails the call as its handler would", async () => {
    await inWorld(async (world) => {
      const task = {
        support: "required" as const,
        askFirst: () => {
          throw new Error("secret");
        },
      };
      world.server.registerTool("job", { task }, () => "Done");
      const { result } = await world.call("job");
      assert.equal(result.isError, true);
      assert.equal(textOf(result), 'The tool "job" failed');
      assert.equal(world.events.of("error").length, 1);
    });
  });
});
