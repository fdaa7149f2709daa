/**
 * Answers the requests of clients, by method.
 *
 * @module
 */
import {
  ErrorCode,
  type JsonObject,
  LOG_LEVELS,
  McpError,
  type ServerCapabilities,
} from "../../../mod.ts";
import {
  isModern,
  isObject,
  promptResultFor,
  requireScopes,
  serverInfoFor,
  toolResultFor,
  unknownPrompt,
  unknownResource,
  unknownTool,
  wrapsOutput,
} from "../../kit.ts";
import type { CompiledRules, UseRules } from "../policy/entry_rules.ts";
import type { ManagedSession } from "../session/managed_session.ts";
import { type ClientRequest, relay, type RelayOptions } from "../session/relay.ts";
import { withSignIn } from "../session/sign_in_question.ts";
import { UnusableError } from "../session/unusable.ts";
import { SignInRequiredError } from "../shared/sign_in_required.ts";
import { isLogLevel } from "../session/translate.ts";
import type { ListContext } from "../session/upstream_lists.ts";
import type { UpstreamSessions } from "../session/upstream_sessions.ts";
import { type ListKind, LISTS } from "../shared/list_kinds.ts";
import type { UpstreamFacts } from "../types.ts";
import {
  extensionsOf,
  mergedCapabilities,
  mergedInstructions,
  type UpstreamSummary,
} from "./capabilities.ts";
import type { Addresses } from "./addresses.ts";
import { CONNECT_TOOL, connected } from "./connect_tool.ts";
import { findResource, type FoundResource, mayUseAddress } from "./find_resource.ts";
import { mergedList, pageOf, upstreamOfUri } from "./merged_lists.ts";
import { approval, checkRate, permittedArguments } from "./permitted_use.ts";
import {
  promptResultWithReferences,
  readResultWithReferences,
  type Refer,
  toolResultWithReferences,
} from "./references.ts";
import { answerSearchTool, isSearchTool, searchTools, type ToolSearch } from "./tool_search.ts";

/** A client's request to a view. */
export interface ViewRequest extends ClientRequest {
  /** The client's upstream sessions. */
  readonly sessions: UpstreamSessions;
  /** Splits a tool's or prompt's name in the view into its upstream and its name there. */
  readonly locate: (
    name: string,
  ) => { readonly upstream: string; readonly name: string } | undefined;
  /** Keeps the addresses of resources apart; `undefined` where one upstream is served alone. */
  readonly addresses: Addresses | undefined;
  /** Returns the scopes that a tool of an upstream needs, if that is known. */
  readonly toolScopes: (upstream: string, tool: string) => readonly string[] | undefined;
  /** Takes what the client is told about the upstreams. */
  readonly described: (
    sessions: UpstreamSessions,
    upstreams: readonly UpstreamSummary[],
    capabilities: ServerCapabilities,
  ) => void;
  /** Says which tools are found in place of being listed; `undefined` if none are. */
  readonly search: () => ToolSearch | undefined;
  /** Takes what the upstream has said, each time it is used, if it is served alone. */
  readonly opened: (facts: UpstreamFacts) => void;
}

/** The parameters of a request, as the client or middleware sent them. */
export interface Sent {
  readonly params: JsonObject;
  /** The resource that they name, if it was found while the route was settled. */
  readonly resource?: FoundResource;
}

/** Answers a request. */
export type ViewMethod = (request: ViewRequest, sent: Sent) => Promise<JsonObject>;

/** What a gateway does with the requests of one method. */
export interface MethodRow {
  /** Answers a request. */
  readonly run: ViewMethod;
  /** Fails a request as if what it is about didn't exist, after the same work as for what doesn't. */
  readonly hide?: ViewMethod;
}

/** The methods that a gateway serves. */
export const METHODS: ReadonlyMap<string, MethodRow> = new Map<string, MethodRow>([
  ["initialize", { run: initialize }],
  ["server/discover", { run: discover }],
  ["ping", { run: async () => ({}) }],
  ["tools/list", { run: listTools }],
  ["prompts/list", { run: list("prompts") }],
  ["resources/list", { run: list("resources") }],
  ["resources/templates/list", { run: list("templates") }],
  ["tools/call", { run: callTool, hide: hideTool }],
  ["prompts/get", { run: getPrompt, hide: hidePrompt }],
  ["resources/read", { run: readResource, hide: hideResource }],
  ["resources/subscribe", { run: subscribe, hide: hideSubscription }],
  ["resources/unsubscribe", { run: unsubscribe }],
  ["completion/complete", { run: complete, hide: hideCompletion }],
  ["logging/setLevel", { run: setLevel }],
]);

