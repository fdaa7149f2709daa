/**
 * The one exit: reports why a request was refused, adds CORS headers, and makes the `Response`.
 *
 * @module
 */
import type { Reporter } from "../protocol/reporter.ts";
import { withCors } from "./cors.ts";
import type { GateSettings } from "./gates/options.ts";
import type { Inbound } from "./inbound.ts";
import { isRefusal, type Reply } from "./reply.ts";

/** Reports a reply that refuses its request, with the failure behind it. */
export function reportRefusal(reply: Reply, reporter: Reporter): void {
  if (!isRefusal(reply)) return;
  const { status, reason, failure } = reply;
  if (failure !== undefined) reporter.failed(failure.during, failure.error);
  reporter.report({ type: "refused", status, reason });
}

/** Completes a reply: what it returns is what the client gets. */
export function complete(
  inbound: Inbound,
  reply: Reply,
  settings: GateSettings,
  reporter: Reporter,
): Reply {
  reportRefusal(reply, reporter);
  return inbound.origin === null ? reply : withCors(inbound, reply, settings);
}

/** Makes a `Response` of the class that the host has at this moment. */
export function respond(reply: Reply): Response {
  return new Response(reply.body, reply);
}
