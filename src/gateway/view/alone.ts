/**
 * Answers the requests to an upstream that is served alone, so that its clients see it as itself: what
 * client and upstream say in the same era is passed on as it is, methods of their own too.
 *
 * @module
 */
import {
  ErrorCode,
  type JsonObject,
  McpError,
  type ProtocolVersion,
  type ServerCapabilities,
} from "../../../mod.ts";
import {
  entryFor,
  isModern,
  isObject,
  promptResultFor,
  serverInfoFor,
  toolResultFor,
  unknownMethod,
} from "../../kit.ts";
import type { ManagedSession } from "../session/managed_session.ts";
import { relay } from "../session/relay.ts";
import { isLogLevel, isSameEra, modernResult } from "../session/translate.ts";
import { LIST_KINDS, type ListKind, LISTS } from "../shared/list_kinds.ts";
import type { UpstreamFacts } from "../types.ts";
import { checkSubscribing, contextOf, METHODS, type Sent, type ViewRequest } from "./methods.ts";

/** Passes a request on in the words of its client, and returns the answer in those of the upstream. */
type Pass = (request: ViewRequest, session: ManagedSession) => Promise<JsonObject>;

/** Maps each method to the function that passes it on, where that isn't all that there is to do. */
const PASSES: ReadonlyMap<string, Pass> = new Map<string, Pass>([
  ["tools/call", callTool],
  ["prompts/get", getPrompt],
  ["resources/subscribe", subscribe],
  ["resources/unsubscribe", unsubscribe],
  ["logging/setLevel", setLevel],
  ...LIST_KINDS.map((kind): [string, Pass] => [LISTS[kind].method, list(kind)]),
]);

const LIST_METHODS: ReadonlySet<string> = new Set(LIST_KINDS.map((kind) => LISTS[kind].method));

/**
 * Answers a request of the client.
 *
 * @throws {McpError} If the upstream answers with an error or can't be used
 */
export async function answerAlone(request: ViewRequest, sent: Sent): Promise<JsonObject> {
  const { exchange, sessions } = request;
  const { method, protocolVersion: version } = exchange;
  const [name] = sessions.names;
  const session = name === undefined ? undefined : sessions.get(name);
  const translate = METHODS.get(method);
  if (session === undefined) {
    if (translate === undefined) throw unknownMethod(method);
    return await translate.run(request, sent);
  }
  const isDescription = method === "initialize" || method === "server/discover";
  // Lists and descriptions have a time limit of their own.
  const facts = isDescription || LIST_METHODS.has(method)
    ? await sessions.lists.factsInTime(session.name, contextOf(request), true)
    : await session.ensureOpen(exchange);
  if (facts === undefined) throw unknownMethod(method);
  request.opened(facts);
  if (isDescription) return describe(request, session, facts);
  const sameEra = isSameEra(version, facts.protocolVersion);
  // Where something is hidden, what doesn't exist must look the same.
  const isJudged = exchange.mayUse !== undefined && translate?.hide !== undefined;
  const result = translate !== undefined && (!sameEra || isJudged)
    ? await translate.run(request, sent)
    : await pass(request, session);
  return sameEra || !isModern(version) ? result : modernResult(method, result, facts.serverInfo);
}

async function pass(request: ViewRequest, session: ManagedSession): Promise<JsonObject> {
  const { exchange: { method, mayUse } } = request;
  try {
    return await (PASSES.get(method) ?? passOn)(request, session);
  } catch (error) {
    const isUnknown = error instanceof McpError && error.code === ErrorCode.MethodNotFound;
    throw mayUse !== undefined && isUnknown ? unknownMethod(method) : error;
  }
}

async function passOn(request: ViewRequest, session: ManagedSession): Promise<JsonObject> {
  return await relay(request, session, request.exchange.params);
}

