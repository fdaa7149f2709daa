/**
 * Translates parameters, results, questions and log levels between a client and an upstream, which
 * may speak different eras.
 *
 * @module
 */
import {
  type ClientCapabilities,
  type ClientFacts,
  ErrorCode,
  type Implementation,
  type JsonObject,
  LOG_LEVELS,
  type LogLevel,
  McpError,
  MissingCapabilityError,
  type ProtocolVersion,
} from "../../../mod.ts";
import { CACHEABLE, isModern, isObject, MetaKey, methodFacts, VERSIONS } from "../../kit.ts";
import { extensionsForUpstreams } from "../shared/extensions.ts";
import type { UpstreamFacts } from "../types.ts";
import { visibleQuestion } from "./visible_question.ts";

/** The `_meta` keys that concern only the client and the gateway. */
const HOP_META: ReadonlySet<string> = new Set([
  MetaKey.ProtocolVersion,
  MetaKey.ClientInfo,
  MetaKey.ClientCapabilities,
  MetaKey.LogLevel,
]);

/** The `_meta` key that says which task a message belongs to (2025-11-25, Tasks). */
export const RELATED_TASK = "io.modelcontextprotocol/related-task";

/** The requests during which a client may be asked (2026-07-28, Multi Round-Trip Requests). */
export const ASKING_METHODS: ReadonlySet<string> = new Set([
  "tools/call",
  "prompts/get",
  "resources/read",
]);

/**
 * Returns the client capabilities to send to an upstream: those whose questions the gateway passes on, and
 * extensions; or all if it serves the upstream alone.
 */
export function upstreamCapabilities(
  { capabilities }: ClientFacts,
  version: ProtocolVersion,
  isAlone: boolean,
): ClientCapabilities {
  if (isAlone && !isModern(version)) return capabilities;
  const { roots, sampling, elicitation, extensions: given, ...others } = capabilities;
  const tasks = tasksForUpstreams({ ...capabilities });
  const extensions = given === undefined || isAlone ? given : extensionsForUpstreams(given);
  return {
    ...isAlone && others,
    ...isObject(roots) && {
      // A client without a session can't notify that they changed.
      roots: roots.listChanged === true && !isModern(version) ? { listChanged: true } : {},
    },
    ...isObject(sampling) && { sampling: keep(sampling, ["context", "tools"]) },
    ...isObject(elicitation) && VERSIONS[version].elicitation &&
      { elicitation: keep(elicitation, ["form", "url"]) },
    ...extensions !== undefined && { extensions },
    ...!isAlone && version === "2025-11-25" && tasks !== undefined && { tasks },
  };
}

/** The questions that a client may answer with a task, as members of `tasks.requests` (2025-11-25, Tasks). */
export const TASK_QUESTIONS: Readonly<
  Record<string, readonly [capability: string, method: string]>
> = {
  "elicitation/create": ["elicitation", "create"],
  "sampling/createMessage": ["sampling", "createMessage"],
};

/** Returns what upstreams learn of a client's tasks; `undefined` if it has none that can be passed on. */
export function tasksForUpstreams({ tasks }: JsonObject): JsonObject | undefined {
  if (!isObject(tasks) || !isObject(tasks.requests)) return undefined;
  const { requests, cancel } = tasks;
  const known = Object.values(TASK_QUESTIONS).flatMap(([capability, method]) => {
    const own = requests[capability];
    return isObject(own) && isObject(own[method]) ? [[capability, { [method]: {} }] as const] : [];
  });
  if (known.length === 0) return undefined;
  return { ...isObject(cancel) && { cancel: {} }, requests: Object.fromEntries(known) };
}

function keep(given: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(keys.filter((key) => isObject(given[key])).map((key) => [key, {}]));
}

/** Translates a client's parameters for its upstream. */
export function toUpstream(
  params: JsonObject,
  { protocolVersion }: UpstreamFacts,
  logLevel: LogLevel | undefined,
): JsonObject {
  const { _meta, inputResponses: _responses, requestState: _state, task: _task, ...rest } = params;
  const entries = Object.entries(isObject(_meta) ? _meta : {})
    .filter(([key]) => !HOP_META.has(key));
  if (logLevel !== undefined && isModern(protocolVersion)) {
    entries.push([MetaKey.LogLevel, logLevel]);
  }
  return entries.length === 0 ? rest : { ...rest, _meta: Object.fromEntries(entries) };
}

