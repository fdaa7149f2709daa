import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { createMcpHandler } from "../../../src/handler/handler.ts";
import { StopError } from "../../../src/calls/lifetime/stop.ts";
import type { RequestContext } from "../../../src/server/types.ts";
import { MemoryTaskStore } from "../../../src/cluster/memory/tasks.ts";
import type { TaskProgress } from "../../../src/protocol/task_store.ts";
import { FakeClock, flush } from "../../support/clock.ts";
import { FakeExchange } from "../../support/exchange.ts";
import { Gate } from "../../support/wire.ts";
import { dispatch } from "../../../src/protocol/route.ts";
import { inWorld, KNOWS, SlowStore, type World } from "./support.ts";

/** Registers a tool that never looks at its signal, and tells what it saw. */
function addDeaf(world: World): { readonly gate: Gate<string>; readonly seen: RequestContext[] } {
  const made = { gate: new Gate<string>(), seen: [] as RequestContext[] };
  world.server.registerTool("deaf", { task: "optional" }, (_args, ctx) => {
    made.seen.push(ctx);
    return made.gate.promise;
  });
  return made;
}

describe("tasks/cancel", () => {
  test("[EXT-5] aborts the tool's signal with the reason", async () => {
    await inWorld(async (world) => {
      const reasons: unknown[] = [];
      world.server.registerTool(
        "job",
        { task: "optional" },
        (_args, { signal }) =>
          new Promise<string>((_, reject) => {
            signal.addEventListener("abort", () => {
              reasons.push(signal.reason);
              reject(signal.reason);
            });
          }),
      );
      const id = await world.begin("job");
      const { result } = await world.cancel(id);
      assert.deepEqual(Object.keys(result).sort(), ["_meta", "resultType"]);
      const [reason] = reasons;
      assert.ok(reason instanceof StopError && reason.kind === "cancelled");
      assert.equal((await world.get(id)).status, "cancelled");
      assert.deepEqual(world.events.of("error"), []);
    });
  });

  test("[EXT-5] ends the task at once, whatever its tool does", async () => {
    await inWorld(async (world) => {
      const { gate, seen } = addDeaf(world);
      const id = await world.begin("deaf");
      await world.cancel(id);
      assert.equal((await world.get(id)).status, "cancelled");
      assert.equal(world.tasks.running, 0);
      const before = JSON.stringify(await world.get(id));
      await world.clock.advance(1_000);
      seen[0]?.progress(1);
      const question = { message: "?", schema: z.object({ a: z.string() }) };
      await assert.rejects(async () => await seen[0]?.elicit("late", question), StopError);
      gate.open("Too late");
      await flush();
      assert.equal(JSON.stringify(await world.get(id)), before);
    });
  });

  test("[EXT-5] is acknowledged when the task is over, and changes nothing", async () => {
    await inWorld(async (world) => {
      world.server.registerTool("quick", { task: "optional" }, () => "Done");
      const id = await world.begin("quick");
      const before = JSON.stringify(await world.get(id));
      for (let again = 0; again < 2; again++) {
        assert.equal((await world.cancel(id)).result.resultType, "complete");
      }
      assert.equal(JSON.stringify(await world.get(id)), before);
    });
  });

  test("[EXT-4, EXT-5] of another principal's task changes nothing", async () => {
    await inWorld(async (world) => {
      const { seen } = addDeaf(world);
      const id = await world.begin("deaf");
      assert.equal((await world.cancel(id, { who: "bob" })).error.code, -32602);
      assert.equal((await world.get(id)).status, "working");
      assert.equal(seen[0]?.signal.aborted, false);
    });
  });

  test("[EXT-5] rejects the questions that wait", async () => {
    await inWorld(async (world) => {
      let thrown: unknown;
      world.server.registerTool("job", { task: "optional" }, async (_args, ctx) => {
        try {
          await ctx.elicit("a", { message: "?", schema: z.object({ a: z.string() }) });
        } catch (error) {
          thrown = error;
        }
        return "Done";
      });
      const id = await world.begin("job");
      await world.cancel(id);
      assert.ok(thrown instanceof StopError && thrown.kind === "cancelled");
      assert.equal((await world.get(id)).status, "cancelled");
    });
  });
});

describe("a task's time", () => {
  test("[EXT-5] ends what still runs when it is over", async () => {
    await inWorld(async (world) => {
      const { seen } = addDeaf(world);
      const id = await world.begin("deaf");
      await world.clock.advance(59_999);
      assert.equal(seen[0]?.signal.aborted, false);
      await world.clock.advance(1);
      assert.equal(seen[0]?.signal.reason.kind, "timeout");
      assert.equal((await world.send("tasks/get", { taskId: id })).error.code, -32602);
      assert.equal(world.tasks.running, 0);
    });
  });
});

describe("the end of an endpoint", () => {
  test("[EXT-5, END-1] stops what runs, and leaves no timer", async () => {
    await inWorld(async (world) => {
      const { seen } = addDeaf(world);
      await world.begin("deaf");
      await world.handler.close({ graceMs: 0 });
      assert.equal(seen[0]?.signal.reason.kind, "shutdown");
      assert.equal(world.tasks.running, 0);
      assert.equal(world.clock.pending, 0);
    });
  });

  test("[EXT-5] is none as long as another endpoint serves the same server", async () => {
    await inWorld(async (world) => {
      const { seen } = addDeaf(world);
      const other = createMcpHandler(world.server, { clock: world.clock });
      await world.begin("deaf");
      await world.handler.close({ graceMs: 0 });
      assert.equal(seen[0]?.signal.aborted, false);
      await other.close({ graceMs: 0 });
      assert.equal(seen[0]?.signal.reason.kind, "shutdown");
    });
  });
});

describe("a task that is over", () => {
  test("[EXT-5] writes nothing more, on a slow store neither", async () => {
    const memory = new MemoryTaskStore(new FakeClock());
    const statuses: string[] = [];
    let gate = new Gate();
    gate.open();
    const store = new class extends SlowStore {
      override async update(id: string, runner: string, progress: TaskProgress): Promise<boolean> {
        statuses.push(progress.state.status);
        return await super.update(id, runner, progress);
      }
    }(memory, () => gate.promise);
    await inWorld(async (world) => {
      const { seen, gate: tool } = addDeaf(world);
      const id = await world.begin("deaf");
      seen[0]?.progress(1);
      await world.cancel(id);
      gate = new Gate();
      seen[0]?.progress(2);
      tool.open("Too late");
      await flush();
      gate.open();
      await flush();
      assert.deepEqual(statuses, ["working"]);
      assert.equal((await world.get(id)).status, "cancelled");
    }, { store });
  });
});

describe("a client that goes away before it has its handle", () => {
  test("[EXT-5] leaves nothing running", async () => {
    const gate = new Gate();
    const store = new SlowStore(new MemoryTaskStore(new FakeClock()), () => gate.promise);
    await inWorld(async (world) => {
      const { seen } = addDeaf(world);
      const exchange = new FakeExchange("tools/call", { name: "deaf" }, {
        protocolVersion: "2026-07-28",
        capabilities: KNOWS,
      });
      const answer = dispatch(world.server, exchange);
      exchange.abort(new StopError("disconnected"));
      gate.open();
      await answer;
      await flush();
      assert.equal(seen.length, 0);
      assert.equal(world.tasks.running, 0);
    }, { store });
  });
});
