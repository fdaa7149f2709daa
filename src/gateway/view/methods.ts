/**
 * Answers the requests of clients, by method.
 *
 * @module
 */
import { promptResultFor, serverInfoFor, toolResultFor } from "../../protocol/downgrade.ts";
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { wrapsOutput } from "../../protocol/output_schema.ts";
import { LOG_LEVELS, type ServerCapabilities } from "../../protocol/shapes.ts";
import { unknownPrompt, unknownResource, unknownTool } from "../../protocol/unknown.ts";
import { isModern } from "../../protocol/versions.ts";
import type { EntryRules, UseRules } from "../policy/entry_rules.ts";
import type { ManagedSession } from "../session/managed_session.ts";
import { type ClientRequest, relay } from "../session/relay.ts";
import { isLogLevel } from "../session/translate.ts";
import type { ListContext } from "../session/upstream_lists.ts";
import type { UpstreamSessions } from "../session/upstream_sessions.ts";
import { type ListKind, LISTS } from "../shared/list_kinds.ts";
import { mergedCapabilities, mergedInstructions, type UpstreamSummary } from "./capabilities.ts";
import { mergedList, pageOf, upstreamOfUri, type UriUse } from "./merged_lists.ts";
import { approval, checkRate, checkScopes, permittedArguments } from "./permitted_use.ts";

/** Represents a client's request to a view. */
export interface ViewRequest extends ClientRequest {
  /** Holds the client's upstream sessions. */
  readonly sessions: UpstreamSessions;
  /** Splits a tool's or prompt's name in the view into its upstream and its name there. */
  readonly locate: (
    name: string,
  ) => { readonly upstream: string; readonly name: string } | undefined;
  /** Returns the scopes that a tool of an upstream needs, if that is known. */
  readonly toolScopes: (upstream: string, tool: string) => readonly string[] | undefined;
  /** Takes what the client is told about the upstreams. */
  readonly described: (
    sessions: UpstreamSessions,
    upstreams: readonly UpstreamSummary[],
    capabilities: ServerCapabilities,
  ) => void;
  /** Tells whether the view serves a single upstream as a server of its own. */
  readonly isOnly: boolean;
}

/** Answers a request. */
export type Method = (request: ViewRequest) => Promise<JsonObject>;

/** Maps each method that a gateway serves to the function that answers it. */
export const METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["initialize", initialize],
  ["server/discover", discover],
  ["ping", async () => ({})],
  ["tools/list", list("tools")],
  ["prompts/list", list("prompts")],
  ["resources/list", list("resources")],
  ["resources/templates/list", list("templates")],
  ["tools/call", callTool],
  ["prompts/get", getPrompt],
  ["resources/read", readResource],
  ["resources/subscribe", subscribe],
  ["resources/unsubscribe", unsubscribe],
  ["completion/complete", complete],
  ["logging/setLevel", setLevel],
]);

/**
 * Maps methods to functions that fail a request as if what it is about didn't exist, after the same work
 * as for what doesn't.
 */
export const HIDDEN: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["tools/call", hideTool],
  ["prompts/get", hidePrompt],
  ["resources/read", hideResource],
  ["resources/subscribe", hideSubscription],
  ["completion/complete", hideCompletion],
]);

async function hideTool(request: ViewRequest): Promise<never> {
  const { name } = request.exchange.params;
  await isListed(request, "tools", name);
  throw unknownTool(name);
}

async function hidePrompt(request: ViewRequest): Promise<never> {
  const { name } = request.exchange.params;
  await isListed(request, "prompts", name);
  throw unknownPrompt(name);
}

async function hideResource(request: ViewRequest): Promise<never> {
  const { uri } = request.exchange.params;
  return await hideUri(request, uri);
}

async function hideSubscription(request: ViewRequest): Promise<never> {
  checkSubscribing(request);
  return await hideResource(request);
}

async function hideCompletion(request: ViewRequest): Promise<never> {
  const { ref } = request.exchange.params;
  const { type, name, uri } = isObject(ref) ? ref : {};
  if (type === "ref/resource") return await hideUri(request, uri);
  await isListed(request, "prompts", name);
  throw unknownRef();
}

async function hideUri(request: ViewRequest, uri: unknown): Promise<never> {
  return await throughUri(request, uri, async () => {
    await upstreamOfUri(request.sessions, undefined, contextOf(request));
    throw unknownResource(request.exchange.protocolVersion, uri);
  });
}