/**
 * Translates an upstream's result for a client.
 *
 * @throws {McpError} If the result isn't complete
 */
export function toClient(
  result: JsonObject,
  from: ProtocolVersion,
  to: ProtocolVersion,
): JsonObject {
  if (!isModern(from)) return result;
  const { resultType = "complete", ttlMs, cacheScope: _scope, _meta, ...rest } = result;
  if (resultType !== "complete") {
    throw new McpError(ErrorCode.InternalError, "The upstream answered with an incomplete result");
  }
  const { [MetaKey.ServerInfo]: _info, ...meta } = isObject(_meta) ? _meta : {};
  const complete = Object.keys(meta).length === 0 ? rest : { ...rest, _meta: meta };
  return ttlMs === undefined || !isModern(to) ? complete : { ...complete, ttlMs };
}

/** Removes `resultType` from the result of a 2025 upstream, as that era doesn't have it. */
export function withoutResultType({ resultType: _, ...result }: JsonObject): JsonObject {
  return result;
}

/**
 * Adds everything that the 2026 era requires of a result.
 *
 * @param info Describes the server; `undefined` if that isn't known
 */
export function modernResult(
  method: string,
  { resultType = "complete", ...result }: JsonObject,
  info: Implementation | undefined,
): JsonObject {
  const meta = isObject(result._meta) ? result._meta : {};
  const own = info === undefined ? {} : { [MetaKey.ServerInfo]: info };
  const whole = { ...result, resultType, _meta: { ...meta, ...own } };
  if (!CACHEABLE.has(method) || resultType !== "complete") return whole;
  const { ttlMs } = result;
  const fresh = typeof ttlMs === "number" && Number.isSafeInteger(ttlMs) && ttlMs > 0 ? ttlMs : 0;
  // A result for one client must not be cached for others.
  return { ...whole, ttlMs: fresh, cacheScope: "private" };
}

/** Tells whether a client and an upstream speak the same era, so that nothing has to be translated. */
export function isSameEra(client: ProtocolVersion, upstream: ProtocolVersion): boolean {
  return isModern(client) === isModern(upstream);
}

/**
 * Checks that an upstream may ask a client a question, and returns its parameters for the client: the
 * user sees invisible characters in its texts.
 *
 * @param isAlone Whether the upstream is served alone, and may ask with methods of its own
 * @throws {McpError} If clients don't answer the method
 * @throws {MissingCapabilityError} If the client lacks the capability
 */
export function questionFor(
  method: string,
  params: JsonObject,
  capabilities: ClientCapabilities,
  isAlone = false,
): JsonObject {
  const facts = methodFacts(method);
  if (facts === undefined && isAlone) return params;
  if (facts?.from !== "server" || facts.kind !== "request" || !facts.clientCapability) {
    throw new McpError(ErrorCode.MethodNotFound, "Ask only with methods that clients answer");
  }
  const known: JsonObject = { ...capabilities };
  const capability = known[facts.clientCapability];
  if (!isObject(capability)) throw new MissingCapabilityError(facts.clientCapability);
  if (method !== "elicitation/create") return visibleQuestion(params);
  // A client that lists no modes supports forms.
  const mode = params.mode === "url" ? "url" : "form";
  const formByDefault = mode === "form" && capability.url === undefined;
  if (capability[mode] === undefined && !formByDefault) {
    throw new MissingCapabilityError(`elicitation.${mode}`);
  }
  return visibleQuestion(params);
}

const RANKS: ReadonlyMap<unknown, number> = new Map(LOG_LEVELS.map((level, rank) => [level, rank]));

/** Tells whether a value is a log level. */
export function isLogLevel(value: unknown): value is LogLevel {
  return RANKS.has(value);
}

/** Tells whether a client wants a log message. Without a level, 2025 clients get all, 2026 ones none. */
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
