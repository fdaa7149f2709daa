import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ErrorCode, McpError } from "../../../src/protocol/errors.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { MemoryTaskStore } from "../../../src/cluster/memory/tasks.ts";
import { tasks, type TasksOptions } from "../../../src/tasks/mod.ts";
import { FakeClock, flush } from "../../support/clock.ts";
import { inWorld, SlowStore, textOf, type World } from "./support.ts";

function addJobs(world: World): void {
  world.server.registerTool("optional", { task: "optional" }, () => "Done");
  world.server.registerTool("required", { task: "required" }, () => "Done");
}

describe("the limits of tasks", () => {
  const limits: Record<string, TasksOptions["limits"]> = {
    "limits.tasks": { tasks: 2 },
    "limits.tasksPerPrincipal": { tasksPerPrincipal: 2 },
  };
  for (const [name, limit] of Object.entries(limits)) {
    test(`[EXT-7] ${name} counts tasks until they expire`, async () => {
      await inWorld(async (world) => {
        addJobs(world);
        await world.begin("optional");
        await world.clock.advance(1_000);
        const kept = await world.begin("required");
        const { result } = await world.call("optional");
        assert.equal(result.resultType, "complete");
        assert.equal(textOf(result), "Done");
        const { error, status } = await world.call("required");
        assert.equal(status, 200);
        assert.equal(error.code, -32603);
        await world.get(kept);
        const { result: others } = await world.call("optional", {}, { who: "bob" });
        assert.equal(others.resultType, name === "limits.tasks" ? "complete" : "task");
        await world.clock.advance(59_000);
        await world.begin("required");
        await world.get(kept);
      }, { limits: limit });
    });
  }

  test("[EXT-7] are not passed by a burst, on a slow store neither", async () => {
    const store = new SlowStore(new MemoryTaskStore(new FakeClock()), flush);
    await inWorld(async (world) => {
      addJobs(world);
      const calls = Array.from({ length: 20 }, () => world.call("optional"));
      const kinds = (await Promise.all(calls)).map(({ result }) => result.resultType);
      assert.equal(kinds.filter((kind) => kind === "task").length, 5);
      assert.equal(kinds.filter((kind) => kind === "complete").length, 15);
    }, { store, limits: { tasksPerPrincipal: 5 } });
  });

  test("[EXT-7] a result that is too large becomes an error result", async () => {
    await inWorld(async (world) => {
      const content = (bytes: number) => [{ type: "text" as const, text: "x".repeat(bytes) }];
      const whole = { resultType: "complete", content: content(0) };
      const most = 1_000 - JSON.stringify(whole).length;
      for (const [name, bytes] of [["fits", most], ["large", most + 1]] as const) {
        world.server.registerTool(name, { task: "optional" }, () => ({ content: content(bytes) }));
      }
      const fits = await world.get(await world.begin("fits"));
      assert.equal(String(textOf(fits.result)).length, most);
      const large = await world.get(await world.begin("large"));
      assert.equal(large.status, "completed");
      assert.equal((large.result as JsonObject).isError, true);
      assert.equal(textOf(large.result), "The result is larger than 1000 bytes: ask for less");
    }, { limits: { resultBytes: 1_000 } });
  });

  test("[EXT-7] an error that says too much says nothing", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("job", { task: "optional" }, () => {
        throw new McpError(ErrorCode.InvalidParams, "No", "x".repeat(1_000));
      });
      const { error } = await world.get(await world.begin("job"));
      assert.equal((error as JsonObject).code, -32603);
      assert.equal(Object.hasOwn(error as JsonObject, "data"), false);
    }, { limits: { resultBytes: 1_000 } });
  });

  const wrong: Record<string, TasksOptions> = {
    "ttlMs": { ttlMs: 0 },
    "pollIntervalMs": { pollIntervalMs: 0.5 },
    "limits.tasks": { limits: { tasks: Infinity } },
    "limits.tasksPerPrincipal": { limits: { tasksPerPrincipal: -1 } },
    "limits.resultBytes": { limits: { resultBytes: NaN } },
  };
  for (const [name, options] of Object.entries(wrong)) {
    test(`${name} is checked`, () => {
      assert.throws(() => tasks(options), { name: "RangeError", message: new RegExp(`"${name}"`) });
    });
  }
});

describe("a store that fails", () => {
  test("refuses the call without a word about why, and leaves nothing running", async () => {
    const store = new SlowStore(new MemoryTaskStore(new FakeClock()), async () => {
      throw new Error("secret address");
    });
    await inWorld(async (world) => {
      addJobs(world);
      const { error, text } = await world.call("required");
      assert.equal(error.code, -32603);
      assert.equal(text.includes("secret"), false);
      assert.equal((await world.send("tasks/get", { taskId: "x" })).error.code, -32603);
      assert.equal(world.tasks.running, 0);
    }, { store });
  });

  test("while a task runs is reported, and the task ends all the same", async () => {
    let broken = false;
    const store = new SlowStore(new MemoryTaskStore(new FakeClock()), async () => {
      if (broken) throw new Error("secret address");
    });
    await inWorld(async (world) => {
      addJobs(world);
      world.server.registerTool("breaks", { task: "optional" }, () => {
        broken = true;
        return "Done";
      });
      await world.begin("breaks");
      assert.equal(world.tasks.running, 0);
      assert.deepEqual(world.events.of("error").map(({ during }) => during), ["storing a task"]);
      await world.clock.advance(60_000);
      const during = world.events.of("error").map(({ during }) => during);
      assert.deepEqual(during, ["storing a task", "deleting a task"]);
    }, { store });
  });
});
