/**
 * Probes whether an idle upstream session is still alive.
 *
 * @module
 */
import { type Clock, ErrorCode, McpError } from "../../../mod.ts";
import { abortable, deadline } from "../shared/deadline.ts";
import type { Caller, UpstreamSession } from "../types.ts";

/** Lists requests without side effects, in the order in which servers are likely to support them. */
const PROBES = ["ping", "tools/list", "prompts/list", "resources/list"] as const;

/**
 * Sends one request after the other until one is answered. A timeout and "method not found" lead to
 * the next request; any other failure means that the session is dead.
 *
 * @param caller The request that causes the probe
 * @param timeoutMs Time limit for each request, in milliseconds
 * @returns Whether the session is alive
 */
export async function probe(
  session: UpstreamSession,
  { principal, request }: Caller,
  clock: Clock,
  timeoutMs: number,
): Promise<boolean> {
  let hasAnswered = false;
  for (const method of PROBES) {
    const { signal, clear } = deadline(clock, timeoutMs);
    const call = {
      method,
      params: {},
      signal,
      principal,
      request,
      notify() {},
      ask: () => Promise.reject(new McpError(ErrorCode.Refused, "Ask nothing during a probe")),
    };
    try {
      await abortable(session.request(call), signal);
      return true;
    } catch (error) {
      const notServed = error instanceof McpError && error.code === ErrorCode.MethodNotFound;
      if (!notServed && !signal.aborted) return false;
      hasAnswered ||= notServed;
    } finally {
      clear();
    }
  }
  // "Method not found" is an answer too.
  return hasAnswered;
}
