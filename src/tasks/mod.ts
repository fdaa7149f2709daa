/**
 * Runs tools that take long: a client gets a task at once, and fetches its result later
 * (2026-07-28, Tasks extension, `io.modelcontextprotocol/tasks`).
 *
 * {@linkcode tasks} creates the extension, `server.use` adds it, and then a tool may be registered
 * with `task`. A client that knows tasks gets one for its call, and the handler runs on without a
 * connection: `ctx.progress` sets the task's status message, `ctx.elicit`, `ctx.sample` and
 * `ctx.roots` become questions that the task shows and the client answers, and `ctx.signal` aborts
 * when the client cancels the task or its time is over. The same handler serves clients that don't
 * know tasks: with `"optional"` they get the result of an ordinary call, with `"required"` an
 * error.
 *
 * A task belongs to the principal that created it. For other principals its id is unknown.
 *
 * Where handlers share a store, such as `redisStore()`, they share the tasks too: each answers for
 * all of them, and a task whose process died is `failed` within seconds, or runs again if its tool
 * has `retryOnNodeLoss`.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { tasks } from "@mooring/mcp/tasks";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.use(tasks({ ttlMs: 60_000 }));
 *
 * server.registerTool("report", {
 *   description: "Writes the report of the year.",
 *   task: "optional",
 * }, async (_args, ctx) => {
 *   for (let month = 1; month <= 12; month++) {
 *     ctx.signal.throwIfAborted();
 *     ctx.progress(month, 12, `Month ${month}`);
 *   }
 *   return "A good year";
 * });
 *
 * await using handler = createMcpHandler(server);
 * async function send(method: string, params: Record<string, unknown>, name: string) {
 *   const response = await handler(
 *     new Request("http://localhost/mcp", {
 *       method: "POST",
 *       headers: {
 *         "content-type": "application/json",
 *         "mcp-protocol-version": "2026-07-28",
 *         "mcp-method": method,
 *         "mcp-name": name,
 *       },
 *       body: JSON.stringify({
 *         jsonrpc: "2.0",
 *         id: 1,
 *         method,
 *         params: {
 *           ...params,
 *           _meta: {
 *             "io.modelcontextprotocol/protocolVersion": "2026-07-28",
 *             "io.modelcontextprotocol/clientCapabilities": {
 *               extensions: { "io.modelcontextprotocol/tasks": {} },
 *             },
 *           },
 *         },
 *       }),
 *     }),
 *   );
 *   return (await response.json()).result;
 * }
 *
 * const { resultType, taskId } = await send("tools/call", { name: "report" }, "report");
 * console.assert(resultType === "task");
 * const { status, result } = await send("tasks/get", { taskId }, taskId);
 * console.assert(status === "completed" && result.content[0].text === "A good year");
 * ```
 *
 * `askFirst` asks what must be known before the task is created, in the call itself. The handler
 * then asks the same questions under the same keys, and gets the answers at once.
 *
 * @example
 * ```ts
 * import { McpServer, type RequestContext } from "@mooring/mcp";
 * import { tasks } from "@mooring/mcp/tasks";
 * import { z } from "zod";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.use(tasks());
 *
 * const askYear = (ctx: RequestContext) =>
 *   ctx.elicit("year", { message: "For which year?", schema: z.object({ year: z.number() }) });
 *
 * server.registerTool("report", {
 *   description: "Writes a report.",
 *   task: { support: "required", askFirst: (_args, ctx) => askYear(ctx) },
 * }, async (_args, ctx) => {
 *   const { content } = await askYear(ctx);
 *   return content === undefined ? "Cancelled" : `The report of ${content.year}`;
 * });
 * ```
 *
 * @module
 */
export { type Tasks, tasks, type TasksLimits, type TasksOptions } from "./tasks.ts";
export type {
  LostTask,
  TaskBeat,
  TaskCaps,
  TaskProgress,
  TaskQuestion,
  TaskRecord,
  TaskRerun,
  TaskState,
  TaskStore,
} from "../protocol/task_store.ts";
