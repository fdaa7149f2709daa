/**
 * Completes every reply in one place: reports refusals, adds CORS headers, and creates the `Response`.
 *
 * @module
 */
import type { Reporter } from "../protocol/reporter.ts";
import { withCors } from "./cors.ts";
import type { GateSettings } from "./gates/options.ts";
import type { Inbound } from "./inbound.ts";
import { isRefusal, type Reply } from "./reply.ts";

/** Reports a reply if it is a refusal, with the error that caused it. */
export function reportRefusal(reply: Reply, reporter: Reporter): void {
  if (!isRefusal(reply)) return;
  const { status, reason, failure } = reply;
  if (failure !== undefined) reporter.failed(failure.during, failure.error);
  reporter.report({ type: "refused", status, reason });
}

/** Reports a refusal, and adds CORS headers. The client gets the returned reply. */
export function complete(
  inbound: Inbound,
  reply: Reply,
  settings: GateSettings,
  reporter: Reporter,
): Reply {
  reportRefusal(reply, reporter);
  return inbound.origin === null ? reply : withCors(inbound, reply, settings);
}

/** Creates a `Response` of the class that the host has at this moment: a host may replace the global. */
export function respond(reply: Reply): Response {
  return new Response(reply.body, reply);
}
