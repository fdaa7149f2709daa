/**
 * Turns events and acts into the entries of the audit trail. An entry has only what is listed here: an
 * event that gets another member doesn't bring it into the trail by itself.
 *
 * @module
 */
import type { McpEvent } from "../protocol/events.ts";
import { shown } from "../protocol/event_facts.ts";
import type { AuditNote, OperatorAct } from "./types.ts";

/** An entry. Members that are `undefined` are left out. */
export type AuditEntry =
  & { readonly time: string; readonly act: string }
  & Readonly<Record<string, unknown>>;

/** The maximum number of members of an operator's detail. */
const MOST_DETAILS = 20;

/**
 * Returns the entry for an event, or `undefined` if it doesn't belong into the trail.
 *
 * @param now Returns the time, as the entry has it
 */
export function entryFor(
  event: McpEvent,
  methods: ReadonlySet<string>,
  now: () => string,
): AuditEntry | undefined {
  switch (event.type) {
    case "session-opened": {
      const { session, principal, issuer, client, protocolVersion, node } = event;
      return {
        time: now(),
        act: "session-begun",
        node,
        session,
        principal,
        issuer,
        client,
        protocolVersion,
      };
    }
    case "session-ended": {
      const { session, reason, ms, node } = event;
      return { time: now(), act: "session-ended", node, session, reason, ms };
    }
    case "request-finished":
      if (!methods.has(event.method)) return undefined;
      // Written out: spread takes several times as long, and calls are most of the entries.
      return {
        time: now(),
        act: "call",
        node: event.node,
        request: event.request,
        session: event.session,
        principal: event.principal,
        issuer: event.issuer,
        client: event.client,
        era: event.era,
        method: event.method,
        tool: event.tool,
        prompt: event.prompt,
        resource: event.resource,
        upstream: event.upstream,
        outcome: event.outcome,
        errorType: event.errorType,
        ms: Math.round(event.ms * 1_000) / 1_000,
        cached: event.cached,
        repeated: event.repeated,
      };
    case "long-call-ended": {
      const { outcome, errorType, ms, repeated } = event;
      const end = { outcome, errorType, ms, repeated };
      return { time: now(), act: "long-call-ended", ...about(event), ...end };
    }
    case "refused": {
      const { status, reason, address, ...request } = event;
      return { time: now(), act: "refused", status, reason, address, ...about(request) };
    }
    case "operator-act": {
      const { act, operator, target, endpoint, outcome, count, subject } = event;
      const where = endpoint === "" ? {} : { endpoint };
      const detail = { target, ...where, outcome, count, ...subject };
      return entryForAct({ action: act, operator, detail }, now);
    }
    case "approval-asked":
      return { time: now(), act: "approval-asked", ...about(event) };
    case "approval-answered":
      return { time: now(), act: "approval-answered", ...about(event), answer: event.answer };
  }
  return undefined;
}

/** Returns the entry for an operator's act. */
export function entryForAct(
  { action, operator, detail = {} }: OperatorAct,
  now: () => string,
): AuditEntry {
  return {
    time: now(),
    act: "operator",
    action: shown(action),
    operator: operator === undefined ? undefined : shown(operator),
    detail: Object.fromEntries(detailsOf(detail)),
  };
}

/** Returns the entry for a note. Its details can't replace the time and the act. */
export function entryForNote({ act, detail = {} }: AuditNote, now: () => string): AuditEntry {
  const entry = { time: now(), act: shown(act) };
  const details = detailsOf(detail).filter(([key]) => !Object.hasOwn(entry, key));
  return { ...entry, ...Object.fromEntries(details) };
}

function detailsOf(detail: NonNullable<OperatorAct["detail"]>): [string, unknown][] {
  return Object.entries(detail).slice(0, MOST_DETAILS)
    .map(([key, value]) => [shown(key), typeof value === "string" ? shown(value) : value]);
}

/** The members of events that say which request they are about. */
type AuditedFacts = Partial<
  Pick<
    Extract<McpEvent, { type: "request-finished" }>,
    | "node"
    | "request"
    | "session"
    | "principal"
    | "issuer"
    | "client"
    | "era"
    | "method"
    | "tool"
    | "prompt"
    | "resource"
    | "upstream"
  >
>;

function about(event: AuditedFacts): AuditedFacts {
  const { node, request, session, principal, issuer, client, era } = event;
  const { method, tool, prompt, resource, upstream } = event;
  const who = { node, request, session, principal, issuer, client, era };
  return { ...who, method, tool, prompt, resource, upstream };
}