function list(kind: ListKind): Method {
  return async (request) => {
    const { exchange, sessions } = request;
    return pageOf(exchange, LISTS[kind], await mergedList(sessions, kind, contextOf(request)));
  };
}

async function initialize(request: ViewRequest): Promise<JsonObject> {
  const { protocolVersion } = request.exchange;
  const serverInfo = serverInfoFor(protocolVersion, request.settings.info);
  return { protocolVersion, ...await describe(request), serverInfo };
}

async function discover(request: ViewRequest): Promise<JsonObject> {
  const { supportedVersions } = request.exchange;
  return { supportedVersions, ...await describe(request) };
}

/**
 * Opens the sessions with all upstreams concurrently, and combines what those can do that say so in
 * time.
 */
async function describe(request: ViewRequest): Promise<JsonObject> {
  const { exchange, sessions, settings, isOnly } = request;
  const context = contextOf(request);
  const names = sessions.namesFor(exchange.principal);
  const upstreams = await Promise.all(names.map(async (name): Promise<UpstreamSummary> => {
    try {
      const facts = await sessions.lists.factsInTime(name, context, isOnly);
      return { name, capabilities: facts?.capabilities, instructions: facts?.instructions };
    } catch (error) {
      // Alone there is nothing else to tell.
      if (isOnly) throw error;
      return { name, capabilities: undefined, instructions: undefined };
    }
  }));
  exchange.signal.throwIfAborted();
  const shown = upstreams.map((summary) => permittedSummary(request, summary));
  const capabilities = mergedCapabilities(shown, isModern(exchange.protocolVersion));
  request.described(sessions, upstreams, capabilities);
  const instructions = settings.instructions ?? mergedInstructions(upstreams);
  return instructions === undefined ? { capabilities } : { capabilities, instructions };
}

/** Returns what an upstream says about itself, without lists that the policy withholds. */
function permittedSummary({ exchange, settings }: ViewRequest, given: UpstreamSummary) {
  const { name, capabilities } = given;
  const rules = settings.policies.rulesOf(exchange.principal, name);
  if (rules === undefined || capabilities === undefined) return given;
  const { tools, prompts, resources, ...others } = capabilities;
  const hasResources = !rules.resources.isClosed || !rules.templates.isClosed;
  const lists = {
    ...!rules.tools.isClosed && { tools },
    ...!rules.prompts.isClosed && { prompts },
    ...hasResources && { resources },
  };
  return { ...given, capabilities: { ...others, ...lists } };
}

async function callTool(request: ViewRequest): Promise<JsonObject> {
  const { exchange, sessions } = request;
  const { name } = exchange.params;
  const target = find(request, "tools", name);
  if (target === undefined) throw unknownTool(name);
  if (!await isUsable(request, "tools", target, name)) throw unknownTool(name);
  const use = target.rules?.useOf(target.name);
  const passed = use === undefined ? undefined : await passTool(request, target, use);
  if (passed !== undefined && "result" in passed) return passed.result;
  const params = passed?.params ?? exchange.params;
  const relayed = { ...params, name: target.name };
  const result = await relay(passed?.request ?? request, target.session, relayed);
  if (result.isError !== true && typeof name === "string") {
    sessions.known.add(target.session.name, "tools", name);
  }
  const wraps = await isOutputWrapped(request, target.session, name, result);
  return toolResultFor(exchange.protocolVersion, result, wraps);
}

/**
 * Tells whether a client knows the output schema of a tool wrapped. A 2025 upstream has no such schema, and
 * data that isn't an object is wrapped anyway.
 */
async function isOutputWrapped(
  request: ViewRequest,
  { name: upstream, facts }: ManagedSession,
  tool: unknown,
  { structuredContent }: JsonObject,
): Promise<boolean> {
  const { exchange, sessions } = request;
  if (isModern(exchange.protocolVersion) || !isObject(structuredContent)) return false;
  if (facts === undefined || !isModern(facts.protocolVersion)) return false;
  try {
    const listed = await sessions.lists.get(upstream, "tools", contextOf(request));
    return wrapsOutput(listed.find(({ name }) => name === tool)?.outputSchema);
  } catch {
    // The tool has run: its result must not be lost because of a list that can't be fetched.
    return false;
  }
}

