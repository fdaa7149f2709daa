/**
 * What has to change in parameters and results on their way between a client and an upstream, which
 * may speak different eras.
 *
 * @module
 */
import { MetaKey } from "../protocol/envelope.ts";
import { ErrorCode, McpError, MissingCapabilityError } from "../protocol/errors.ts";
import type { ClientFacts } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { CACHEABLE, methodFacts } from "../protocol/methods.ts";
import {
  type ClientCapabilities,
  type Implementation,
  LOG_LEVELS,
  type LogLevel,
} from "../protocol/shapes.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import type { UpstreamFacts } from "./types.ts";

/** What of `_meta` is between a client and the gateway alone. */
const OWN_META: ReadonlySet<string> = new Set([
  MetaKey.ProtocolVersion,
  MetaKey.ClientInfo,
  MetaKey.ClientCapabilities,
  MetaKey.LogLevel,
]);

/** The requests in whose course a client may be asked (2026-07-28, Multi Round-Trip Requests). */
export const ASKING: ReadonlySet<string> = new Set([
  "tools/call",
  "prompts/get",
  "resources/read",
]);

/** Whether a version is of the 2026 era. */
export function isModern(version: ProtocolVersion): boolean {
  return VERSIONS[version].era === "2026";
}

/**
 * What an upstream is told of a client's capabilities: those that the gateway passes questions for,
 * and nothing that only the client and the gateway understand.
 */
export function passedCapabilities(
  { capabilities }: ClientFacts,
  version: ProtocolVersion,
): ClientCapabilities {
  const { roots, sampling, elicitation } = capabilities;
  return {
    ...isObject(roots) && {
      // A client without a session has no way to say that they changed.
      roots: roots.listChanged === true && !isModern(version) ? { listChanged: true } : {},
    },
    ...isObject(sampling) && { sampling: known(sampling, ["context", "tools"]) },
    ...isObject(elicitation) && VERSIONS[version].elicitation &&
      { elicitation: known(elicitation, ["form", "url"]) },
  };
}

function known(given: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.filter((key) => isObject(given[key])).map((key) => [key, {}]));
}

/** A client's parameters as its upstream gets them. */
export function outgoing(
  params: JsonObject,
  { protocolVersion }: UpstreamFacts,
  logLevel: LogLevel | undefined,
): JsonObject {
  const { _meta, inputResponses: _responses, requestState: _state, task: _task, ...rest } = params;
  const entries = Object.entries(isObject(_meta) ? _meta : {})
    .filter(([key]) => !OWN_META.has(key));
  if (logLevel !== undefined && isModern(protocolVersion)) {
    entries.push([MetaKey.LogLevel, logLevel]);
  }
  return entries.length === 0 ? rest : { ...rest, _meta: Object.fromEntries(entries) };
}

/**
 * An upstream's result as a client gets it.
 *
 * @throws {McpError} If it is of a kind that no client of the gateway has asked for
 */
export function incoming(
  result: JsonObject,
  from: ProtocolVersion,
  to: ProtocolVersion,
): JsonObject {
  if (!isModern(from)) return result;
  const { resultType = "complete", ttlMs, cacheScope: _scope, _meta, ...rest } = result;
  if (resultType !== "complete") {
    throw new McpError(ErrorCode.InternalError, "The upstream answered with no complete result");
  }
  const { [MetaKey.ServerInfo]: _info, ...meta } = isObject(_meta) ? _meta : {};
  const complete = Object.keys(meta).length === 0 ? rest : { ...rest, _meta: meta };
  return ttlMs === undefined || !isModern(to) ? complete : { ...complete, ttlMs };
}

/** A result of a 2025 upstream: there are no kinds of results in that era, whatever it says. */
export function withoutType({ resultType: _, ...result }: JsonObject): JsonObject {
  return result;
}

/** A result with everything that the 2026 era wants of it. */
export function completed(
  method: string,
  { resultType = "complete", ...result }: JsonObject,
  info: Implementation,
): JsonObject {
  const meta = isObject(result._meta) ? result._meta : {};
  const whole = { ...result, resultType, _meta: { ...meta, [MetaKey.ServerInfo]: info } };
  if (!CACHEABLE.has(method) || resultType !== "complete") return whole;
  const { ttlMs } = result;
  const fresh = typeof ttlMs === "number" && Number.isSafeInteger(ttlMs) && ttlMs > 0 ? ttlMs : 0;
  // What an upstream gave the gateway for one client is for that client alone.
  return { ...whole, ttlMs: fresh, cacheScope: "private" };
}

/**
 * Checks that an upstream may ask a client something.
 *
 * @throws {McpError} If it is no question
 * @throws {MissingCapabilityError} If the client can't be asked that
 */
export function checkQuestion(
  method: string,
  params: JsonObject,
  capabilities: ClientCapabilities,
): void {
  const facts = methodFacts(method);
  if (facts?.from !== "server" || facts.kind !== "request" || !facts.clientCapability) {
    throw new McpError(ErrorCode.MethodNotFound, "Ask a client only what clients answer");
  }
  const can: JsonObject = { ...capabilities };
  const capability = can[facts.clientCapability];
  if (!isObject(capability)) throw new MissingCapabilityError(facts.clientCapability);
  if (method !== "elicitation/create") return;
  // A client that says nothing about its ways has forms.
  const mode = params.mode === "url" ? "url" : "form";
  const formByDefault = mode === "form" && capability.url === undefined;
  if (capability[mode] === undefined && !formByDefault) {
    throw new MissingCapabilityError(`elicitation.${mode}`);
  }
}

const RANKS: ReadonlyMap<unknown, number> = new Map(LOG_LEVELS.map((level, rank) => [level, rank]));

/** Whether a value is a level of log message. */
export function isLogLevel(value: unknown): value is LogLevel {
  return RANKS.has(value);
}

/** Whether a client wants a log message. Without a level 2025 clients want all, 2026 ones none. */
export function wantsLog(
  params: JsonObject | undefined,
  wanted: LogLevel | undefined,
  version: ProtocolVersion,
): boolean {
  const rank = RANKS.get(params?.level);
  if (rank === undefined) return false;
  if (wanted === undefined) return !isModern(version);
  return rank >= (RANKS.get(wanted) ?? 0);
}