async function hideTool(request: ViewRequest, { params: { name } }: Sent): Promise<never> {
  await isListed(request, "tools", request.exchange.params.name);
  throw unknownTool(name);
}

async function hidePrompt(request: ViewRequest): Promise<never> {
  const { name } = request.exchange.params;
  await isListed(request, "prompts", name);
  throw unknownPrompt(name);
}

async function hideResource(request: ViewRequest, { params: { uri } }: Sent): Promise<never> {
  return await hideUri(request, uri);
}

async function hideSubscription(request: ViewRequest, sent: Sent): Promise<never> {
  checkSubscribing(request, sent);
  return await hideResource(request, sent);
}

async function hideCompletion(request: ViewRequest, { params: { ref } }: Sent): Promise<never> {
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

function list(kind: ListKind): ViewMethod {
  return async (request) => {
    const { exchange, sessions, addresses } = request;
    const entries = await mergedList(sessions, kind, contextOf(request), addresses);
    return pageOf(exchange, LISTS[kind], await usable(request, kind, entries));
  };
}

/** Omits what the principal may not use by the address that its upstream knows. */
async function usable(
  { exchange: { mayUse }, addresses }: ViewRequest,
  kind: ListKind,
  entries: readonly JsonObject[],
): Promise<readonly JsonObject[]> {
  const { id, prefixed } = LISTS[kind];
  if (mayUse === undefined || prefixed || addresses === undefined) return entries;
  const verdicts = await Promise.all(
    entries.map(({ [id]: address }) => mayUseAddress(mayUse, addresses, String(address))),
  );
  return entries.filter((_, index) => verdicts[index]);
}

async function listTools(request: ViewRequest): Promise<JsonObject> {
  const { exchange, sessions } = request;
  const context = contextOf(request);
  const search = request.search();
  const own = search === undefined ? [] : await searchTools({ ...request, search, context });
  const others = search?.replacesAll ? [] : await mergedList(sessions, "tools", context);
  const entries = own.length === 0
    ? others
    : [...own, ...others.filter(({ name }) => !isSearchTool(name))];
  return pageOf(exchange, LISTS.tools, entries);
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
  const { exchange, sessions, settings } = request;
  const context = contextOf(request);
  const names = sessions.namesFor(exchange.principal);
  const upstreams = await Promise.all(names.map(async (name): Promise<UpstreamSummary> => {
    if (sessions.isDormant(name)) return { name, capabilities: undefined, instructions: undefined };
    try {
      const facts = await sessions.lists.factsInTime(name, context, false);
      return { name, capabilities: facts?.capabilities, instructions: facts?.instructions };
    } catch (error) {
      const capabilities = error instanceof SignInRequiredError ? BEFORE_SIGN_IN : undefined;
      return { name, capabilities, instructions: undefined };
    }
  }));
  exchange.signal.throwIfAborted();
  const shown = upstreams.map((summary) => permittedSummary(request, summary));
  const capabilities = mergedCapabilities(shown);
  for (const { extension, upstreams, reason } of extensionsOf(shown).withheld) {
    for (const upstream of upstreams) sessions.extensionWithheld(upstream, extension, reason);
  }
  request.described(sessions, upstreams, capabilities);
  const instructions = settings.instructions ?? mergedInstructions(upstreams);
  return instructions === undefined ? { capabilities } : { capabilities, instructions };
}

/** What a client is told of an upstream that says nothing before the user signs in: what it may have then. */
const BEFORE_SIGN_IN: JsonObject = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true },
};

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

async function callTool(request: ViewRequest, sent: Sent): Promise<JsonObject> {
  const { session } = find(request, "tools", request.exchange.params.name) ?? {};
  if (session?.signIn === undefined) return await callFound(request, sent);
  // Whether a tool may be used may depend on the list of its upstream
  return await withSignIn(request, session, (own) => callFound({ ...request, ...own }, sent));
}

