/**
 * The tools of simulated servers, and the record of what ran.
 *
 * @module
 */
import { z } from "zod";
import { McpServer } from "../../src/server/server.ts";
import type { ToolHandler } from "../../src/server/types.ts";
import { tasks } from "../../src/tasks/mod.ts";
import type { Clock } from "../../src/internal/clock.ts";
import type { Surroundings } from "./node.ts";
import type { SimulatedProcess } from "./process.ts";

/** A run of a tool. */
export interface Run {
  readonly call: string;
  readonly node: SimulatedProcess;
  readonly begun: number;
  /** Whether it has done what it does once. */
  effect: boolean;
  ended: number | undefined;
}

/** Makes the server of a process. */
export function toolServer(
  process: SimulatedProcess,
  around: Surroundings,
  clock: Clock,
): McpServer {
  const { plan } = around;
  const server = new McpServer({ name: "simulation", version: "1.0.0" });
  const call = z.string();
  const inputSchema = z.object({
    ...{ call, steps: z.number(), stepMs: z.number(), ask: z.boolean() },
  });
  const work: ToolHandler<typeof inputSchema> = async ({ call, steps, stepMs, ask }, ctx) => {
    const { runs, environment, note } = around;
    // What a dead process would have done has not happened.
    if (process.dead) await new Promise(() => {});
    const run: Run = {
      ...{ call, node: process, begun: environment.now, effect: false, ended: undefined },
    };
    runs.push(run);
    note(`${process.name} runs ${call}`);
    around.onRun(run);
    if (!call.startsWith(ctx.principal.id)) around.fail(`${call} ran for ${ctx.principal.id}`);
    try {
      let answer = "";
      if (ask) {
        const schema = z.object({ word: z.string() });
        const given = await ctx.elicit("word", { message: call, schema });
        answer = String(given.content?.word);
      }
      run.effect = true;
      for (let step = 1; step <= steps; step++) {
        ctx.progress(step);
        await process.sleep(stepMs, ctx.signal);
      }
      return `${call} ${answer}`;
    } finally {
      run.ended = environment.now;
      note(`${process.name} ends ${call}`);
    }
  };
  server.registerTool("work", { inputSchema }, work);
  const annotations = { idempotentHint: true };
  server.registerTool("again", { inputSchema, annotations, retryOnNodeLoss: true }, work);
  server.registerTool("approved", { inputSchema, approval: true }, work);
  if (plan.clients.some(({ kind }) => kind === "tasks")) {
    server.use(tasks({ clock }));
    const task = "required";
    server.registerTool("job", { inputSchema, task }, work);
    server.registerTool(
      "job_again",
      { inputSchema, annotations, retryOnNodeLoss: true, task },
      work,
    );
  }
  const value = z.object({ value: call });
  server.registerTool("set", { inputSchema: value }, async ({ value }, { session }) => {
    await session?.state.set("value", value);
    return value;
  });
  server.registerTool("get", {}, async (_, { session }) => {
    return String(await session?.state.get("value"));
  });
  return server;
}