async function getPrompt(request: ViewRequest): Promise<JsonObject> {
  const { params } = request.exchange;
  const target = find(request, "prompts", params.name);
  if (target === undefined) throw unknownPrompt(params.name);
  if (!await isUsable(request, "prompts", target, params.name)) throw unknownPrompt(params.name);
  const use = target.rules?.useOf(target.name);
  if (use !== undefined) await checkRate(request, use);
  const result = await relay(request, target.session, { ...params, name: target.name });
  if (typeof params.name === "string") {
    request.sessions.known.add(target.session.name, "prompts", params.name);
  }
  return promptResultFor(request.exchange.protocolVersion, result);
}

async function readResource(request: ViewRequest): Promise<JsonObject> {
  const { params } = request.exchange;
  return await throughUri(
    request,
    params.uri,
    async () => {
      const session = await findByUri(request, params.uri);
      const { settings: { policies }, exchange: { principal } } = request;
      const use = policies.rulesOf(principal, session.name)?.resources.useOf(String(params.uri));
      if (use !== undefined) await checkRate(request, use);
      return await relay(request, session, params);
    },
  );
}

async function subscribe(request: ViewRequest): Promise<JsonObject> {
  const { exchange: { params: { uri } }, sessions } = request;
  checkSubscribing(request);
  const session = await throughUri(request, uri, () => findByUri(request, uri, "subscribe"));
  if (typeof uri !== "string") throw invalid('Give a string as "uri"');
  const wasSubscribed = sessions.subscribedUris(session.name).has(uri);
  sessions.subscribe(session.name, uri);
  try {
    return await throughUri(request, uri, () => relay(request, session, { uri }));
  } catch (error) {
    if (!wasSubscribed) sessions.unsubscribe(uri);
    throw error;
  }
}

/** Checks that the client can subscribe to a resource, before anything depends on which one that is. */
function checkSubscribing({ exchange: { session, params: { uri } }, sessions }: ViewRequest): void {
  if (session === undefined) {
    throw new McpError(ErrorCode.InvalidRequest, "Open a session to subscribe to resources");
  }
  if (typeof uri === "string") sessions.checkRoom(uri);
}

async function unsubscribe(request: ViewRequest): Promise<JsonObject> {
  const { exchange: { params: { uri } }, sessions } = request;
  if (typeof uri !== "string") throw invalid('Give a string as "uri"');
  const upstream = sessions.unsubscribe(uri);
  const session = upstream === undefined ? undefined : sessions.get(upstream);
  return session === undefined ? {} : await relay(request, session, { uri });
}

async function complete(request: ViewRequest): Promise<JsonObject> {
  const { params } = request.exchange;
  const { ref } = params;
  if (!isObject(ref)) throw invalid('Give an object as "ref"');
  if (ref.type === "ref/resource") {
    return await throughUri(
      request,
      ref.uri,
      async () => await relay(request, await findByUri(request, ref.uri, "reference"), params),
    );
  }
  const target = ref.type === "ref/prompt" ? find(request, "prompts", ref.name) : undefined;
  if (target === undefined) throw unknownRef();
  if (!await isUsable(request, "prompts", target, ref.name)) throw unknownRef();
  return await relay(request, target.session, { ...params, ref: { ...ref, name: target.name } });
}

async function setLevel({ exchange, sessions }: ViewRequest): Promise<JsonObject> {
  const { params: { level }, session } = exchange;
  if (!isLogLevel(level)) throw invalid(`Give one of ${LOG_LEVELS.join(", ")} as "level"`);
  await session?.setLogLevel(level);
  sessions.logLevel = level;
  await Promise.all(sessions.used.map((each) => each.syncLogLevel(exchange)));
  return {};
}

/** Represents a tool or prompt that a name refers to. */
interface Target {
  readonly session: ManagedSession;
  /** Holds its name at the upstream; `undefined` if the name in the view stands for none. */
  readonly name: string;
  /** Holds the rules for its list, if there are any. */
  readonly rules: EntryRules | undefined;
  /** Tells whether the policy withholds it, whether the upstream has it or not. */
  readonly isWithheld: boolean;
}

/** Finds the upstream session that a tool's or prompt's name refers to, and its name there. */
function find(
  { exchange: { principal }, settings, sessions, locate }: ViewRequest,
  kind: "tools" | "prompts",
  name: unknown,
): Target | undefined {
  const found = typeof name === "string" ? locate(name) : undefined;
  if (found === undefined) return undefined;
  const rules = settings.policies.rulesOf(principal, found.upstream);
  const session = rules?.isClosed === true ? undefined : sessions.get(found.upstream);
  if (session === undefined) return undefined;
  const own = rules === undefined ? found.name : rules[kind].ownName(found.name);
  const isWithheld = own === undefined || rules?.[kind].allows(own) === false;
  return { session, name: own ?? found.name, rules: rules?.[kind], isWithheld };
}

