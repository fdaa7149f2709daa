/**
 * Completes every reply in one place: reports refusals, adds CORS headers, and creates the `Response`.
 *
 * This is the last step of a call, which begins in `mod.ts`.
 *
 * @module
 */
import { reportedMethod } from "../protocol/event_facts.ts";
import type { RequestFacts } from "../protocol/events.ts";
import type { Reporter } from "../protocol/reporter.ts";
import { withCors } from "./cors.ts";
import type { GateSettings } from "./gates/options.ts";
import type { Inbound } from "./inbound.ts";
import { peerAddress } from "./peer.ts";
import { isRefusal, modernRefusal, type Reply, type ReplyHeaders } from "./reply.ts";

/** Reports a reply if it is a refusal, with the error that caused it. */
export function reportRefusal(reply: Reply, reporter: Reporter, inbound?: Inbound): void {
  if (!isRefusal(reply)) return;
  const { status, reason, failure } = reply;
  if (failure !== undefined) reporter.failed(failure.during, failure.error);
  if (!reporter.enabled) return;
  reporter.report({
    ...inbound && factsOf(inbound, reporter),
    type: "refused",
    status,
    reason,
    ...inbound && addressOf(inbound, reporter),
  });
}

/** Returns the sender's address, if the host tells it and events may have it. */
function addressOf(inbound: Inbound, { address }: Reporter): { readonly address?: string } {
  if (address === undefined || inbound.context === undefined) return {};
  // Some hosts make the request only when somebody wants it.
  const request = (): Request => inbound.request;
  const found = address(peerAddress(inbound.context, request), request);
  return found === undefined ? {} : { address: found };
}

/** Returns what is known of a refused request: its sender, and what it is about. */
function factsOf({ sender, route, requests }: Inbound, reporter: Reporter): Partial<RequestFacts> {
  const [request, ...others] = requests;
  // What a request is about is only found for a principal.
  const about = route ?? (others.length === 0 ? request : undefined);
  return {
    ...sender && reporter.describeSender(sender),
    ...about && { method: reportedMethod(about), ...route?.target },
  };
}

/**
 * Reports a refusal, writes its code as the era of the request has it, and adds CORS headers. The client
 * gets the returned reply.
 */
export function complete(
  inbound: Inbound,
  reply: Reply,
  settings: GateSettings,
  reporter: Reporter,
): Reply {
  reportRefusal(reply, reporter, inbound);
  const written = isRefusal(reply) && inbound.isModern ? modernRefusal(reply) : reply;
  return inbound.origin === null ? written : withCors(inbound, written, settings);
}

const ON_DENO = "Deno" in globalThis;
const ON_BUN = "Bun" in globalThis;
/** On Bun, the response to copy headers from, for each headers object that replies share. */
const templates = new WeakMap<ReplyHeaders, Response>();

/**
 * Creates a `Response` of the class that the host has at this moment: a host may replace the global. It
 * gets headers of its own: the class of `@hono/node-server` keeps the object that it is given, and some of
 * its versions add the body's length to it, while replies share their headers.
 */
export function respond(reply: Reply): Response {
  if (ON_DENO) return respondOnDeno(reply);
  return new Response(reply.body, ON_BUN ? initOnBun(reply) : initOf(reply));
}

function initOf({ status, headers }: Reply): ResponseInit {
  return { status, headers: { ...headers } };
}

/**
 * Makes a `Response` on Deno, where one that begins with more than one header takes six times as long
 * as one to which the others are added.
 */
function respondOnDeno(reply: Reply): Response {
  const { status, headers, body } = reply;
  const [first, ...others] = Object.keys(headers);
  if (first === undefined || others.length === 0) return new Response(body, initOf(reply));
  const response = new Response(body, { status, headers: { [first]: headers[first] ?? "" } });
  for (const name of others) response.headers.set(name, headers[name] ?? "");
  return response;
}

/** Gives Bun a `Response` to copy headers from where replies share them: half the time of a record. */
function initOnBun(reply: Reply): ResponseInit {
  if (reply.status !== 200) return initOf(reply);
  let template = templates.get(reply.headers);
  if (template === undefined) {
    if (!Object.isFrozen(reply.headers)) return initOf(reply);
    template = new Response(null, initOf(reply));
    templates.set(reply.headers, template);
  }
  return template;
}
