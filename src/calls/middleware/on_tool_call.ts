/**
 * Creates middleware for tool calls alone.
 *
 * @module
 */
import { checkNames } from "../../internal/known_names.ts";
import type { MaybePromise } from "../../internal/types.ts";
import type { ContentBlock } from "../../protocol/content.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import type { Middleware } from "../../protocol/middleware.ts";

/** A tool call that passes middleware. */
export interface ToolRequest {
  /** The name of the tool, as the client or the middleware before sent it: there may be no such tool. */
  readonly name: string;
  /** The arguments. They have not been validated. */
  readonly arguments: JsonObject;
  /** The request. In the run of a task, `exchange.task` is the task's id. */
  readonly exchange: Exchange;
}

/** The result of a tool call; in 2026-07-28 also questions to the client, or a task. */
export type ToolOutcome = JsonObject & {
  readonly content?: readonly ContentBlock[];
  readonly isError?: boolean;
};

/** What to change about a tool call; what is left out stays as it is. */
export interface ToolRequestChanges {
  /** The name of another tool to call. It passes `authorize` and its own scopes. */
  readonly name?: string;
  /** Other arguments. They are validated like those of a client. */
  readonly arguments?: JsonObject;
}

/**
 * Continues with a tool call, with changes if any are given. The run of a task ignores changes: its
 * call has been changed and validated before.
 *
 * @throws What {@linkcode Next} throws
 */
export type NextToolCall = (changes?: ToolRequestChanges) => MaybePromise<ToolOutcome>;

/**
 * Creates middleware that wraps tool calls, and passes on all other requests. A tool that runs as a task
 * passes it twice: when it is called, and when it runs, where `exchange.task` is set.
 *
 * @param wrap Returns the result of a call, usually that of `next()`; or throws an `McpError`, or returns
 * a result with `isError` for the model to read
 * @example
 * ```ts
 * import { createMcpHandler, McpServer, onToolCall } from "@mooring/mcp";
 * import { connect } from "@mooring/mcp/testing";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("purge", {}, () => "Purged");
 *
 * const readOnly = onToolCall((call, next) =>
 *   call.name === "purge"
 *     ? { content: [{ type: "text", text: "This server is read-only" }], isError: true }
 *     : next()
 * );
 * await using handler = createMcpHandler(server, { middleware: [readOnly] });
 * await using client = await connect(handler);
 * const { isError } = await client.callTool("purge");
 * console.assert(isError === true);
 * ```
 * @throws {TypeError} If `wrap` is not a function
 */
export function onToolCall(
  wrap: (call: ToolRequest, next: NextToolCall) => MaybePromise<ToolOutcome>,
): Middleware {
  if (typeof wrap !== "function") {
    throw new TypeError(`Give a function to onToolCall(): ${typeof wrap}`);
  }
  return (exchange, next) => {
    const { method, params } = exchange;
    const { name, arguments: given } = params;
    // A call without a name is no tool's.
    if (method !== "tools/call" || typeof name !== "string") return next();
    const proceed: NextToolCall = (changes) => {
      checkNames("next() of onToolCall()", changes, { name: true, arguments: true });
      return next(changes && changed(params, changes));
    };
    return wrap({ name, arguments: isObject(given) ? given : {}, exchange }, proceed);
  };
}

function changed(params: JsonObject, changes: ToolRequestChanges): JsonObject {
  const { name = params.name, arguments: args = params.arguments } = changes;
  return { ...params, name, arguments: args };
}