/**
 * Tells whether a tool or prompt may be used. Where some are hidden, an unlisted one must look like a
 * hidden one.
 */
async function isUsable(
  request: ViewRequest,
  kind: "tools" | "prompts",
  { rules, isWithheld }: Target,
  name: unknown,
): Promise<boolean> {
  const { exchange } = request;
  if (exchange.mayUse === undefined && rules?.restricts !== true) return true;
  const listed = await isListed(request, kind, name);
  if (isWithheld && exchange.facts !== undefined) {
    exchange.report({ ...exchange.facts, type: "refused", status: 200, reason: "hidden" });
  }
  return listed && !isWithheld;
}

/** Represents a call that may go to its upstream, or the result that it has instead. */
type PassedCall =
  | { readonly request: ViewRequest; readonly params: JsonObject }
  | { readonly result: JsonObject };

/**
 * Does what the policy asks for before a tool runs.
 *
 * @throws {McpError} If the call is refused
 */
async function passTool(
  request: ViewRequest,
  { session, name }: Target,
  use: UseRules,
): Promise<PassedCall> {
  const { exchange, state } = request;
  const params = permittedArguments(exchange.params, use);
  await checkRate(request, use);
  if (!use.needsApproval) {
    const isCounted = use.limiters.length > 0;
    return { request: isCounted ? { ...request, passed: state ?? {} } : request, params };
  }
  checkScopes(exchange, request.toolScopes(session.name, name));
  const asked = await approval(request, String(exchange.params.name));
  if (!("approved" in asked)) return asked;
  // The state of the question is not the upstream's.
  const own = state?.approved === true ? state : undefined;
  return { request: { ...request, state: own, passed: { approved: true } }, params };
}

/** Tells whether the upstream of a tool or prompt lists it. */
async function isListed(
  request: ViewRequest,
  kind: "tools" | "prompts",
  name: unknown,
): Promise<boolean> {
  const target = find(request, kind, name);
  if (target === undefined) return false;
  const listed = await request.sessions.lists.get(target.session.name, kind, contextOf(request));
  return listed.some((entry) => entry.name === name);
}

/**
 * Runs a request for a resource. Where some resources are hidden, one that the upstream doesn't know must
 * look like a hidden one, whatever the upstream says about it.
 *
 * @throws {McpError} If the request fails, or the URI is not a string
 */
async function throughUri<T>(
  request: ViewRequest,
  uri: unknown,
  run: () => Promise<T>,
): Promise<T> {
  if (typeof uri !== "string") throw invalid('Give a string as "uri"');
  try {
    return await run();
  } catch (error) {
    const isUnknown = error instanceof McpError && UNKNOWN_RESOURCE.has(error.code);
    if (!isUnknown || !hidesResources(request)) throw error;
    throw unknownResource(request.exchange.protocolVersion, uri);
  }
}

/** Tells whether some resources may be hidden from the principal. */
function hidesResources({ exchange: { mayUse, principal }, settings, sessions }: ViewRequest) {
  if (mayUse !== undefined) return true;
  const { policies } = settings;
  return policies.isSet && sessions.names.some((name) => {
    const rules = policies.rulesOf(principal, name);
    return rules !== undefined && (rules.resources.restricts || rules.templates.restricts);
  });
}

/** Lists the errors with which servers answer to an unknown resource. */
const UNKNOWN_RESOURCE: ReadonlySet<number> = new Set([
  ErrorCode.ResourceNotFound,
  ErrorCode.InvalidParams,
]);

/**
 * Finds the upstream session that a URI belongs to.
 *
 * @throws {McpError} If there is none
 */
async function findByUri(
  request: ViewRequest,
  uri: unknown,
  use?: UriUse,
): Promise<ManagedSession> {
  const { sessions } = request;
  if (typeof uri !== "string") throw invalid('Give a string as "uri"');
  const session = sessions.get(await upstreamOfUri(sessions, uri, contextOf(request), use));
  if (session === undefined) throw invalid("Give the URI of a resource that is listed");
  return session;
}

function unknownRef(): McpError {
  return invalid('Give a listed prompt or resource as "ref"');
}

function contextOf({ exchange, retain }: ViewRequest): ListContext {
  const { principal, request, signal } = exchange;
  return { principal, request, signal, retain };
}

function invalid(message: string): McpError {
  return new McpError(ErrorCode.InvalidParams, message);
}