async function callFound(request: ViewRequest, { params: sent }: Sent): Promise<JsonObject> {
  const { exchange, sessions } = request;
  const { name } = exchange.params;
  const search = isSearchTool(name) ? request.search() : undefined;
  if (search !== undefined) {
    return await answerSearchTool({ ...request, search, context: contextOf(request) });
  }
  const target = find(request, "tools", name);
  if (target === undefined || typeof name !== "string") throw unknownTool(sent.name);
  const { session } = target;
  if (target.name === CONNECT_TOOL && session.signIn !== undefined) {
    await session.ensureOpen(exchange);
    await checkSignedIn(request, session.name);
    return connected(session.name);
  }
  if (!await isUsable(request, "tools", target, name)) throw unknownTool(sent.name);
  const use = target.rules?.useOf(target.name);
  const passed = use === undefined ? undefined : await passTool(request, target, use, name);
  if (passed !== undefined && "result" in passed) return passed.result;
  const params = { ...passed?.params ?? exchange.params, name: target.name };
  const result = await relay(
    passed?.request ?? request,
    session,
    params,
    { named: named(request, session, toolResultWithReferences) },
  );
  if (result.isError !== true) sessions.known.add(session.name, "tools", name);
  else await sessions.lists.learn(session.name, "tools", contextOf(request));
  const wraps = await isOutputWrapped(request, session, name, result);
  return toolResultFor(exchange.protocolVersion, result, wraps);
}

/**
 * Checks that the user has signed in at an upstream which opens a session for everybody, and lists for users.
 *
 * @throws {SignInRequiredError} If the user hasn't
 */
async function checkSignedIn(request: ViewRequest, upstream: string): Promise<void> {
  try {
    await request.sessions.lists.get(upstream, "tools", contextOf(request));
  } catch (error) {
    // Whatever else is wrong with the list says nothing about the account
    if (error instanceof SignInRequiredError) throw error;
  }
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
  const result = await relay(
    request,
    target.session,
    { ...params, name: target.name },
    { named: named(request, target.session, promptResultWithReferences) },
  );
  if (typeof params.name === "string") {
    request.sessions.known.add(target.session.name, "prompts", params.name);
  }
  return promptResultFor(request.exchange.protocolVersion, result);
}

async function readResource(
  request: ViewRequest,
  { params, resource }: Sent,
): Promise<JsonObject> {
  return await throughUri(request, params.uri, async (address) => {
    const found = resource ?? await findResource(request, contextOf(request), address);
    const { settings: { policies }, exchange: { principal } } = request;
    const use = policies.rulesOf(principal, found.session.name)?.resources.useOf(found.uri);
    if (use !== undefined) await checkRate(request, use);
    return await relayFound(
      request,
      found,
      found.uri === address ? params : { ...params, uri: found.uri },
      {
        named: named(
          request,
          found.session,
          (result, refer) =>
            readResultWithReferences(result, (uri) => uri === found.uri ? address : refer(uri)),
        ),
      },
    );
  });
}

async function subscribe(request: ViewRequest, sent: Sent): Promise<JsonObject> {
  const { sessions } = request;
  const { params, resource } = sent;
  checkSubscribing(request, sent);
  const { session, uri } = await throughUri(
    request,
    params.uri,
    async (address) =>
      resource ?? await findResource(request, contextOf(request), address, "subscribe"),
  );
  return await throughUri(request, params.uri, async (address) => {
    // A session that opens repeats the subscriptions that are recorded.
    await session.ensureOpen(request.exchange);
    const wasSubscribed = sessions.subscription(address) !== undefined;
    sessions.subscribe(address, { upstream: session.name, uri });
    try {
      return await relayFound(request, { session, uri }, { uri });
    } catch (error) {
      if (!wasSubscribed) sessions.unsubscribe(address);
      throw error;
    }
  });
}

/** Checks that the client can subscribe to a resource, before anything depends on which one that is. */
export function checkSubscribing(
  { exchange: { session }, sessions }: ViewRequest,
  { params: { uri } }: Sent,
): void {
  if (session === undefined) {
    throw new McpError(ErrorCode.InvalidRequest, "Open a session to subscribe to resources");
  }
  if (typeof uri === "string") sessions.checkRoom(uri);
}

async function unsubscribe(request: ViewRequest): Promise<JsonObject> {
  const { exchange: { params: { uri: address } }, sessions } = request;
  if (typeof address !== "string") throw invalid('Give a string as "uri"');
  const { upstream, uri } = sessions.unsubscribe(address) ?? {};
  if (upstream === undefined || uri === undefined) return {};
  // The client may be subscribed to it by another address, too.
  if (sessions.subscribedAddresses(upstream, uri).length > 0) return {};
  const session = sessions.get(upstream);
  return session === undefined ? {} : await relay(request, session, { uri });
}

