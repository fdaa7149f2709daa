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

const ON_DENO = "Deno" in globalThis;

/** Makes a `Response` of the class that the host has at this moment. */
export function respond(reply: Reply): Response {
  if (!ON_DENO) return new Response(reply.body, reply);
  const [first, ...others] = Object.keys(reply.headers);
  if (first === undefined || others.length === 0) return new Response(reply.body, reply);
  // On Deno a response that begins with more than one header takes six times as long as one to which
  // the others are added.
  const { status, headers, body } = reply;
  const response = new Response(body, { status, headers: { [first]: headers[first] ?? "" } });
  for (const name of others) response.headers.set(name, headers[name] ?? "");
  return response;
}
