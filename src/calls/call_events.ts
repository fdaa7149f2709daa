/**
 * Creates the events of a call. They are object literals without spread: these cost a tenth.
 *
 * @module
 */
import { reportedMethod } from "../protocol/event_facts.ts";
import type { McpEvent, RequestFacts, RequestOutcome } from "../protocol/events.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { Route } from "../protocol/route.ts";
import { VERSIONS } from "../protocol/versions.ts";
import type { Calls } from "./calls.ts";

/** An event about one request. */
type RequestEvent<Type extends McpEvent["type"]> = Extract<McpEvent, { type: Type }>;

/** What events need to know of a call. */
export interface ReportedCall extends Pick<Exchange, "principal" | "client" | "protocolVersion"> {
  readonly serial: number;
  readonly session: { readonly name: string } | undefined;
}

/** Creates the event of a call that starts. */
export function startedEvent(
  { reporter }: Calls,
  { serial, session, principal, client, protocolVersion }: ReportedCall,
  route: Route,
): RequestEvent<"request-started"> {
  const { target } = route;
  return {
    type: "request-started",
    request: serial,
    session: session?.name,
    method: reportedMethod(route),
    tool: target?.tool,
    prompt: target?.prompt,
    resource: target?.resource,
    upstream: target?.upstream,
    principal: reporter.principalName(principal),
    issuer: principal.issuer,
    client: reporter.programOf(client),
    era: VERSIONS[protocolVersion].era,
    protocolVersion,
    node: reporter.node,
  };
}

/** Creates the event of a call that the client cancelled. */
export function cancelledEvent(facts: RequestFacts): RequestEvent<"request-cancelled"> {
  return { ...facts, type: "request-cancelled" };
}

/** What is known of a call once it has ended. */
export interface EndFacts extends
  Pick<
    RequestEvent<"request-finished">,
    "requestChars" | "responseChars" | "cached" | "repeated"
  > {
  /** The upstream that it went to, if that is known by now. */
  readonly upstream: string | undefined;
}

/**
 * Creates the event of a call that has ended.
 *
 * @param ms The duration, in milliseconds
 */
export function finishedEvent(
  facts: RequestFacts,
  ms: number,
  outcome: RequestOutcome,
  errorType: string | undefined,
  { requestChars, responseChars, upstream, cached, repeated }: EndFacts,
): RequestEvent<"request-finished"> {
  return {
    type: "request-finished",
    request: facts.request,
    session: facts.session,
    method: facts.method,
    tool: facts.tool,
    prompt: facts.prompt,
    resource: facts.resource,
    upstream: upstream ?? facts.upstream,
    principal: facts.principal,
    issuer: facts.issuer,
    client: facts.client,
    era: facts.era,
    protocolVersion: facts.protocolVersion,
    node: facts.node,
    ms,
    outcome,
    errorType,
    requestChars,
    responseChars,
    cached,
    repeated,
  };
}