async function complete(request: ViewRequest, sent: Sent): Promise<JsonObject> {
  const { params, resource } = sent;
  const { ref } = params;
  if (!isObject(ref)) throw invalid('Give an object as "ref"');
  if (ref.type === "ref/resource") {
    return await throughUri(request, ref.uri, async (address) => {
      const context = contextOf(request);
      const { session, uri } = resource ??
        await findResource(request, context, address, "reference");
      const found = { session, uri };
      return await relayFound(request, found, { ...params, ref: { ...ref, uri } });
    });
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

/** A tool or prompt that a name refers to. */
interface Target {
  readonly session: ManagedSession;
  /** Its name at the upstream; `undefined` if the name in the view stands for none. */
  readonly name: string;
  /** The rules for its list, if there are any. */
  readonly rules: CompiledRules | undefined;
  /** Whether the policy withholds it, whether the upstream has it or not. */
  readonly isWithheld: boolean;
}

/** Returns a function that puts the addresses that the client knows into a result of an upstream. */
function named(
  { addresses, sessions }: ViewRequest,
  { name: upstream }: ManagedSession,
  replace: (result: JsonObject, refer: Refer) => JsonObject,
): NonNullable<RelayOptions["named"]> {
  if (addresses === undefined) return (result) => result;
  return (result) => replace(result, addresses.references(sessions, upstream));
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
  // A definition that can't be changed as the rules say is withheld.
  const mayBeWithheld = rules?.restricts === true || rules?.changes === true;
  if (exchange.mayUse === undefined && !mayBeWithheld) return true;
  const listed = await isListed(request, kind, name);
  if (isWithheld && exchange.facts !== undefined) {
    exchange.report({ ...exchange.facts, type: "refused", status: 200, reason: "hidden" });
  }
  return listed && !isWithheld;
}

/** A call that may go to its upstream, or the result that it has instead. */
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
  shown: string,
): Promise<PassedCall> {
  const { exchange, state } = request;
  const params = permittedArguments(exchange.params, use);
  await checkRate(request, use);
  if (!use.needsApproval) {
    const isCounted = use.limiters.length > 0;
    return { request: isCounted ? { ...request, passed: state ?? {} } : request, params };
  }
  // The user is only asked about a call that may run.
  requireScopes(exchange.principal, { scopes: request.toolScopes(session.name, name) });
  const asked = await approval(request, shown);
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
export async function throughUri<T>(
  request: ViewRequest,
  uri: unknown,
  run: (uri: string) => Promise<T>,
): Promise<T> {
  if (typeof uri !== "string") throw invalid('Give a string as "uri"');
  try {
    return await run(uri);
  } catch (error) {
    const isUnknown = error instanceof McpError && UNKNOWN_RESOURCE.has(error.code);
    if (!isUnknown || !hidesResources(request)) throw error;
    throw unknownResource(request.exchange.protocolVersion, uri);
  }
}

/**
 * Sends a request for a resource to its upstream. Where some resources are hidden, whatever the upstream
 * says about one that it doesn't list is what is said about a hidden one.
 */
async function relayFound(
  request: ViewRequest,
  { session, uri }: FoundResource,
  params: JsonObject,
  options?: RelayOptions,
): Promise<JsonObject> {
  const { exchange: { protocolVersion }, sessions } = request;
  const isHiddenLike = async () => {
    if (!hidesResources(request)) return false;
    const [resources, templates] = await Promise.all(
      (["resources", "templates"] as const).map((kind) =>
        sessions.lists.get(session.name, kind, contextOf(request))
      ),
    );
    return !resources?.some((entry) => entry.uri === uri) &&
      !templates?.some(({ uriTemplate }) => uriTemplate === uri);
  };
  try {
    const result = await relay(request, session, params, options);
    const isEmpty = Array.isArray(result.contents) && result.contents.length === 0;
    if (!isEmpty || !await isHiddenLike()) return result;
  } catch (error) {
    const isAnswer = error instanceof McpError && !(error instanceof UnusableError);
    if (!isAnswer || !await isHiddenLike()) throw error;
  }
  throw unknownResource(protocolVersion, uri);
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

/** The errors with which servers answer to an unknown resource. */
const UNKNOWN_RESOURCE: ReadonlySet<number> = new Set([
  ErrorCode.ResourceNotFound,
  ErrorCode.InvalidParams,
]);

function unknownRef(): McpError {
  return invalid('Give a listed prompt or resource as "ref"');
}

/** Returns what is needed to wait for an upstream on behalf of a request. */
export function contextOf({ exchange, retain }: ViewRequest): ListContext {
  const { principal, request, signal } = exchange;
  return { principal, request, signal, retain };
}

function invalid(message: string): McpError {
  return new McpError(ErrorCode.InvalidParams, message);
}
