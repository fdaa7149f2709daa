/**
 * The server that every upstream in the contract suite is, written for each way of hosting one.
 *
 * @module
 */
import { McpServer as SdkServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  type ServerNotification,
  type ServerRequest,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { ErrorCode, McpError, McpServer } from "../../mod.ts";

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** Its name. */
export const SERVER_NAME = "contract";
/** Its resource. */
export const THING = "test://thing";

/** The server, of this package. */
export function contractServer(): McpServer {
  const server = new McpServer({ name: SERVER_NAME, version: "1.0.0" });
  let stopped = 0;
  let changes = 0;
  server.registerTool("count", {}, async (_args, { session }) => {
    const count = Number(await session?.state.get("count") ?? 0) + 1;
    await session?.state.set("count", count);
    return `${count}`;
  });
  server.registerTool("echo", { inputSchema: z.object({ text: z.string() }) }, ({ text }) => text);
  server.registerTool("progress", { inputSchema: z.object({ steps: z.number() }) }, (args, ctx) => {
    for (let step = 1; step <= args.steps; step++) ctx.progress(step, args.steps, "Going");
    return "done";
  });
  server.registerTool("log", {}, (_args, ctx) => {
    ctx.log("warning", "logged");
    return "done";
  });
  server.registerTool("ask", {}, async (_args, ctx) => {
    const schema = z.object({ name: z.string() });
    return JSON.stringify(await ctx.elicit("name", { message: "Name?", schema }));
  });
  server.registerTool("wait", {}, (_args, { signal }) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => {
        stopped++;
        reject(signal.reason);
      }, { once: true });
    }));
  server.registerTool("stopped", {}, () => `${stopped}`);
  server.registerTool("fail", {}, () => ({ content: [], isError: true }));
  server.registerTool("refuse", {}, () => {
    throw new McpError(ErrorCode.InvalidParams, "Refused", { why: "because" });
  });
  server.registerTool("change", {}, () => {
    server.registerTool(`changed_${++changes}`, {}, () => "");
    return "done";
  });
  server.registerTool("touch", {}, () => {
    server.resourceUpdated(THING);
    return "done";
  });
  server.registerResource("thing", THING, {}, () => "A thing");
  server.registerPrompt("greet", {}, () => "Hello");
  return server;
}

/** The server, of the official SDK: for one session. */
export function sdkContractServer(): SdkServer {
  const server = new SdkServer({ name: SERVER_NAME, version: "1.0.0" }, {
    capabilities: { logging: {}, resources: { subscribe: true, listChanged: true } },
  });
  const text = (text: string) => ({ content: [{ type: "text" as const, text }] });
  let count = 0;
  let stopped = 0;
  let changes = 0;
  server.registerTool("count", {}, () => text(`${++count}`));
  server.registerTool(
    "echo",
    { inputSchema: { text: z.string() } },
    (args: { text: string }) => text(args.text),
  );
  server.registerTool(
    "progress",
    { inputSchema: { steps: z.number() } },
    async ({ steps }: { steps: number }, { _meta, sendNotification }: Extra) => {
      const progressToken = _meta?.progressToken;
      for (let step = 1; progressToken !== undefined && step <= steps; step++) {
        const params = { progressToken, progress: step, total: steps };
        await sendNotification({ method: "notifications/progress", params });
      }
      return text("done");
    },
  );
  server.registerTool("log", {}, async () => {
    await server.sendLoggingMessage({ level: "warning", data: "logged" });
    return text("done");
  });
  server.registerTool("ask", {}, async () => {
    const { action, content } = await server.server.elicitInput({
      message: "Name?",
      requestedSchema: { type: "object", properties: { name: { type: "string" } } },
    });
    return text(JSON.stringify({ action, content }));
  });
  server.registerTool("wait", {}, ({ signal }: Extra) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => {
        stopped++;
        reject(new Error("Stopped"));
      }, { once: true });
    }));
  server.registerTool("stopped", {}, () => text(`${stopped}`));
  server.registerTool("fail", {}, () => ({ content: [], isError: true }));
  server.registerTool("change", {}, () => {
    server.registerTool(`changed_${++changes}`, {}, () => text(""));
    return text("done");
  });
  server.registerTool("touch", {}, async () => {
    await server.server.sendResourceUpdated({ uri: THING });
    return text("done");
  });
  server.server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
  server.registerResource(
    "thing",
    THING,
    {},
    () => ({ contents: [{ uri: THING, text: "A thing" }] }),
  );
  server.registerPrompt("greet", {}, () => ({
    messages: [{ role: "user", content: { type: "text", text: "Hello" } }],
  }));
  return server;
}
