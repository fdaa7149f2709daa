/**
 * Defines the reasons why a request is stopped before its response.
 *
 * @module
 */

/**
 * The reason why a request was stopped: the client has to give input first (2026-07-28), the client
 * cancelled it, the client disconnected (2026-07-28), it timed out, its session ended, an operator
 * cancelled it, or the endpoint closes.
 */
export type StopKind =
  | "input-required"
  | "cancelled"
  | "disconnected"
  | "timeout"
  | "session-ended"
  | "shutdown"
  | "operator-cancelled";

const MESSAGES: Readonly<Record<StopKind, string>> = {
  "input-required": "The client must give input and retry the request",
  "cancelled": "The client cancelled the request",
  "disconnected": "The client disconnected",
  "timeout": "Request timed out",
  "session-ended": "The session ended",
  "shutdown": "The server is shutting down",
  "operator-cancelled": "An operator cancelled the request",
};

/**
 * The reason with which a stopped request aborts `signal` and rejects its questions to the client.
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
  /** The kind of reason. */
  readonly kind: StopKind;

  /**
   * Creates the reason.
   *
   * @param kind The kind of reason
   * @param detail The reason that the client sent with its cancellation, if any
   */
  constructor(kind: StopKind, detail?: string) {
    super(detail ? `${MESSAGES[kind]}: ${detail}` : MESSAGES[kind]);
    this.name = "StopError";
    this.kind = kind;
  }
}
