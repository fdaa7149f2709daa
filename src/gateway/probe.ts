/**
 * Finds out whether a session that was idle is still there.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { deadline, raced } from "./bounded.ts";
import type { UpstreamSession } from "./types.ts";

/** What changes nothing anywhere, in the order in which servers are likely to answer it. */
const PROBES = ["ping", "tools/list", "prompts/list", "resources/list"] as const;

/**
 * Asks for one thing after the other until one is answered. What isn't answered in time, or isn't
 * served, leads to the next; any other failure means that the session is gone.
 *
 * @param request The HTTP request in whose course it is asked
 * @param timeoutMs How long each may take
 */
export async function probe(
  session: UpstreamSession,
  request: Request,
  clock: Clock,
  timeoutMs: number,
): Promise<boolean> {
  let spoken = false;
  for (const method of PROBES) {
    const { signal, stop } = deadline(clock, timeoutMs);
    const call = {
      method,
      params: {},
      signal,
      request,
      notify() {},
      ask: () => Promise.reject(new McpError(ErrorCode.Refused, "Ask nothing while being probed")),
    };
    try {
      await raced(session.request(call), signal);
      return true;
    } catch (error) {
      const unserved = error instanceof McpError && error.code === ErrorCode.MethodNotFound;
      if (!unserved && !signal.aborted) return false;
      spoken ||= unserved;
    } finally {
      stop();
    }
  }
  // A server that serves none of it has at least said so.
  return spoken;
}