/** Returns what the upstream said about itself, in the version that it has negotiated. */
function describe(
  { exchange, sessions, described }: ViewRequest,
  { name }: ManagedSession,
  facts: UpstreamFacts,
): JsonObject {
  const { serverInfo, protocolVersion: spoken, instructions, handshake } = facts;
  const modern = isModern(exchange.protocolVersion);
  if (!modern && spoken !== exchange.protocolVersion && exchange.negotiate?.(spoken) === true) {
    sessions.version = spoken;
  }
  const { protocolVersion, supportedVersions } = exchange;
  const capabilities = aloneCapabilities(facts, protocolVersion);
  described(sessions, [{ name, capabilities: facts.capabilities, instructions }], capabilities);
  const sameEra = isSameEra(protocolVersion, spoken);
  const own = {
    ...sameEra && handshake,
    capabilities,
    ...instructions !== undefined && { instructions },
  };
  if (!modern) {
    return { ...own, protocolVersion, serverInfo: serverInfoFor(protocolVersion, serverInfo) };
  }
  const whole = { supportedVersions, ...own };
  // The endpoint serves clients of the other era, too.
  return sameEra
    ? { ...whole, supportedVersions }
    : modernResult("server/discover", whole, serverInfo);
}

/** Returns the capabilities of an upstream that is served alone, without those that its client can't use. */
export function aloneCapabilities(
  { capabilities, protocolVersion }: Pick<UpstreamFacts, "capabilities" | "protocolVersion">,
  client: ProtocolVersion,
): ServerCapabilities {
  const { tasks, ...others } = capabilities;
  // Tasks of 2025-11-25 are no capability of the other era.
  return isSameEra(client, protocolVersion) && tasks !== undefined ? capabilities : others;
}

async function callTool(request: ViewRequest, session: ManagedSession): Promise<JsonObject> {
  const { exchange: { params: { name }, protocolVersion }, sessions } = request;
  const result = await passOn(request, session);
  if (result.isError === true) {
    await sessions.lists.learn(session.name, "tools", contextOf(request));
  } else if (typeof name === "string") {
    sessions.known.add(session.name, "tools", name);
  }
  return isOwnVersion(request, session) ? result : toolResultFor(protocolVersion, result, false);
}

async function getPrompt(request: ViewRequest, session: ManagedSession): Promise<JsonObject> {
  const { exchange: { params: { name }, protocolVersion }, sessions } = request;
  const result = await passOn(request, session);
  if (typeof name === "string") sessions.known.add(session.name, "prompts", name);
  return isOwnVersion(request, session) ? result : promptResultFor(protocolVersion, result);
}

/**
 * Tells whether client and upstream speak the same version. What a server sends beyond that is between the
 * two, as it would be without the gateway: some have output schemas in 2024-11-05.
 */
function isOwnVersion(
  { exchange: { protocolVersion } }: ViewRequest,
  { facts }: ManagedSession,
): boolean {
  return facts?.protocolVersion === protocolVersion;
}

/** Passes on a page of a list, with its cursor. */
function list(kind: ListKind): Pass {
  const { key } = LISTS[kind];
  return async (request, session) => {
    const { exchange, sessions } = request;
    const { params } = exchange;
    const result = await sessions.lists.passPage(
      session.name,
      kind,
      contextOf(request),
      (signal) => relay(request, session, params, { signal }),
    );
    const entries = result[key];
    if (!Array.isArray(entries)) return result;
    sessions.known.addAll(session.name, kind, entries.filter(isObject));
    if (isOwnVersion(request, session)) return result;
    const shown = entries.map((entry) =>
      isObject(entry) ? entryFor(exchange.protocolVersion, key, entry) : entry
    );
    return { ...result, [key]: shown };
  };
}

async function subscribe(request: ViewRequest, session: ManagedSession): Promise<JsonObject> {
  const { exchange: { params: { uri } }, sessions } = request;
  if (typeof uri !== "string") return await passOn(request, session);
  checkSubscribing(request, request.exchange);
  const wasSubscribed = sessions.subscribedUris(session.name).has(uri);
  sessions.subscribe(uri, { upstream: session.name, uri });
  try {
    return await passOn(request, session);
  } catch (error) {
    if (!wasSubscribed) sessions.unsubscribe(uri);
    throw error;
  }
}

async function unsubscribe(request: ViewRequest, session: ManagedSession): Promise<JsonObject> {
  const { exchange: { params: { uri } }, sessions } = request;
  if (typeof uri === "string") sessions.unsubscribe(uri);
  return await passOn(request, session);
}

async function setLevel(request: ViewRequest, session: ManagedSession): Promise<JsonObject> {
  const { exchange: { params: { level }, session: own }, sessions } = request;
  const result = await passOn(request, session);
  if (!isLogLevel(level)) return result;
  await own?.setLogLevel(level);
  sessions.logLevel = level;
  session.noteLogLevel(level);
  return result;
}
