/**
 * Defines the error with which a tool tells the model what went wrong.
 *
 * @module
 */

/**
 * Represents a failure of a tool that the model should read. The call ends with an `isError` result
 * whose text is the message (2025-11-25 and 2026-07-28, Tools, Error Handling). Write what to do
 * differently, and nothing that the client must not learn. Thrown in a prompt or a resource it is an
 * error like any other.
 *
 * The handler's `onEvent` gets the error only if it has a `cause`, which the client never sees.
 *
 * @example
 * ```ts
 * import { McpServer, ToolError } from "@mooring/mcp";
 * import { z } from "zod";
 *
 * const books = new Map([["emma", "Jane Austen"]]);
 * const server = new McpServer({ name: "library", version: "1.0.0" });
 * server.registerTool("author", { inputSchema: z.object({ title: z.string() }) }, ({ title }) => {
 *   const author = books.get(title);
 *   if (author === undefined) throw new ToolError(`No such book, use one of: ${[...books.keys()]}`);
 *   return author;
 * });
 * ```
 */
export class ToolError extends Error {
  /**
   * Creates an error for the model.
   *
   * @param message The text for the model
   * @param options The `cause`, for `onEvent`
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ToolError";
  }
}
