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

/**
 * Makes a `Response` of the class that the host has at this moment. It gets headers of its own: the class
 * that `@hono/node-server` puts in the place of Node's keeps the object that it is given, and some of its
 * versions add the body's length to it, while replies share their headers.
 */
export function respond({ status, headers, body }: Reply): Response {
  return new Response(body, { status, headers: { ...headers } });
}
