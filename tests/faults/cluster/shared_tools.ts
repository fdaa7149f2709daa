/**
 * What any node of the cluster may serve: tools that leave nothing in their process.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import type { McpHandler } from "../../../src/handler/types.ts";
import { McpServer } from "../../../src/server/server.ts";
import { tasks } from "../../../src/tasks/mod.ts";
import type { Note } from "./node.ts";

/** A server, and what it needs to know of the handler that serves it. */
export interface SharedTools {
  readonly server: McpServer;
  served(handler: McpHandler): void;
}

/** How often a tool looks whether it was let go, in milliseconds. */
const STEP_MS = 20;

/** Makes the tools of a node. */
export function sharedTools(name: string, note: Note): SharedTools {
  const server = new McpServer({ name: "cluster", version: "1.0.0" });
  server.use(tasks());
  let handler: McpHandler | undefined;
  const call = z.string().default("?");

  server.registerTool("add", {
    inputSchema: z.object({ call, a: z.number(), b: z.number() }),
  }, ({ call, a, b }) => {
    note("ran", call);
    return String(a + b);
  });

  server.registerTool("whoami", {}, () => name);

  server.registerTool("remember", { inputSchema: z.object({ value: z.string() }) }, async (
    { value },
    { session },
  ) => {
    await session?.state.set("value", value);
    return value;
  });

  server.registerTool("recall", {}, async (_, { session }) => {
    return String(await session?.state.get("value"));
  });

  // Says 1, 2, 3, …, and then nothing for `thenMs` before it ends.
  server.registerTool("count", {
    inputSchema: z.object({
      call,
      from: z.number().default(1),
      to: z.number(),
      everyMs: z.number().default(0),
      thenMs: z.number().default(0),
    }),
  }, async ({ call, from, to, everyMs, thenMs }, ctx) => {
    note("ran", call);
    for (let n = from; n <= to; n++) {
      if (n > from && everyMs > 0) await pause(everyMs);
      ctx.notify({ method: "notifications/message", params: { level: "info", data: n } });
      ctx.progress(n, to);
      note("said", `${call} ${n}`);
    }
    if (thenMs > 0) await pause(thenMs);
    return `counted to ${to}`;
  });

  // The same, of tools that may be begun again, with a key and without.
  for (const [tool, answerOnce] of [["again", false], ["once", true]] as const) {
    server.registerTool(tool, {
      inputSchema: z.object({ call, to: z.number(), thenMs: z.number().default(0) }),
      annotations: { idempotentHint: true },
      retryOnNodeLoss: true,
      answerOnce,
    }, async ({ call, to, thenMs }, ctx) => {
      note("ran", call);
      for (let n = 1; n <= to; n++) ctx.progress(n, to);
      ctx.notify({ method: "notifications/message", params: { level: "info", data: name } });
      if (thenMs > 0) await pause(thenMs);
      return `counted to ${to} at ${name}`;
    });
  }

  server.registerTool("ask", { inputSchema: z.object({ call }) }, async ({ call }, ctx) => {
    note("ran", call);
    const { action, content } = await ctx.elicit("name", {
      message: "Who are you?",
      schema: z.object({ username: z.string() }),
    });
    return `${action} ${content?.username}`;
  });

  server.registerTool("slow", { inputSchema: z.object({ call, ms: z.number() }) }, async (
    { call, ms },
    { signal },
  ) => {
    note("ran", call);
    for (let left = ms; left > 0 && !signal.aborted; left -= STEP_MS) await pause(STEP_MS);
    if (signal.aborted) note("stopped", call);
    return "slept";
  });

  for (const [tool, retryOnNodeLoss] of [["job", false], ["job_again", true]] as const) {
    server.registerTool(tool, {
      inputSchema: z.object({ call, ms: z.number() }),
      annotations: { idempotentHint: retryOnNodeLoss },
      retryOnNodeLoss,
      task: "required",
    }, async ({ call, ms }, { signal }) => {
      note("ran", call);
      for (let left = ms; left > 0 && !signal.aborted; left -= STEP_MS) await pause(STEP_MS);
      if (signal.aborted) note("stopped", call);
      return `done at ${name}`;
    });
  }

  server.registerTool("job_ask", { inputSchema: z.object({ call }), task: "required" }, async (
    { call },
    ctx,
  ) => {
    note("ran", call);
    const { action, content } = await ctx.elicit("name", {
      message: "Who are you?",
      schema: z.object({ username: z.string() }),
    });
    return `${action} ${content?.username}`;
  });

  // Answers when the cluster has taken what it tells.
  server.registerTool("emit", {
    inputSchema: z.object({ from: z.number(), to: z.number() }),
  }, async ({ from, to }, { session }) => {
    note("ran", `emit ${from}`);
    for (let n = from; n <= to; n++) {
      const params = { level: "info", data: n };
      const notification = { method: "notifications/message", params };
      if (!await handler?.notify(session?.id ?? "", notification)) return `${n} was not taken`;
    }
    return `emitted ${from} to ${to}`;
  });

  server.registerResource("weather", "weather://today", {}, () => "Rain");
  server.registerTool("rain", {}, () => {
    server.resourceUpdated("weather://today");
    return "It rains";
  });

  const extra = server.registerTool("extra", {}, () => "more");
  server.registerTool("hide", { inputSchema: z.object({ hidden: z.boolean() }) }, ({ hidden }) => {
    if (hidden) extra.disable();
    else extra.enable();
    return String(hidden);
  });

  server.registerTool("drain", { inputSchema: z.object({ on: z.boolean() }) }, async ({ on }) => {
    await handler?.drain(on);
    return String(on);
  });

  server.registerTool("stats", {}, () => JSON.stringify(handler?.stats()));

  return {
    server,
    served(by) {
      handler = by;
    },
  };
}
