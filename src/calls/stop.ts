/**
 * Why a request stops before its answer.
 *
 * @module
 */

/**
 * What stopped a request: the client cancelled it, the client went away (2026-07-28), the client has
 * to give input first (2026-07-28), it took too long, its session ended, or the endpoint closes.
 */
export type StopKind =
  | "input-required"
  | "cancelled"
  | "disconnected"
  | "timeout"
  | "session-ended"
  | "shutdown";

const MESSAGES: Readonly<Record<StopKind, string>> = {
  "input-required": "The client is asked for input and calls again",
  "cancelled": "The client cancelled the request",
  "disconnected": "The client went away",
  "timeout": "Request timed out",
  "session-ended": "The session ended",
  "shutdown": "The server is shutting down",
};

/**
 * The reason of a handler's `signal`, and what a question to the client rejects with, once the
 * request has been stopped.
 *
 * @example
 * ```ts
 * import { McpServer, StopError } from "@mooring/mcp";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("wait", {}, (_args, ctx) =>
 *   new Promise<string>((_, reject) => {
 *     ctx.signal.addEventListener("abort", () => {
 *       console.assert(ctx.signal.reason instanceof StopError);
 *       reject(ctx.signal.reason);
 *     });
 *   }));
 * ```
 */
export class StopError extends Error {
  /** What stopped the request. */
  readonly kind: StopKind;

  /**
   * Makes the reason.
   *
   * @param kind What stopped the request
   * @param detail What the client gave as its reason, if it gave one
   */
  constructor(kind: StopKind, detail?: string) {
    super(detail ? `${MESSAGES[kind]}: ${detail}` : MESSAGES[kind]);
    this.name = "StopError";
    this.kind = kind;
  }
}
