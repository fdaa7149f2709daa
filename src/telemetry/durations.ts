/**
 * Turns events and requests to upstreams into the durations of the conventions' four histograms.
 *
 * @module
 */
import type { McpEvent, UpstreamCloseReason } from "../protocol/events.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { UpstreamRequest } from "../protocol/upstream.ts";
import { Attribute, type DurationMetrics, OTHER, TOOL_ERROR } from "./conventions.ts";
import {
  type Attributes,
  type Ending,
  endingOfCode,
  isKnownMethod,
  type NetworkTransport,
  type Operation,
  operationAttributes,
  operationKey,
  SUCCESS,
} from "./operation.ts";
import type { KnownNames } from "./known_names.ts";

/** The name of one of the histograms. */
export type DurationName = keyof typeof DurationMetrics;

/**
 * Takes a duration, in seconds.
 *
 * @param key The same for the same attributes
 */
export type RecordDuration = (
  metric: DurationName,
  seconds: number,
  key: string,
  attributes: () => Attributes,
) => void;

/** Returns a name, or what stands for it where there are too many. */
export type BoundName = (name: string | undefined) => string | undefined;

type Finished = Extract<McpEvent, { type: "request-finished" }>;

/** Reasons why a session ended that are failures. */
const FAILED_SESSIONS: ReadonlySet<string> = new Set(["lost"]);
const FAILED_UPSTREAMS: ReadonlySet<UpstreamCloseReason> = new Set(["failed", "probe-failed"]);
/** What an event says instead of a method that isn't served. */
const UNKNOWN_METHOD = "(unknown)";

/** How each kind of upstream is reached; those within the process by no network. */
const TRANSPORTS: Readonly<Partial<{ [kind in UpstreamRequest["kind"]]: NetworkTransport }>> = {
  http: "tcp",
  stdio: "pipe",
};

/** Records what an event says about a duration, if it does. */
export function recordEvent(
  event: McpEvent,
  transport: NetworkTransport,
  record: RecordDuration,
  bound?: BoundName,
): void {
  if (event.type === "request-finished") {
    const operation = operationOf(event, transport);
    return recordOperation("ServerOperation", event.ms, operation, endingOf(event), record, bound);
  }
  if (event.type === "session-ended" && event.ms !== undefined) {
    const { protocolVersion, reason, ms } = event;
    const failed = FAILED_SESSIONS.has(reason) ? reason : undefined;
    return record("ServerSession", ms / 1_000, `${protocolVersion}\0${failed}`, () => {
      return sessionAttributes(protocolVersion, transport, failed);
    });
  }
  if (event.type === "upstream-closed") {
    const { upstream, kind, protocolVersion, reason, ms } = event;
    const failed = FAILED_UPSTREAMS.has(reason) ? reason : undefined;
    const key = `${upstream}\0${kind}\0${protocolVersion}\0${failed}`;
    record("ClientSession", ms / 1_000, key, () => ({
      ...sessionAttributes(protocolVersion, TRANSPORTS[kind], failed),
      [Attribute.Upstream]: upstream,
    }));
  }
}

/** Records the duration of an operation, in milliseconds. */
export function recordOperation(
  metric: DurationName,
  ms: number,
  operation: Operation,
  ending: Ending,
  record: RecordDuration,
  bound?: BoundName,
): void {
  const named = bound === undefined ? operation : withBound(operation, bound);
  const known = withKnownCode(ending);
  record(metric, ms / 1_000, operationKey(named, known), () => operationAttributes(named, known));
}

/** The codes that have series of their own: an upstream may answer with any number of others. */
const CODES: ReadonlySet<string> = new Set(Object.values(ErrorCode).map(String));

function withKnownCode(ending: Ending): Ending {
  const { statusCode, errorType } = ending;
  if (statusCode === undefined || CODES.has(statusCode)) return ending;
  return { statusCode: OTHER, ...errorType !== undefined && { errorType: OTHER } };
}

function withBound(operation: Operation, bound: BoundName): Operation {
  const tool = bound(operation.tool);
  const prompt = bound(operation.prompt);
  // Copied only where a name has changed, which is rare
  return tool === operation.tool && prompt === operation.prompt
    ? operation
    : { ...operation, tool, prompt };
}

function operationOf(
  { method: reported, tool, prompt, protocolVersion }: Finished,
  transport: NetworkTransport,
): Operation {
  const method = reported === UNKNOWN_METHOD ? OTHER : reported;
  return { method, tool, prompt, protocolVersion, transport };
}

/** Says how a request ended, as its event tells. */
function endingOf({ outcome, errorType }: Finished): Ending {
  if (errorType === undefined) return SUCCESS;
  return outcome === "error" && errorType !== TOOL_ERROR
    ? endingOfCode(errorType, "server")
    : { errorType };
}

function sessionAttributes(
  protocolVersion: string | undefined,
  transport: NetworkTransport | undefined,
  failed: string | undefined,
): Attributes {
  return {
    ...protocolVersion !== undefined && { [Attribute.ProtocolVersion]: protocolVersion },
    ...transport !== undefined && transport !== "pipe" && { [Attribute.Protocol]: "http" },
    ...failed !== undefined && { [Attribute.ErrorType]: failed },
  };
}

/** Returns what a request to an upstream is. */
export function upstreamOperation(request: UpstreamRequest, known: KnownNames): Operation {
  const { upstream, method, facts, kind } = request;
  const name = known.nameOf(request);
  return {
    method: isKnownMethod(method) ? method : OTHER,
    tool: method === "tools/call" ? name : undefined,
    prompt: method === "prompts/get" ? name : undefined,
    protocolVersion: facts?.protocolVersion,
    transport: TRANSPORTS[kind],
    upstream,
  };
}
