/**
 * Answers the requests of clients, by method.
 *
 * @module
 */
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { LOG_LEVELS } from "../../protocol/shapes.ts";
import { unknownTool } from "../../protocol/unknown.ts";
import { isModern } from "../../protocol/versions.ts";
import type { ManagedSession } from "../session/managed_session.ts";
import { type ClientRequest, relay } from "../session/relay.ts";
import { isLogLevel } from "../session/translate.ts";
import type { UpstreamSessions } from "../session/upstream_sessions.ts";
import { type ListKind, LISTS } from "../shared/list_kinds.ts";
import { mergedCapabilities, mergedInstructions, type UpstreamSummary } from "./capabilities.ts";
import { mergedList, pageOf, upstreamOfUri } from "./merged_lists.ts";

/** Represents a client's request to a view. */
export interface ViewRequest extends ClientRequest {
  /** Holds the client's upstream sessions. */
  readonly sessions: UpstreamSessions;
  /** Splits a tool's or prompt's name in the view into its upstream and its name there. */
  readonly locate: (
    name: string,
  ) => { readonly upstream: string; readonly name: string } | undefined;
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
 * Fails the call of a tool as if it didn't exist, after the same work as for one that doesn't.
 *
 * @throws {McpError} Always
 */
export async function hideTool(request: ViewRequest): Promise<never> {
  const { exchange, sessions } = request;
  const { name } = exchange.params;
  const target = find(request, name);
  if (target !== undefined) await sessions.list(target.session.name, "tools", exchange);
  throw unknownTool(name);
}

function list(kind: ListKind): Method {
  return async ({ exchange, sessions }) =>
    pageOf(exchange, LISTS[kind], await mergedList(sessions, kind, exchange));
}

async function initialize(request: ViewRequest): Promise<JsonObject> {
  const { protocolVersion } = request.exchange;
  return { protocolVersion, ...await describe(request), serverInfo: request.settings.info };
}

async function discover(request: ViewRequest): Promise<JsonObject> {
  const { supportedVersions } = request.exchange;
  return { supportedVersions, ...await describe(request) };
}

/** Opens the sessions with all upstreams concurrently, and combines what the upstreams can do. */
async function describe({ exchange, sessions, settings }: ViewRequest): Promise<JsonObject> {
  const upstreams = await Promise.all(sessions.names.map(async (name): Promise<UpstreamSummary> => {
    try {
      const facts = await sessions.get(name)?.ensureOpen(exchange);
      return { name, capabilities: facts?.capabilities, instructions: facts?.instructions };
    } catch {
      return { name, capabilities: undefined, instructions: undefined };
    }
  }));
  exchange.signal.throwIfAborted();
  const capabilities = mergedCapabilities(upstreams, isModern(exchange.protocolVersion));
  const instructions = settings.instructions ?? mergedInstructions(upstreams);
  return instructions === undefined ? { capabilities } : { capabilities, instructions };
}

async function callTool(request: ViewRequest): Promise<JsonObject> {
  const { exchange, sessions } = request;
  const { name } = exchange.params;
  const target = find(request, name);
  if (target === undefined) throw unknownTool(name);
  // Where some tools are hidden, an unlisted tool must look like a hidden one.
  if (exchange.mayCall !== undefined) {
    const listed = await sessions.list(target.session.name, "tools", exchange);
    if (!listed.some((tool) => tool.name === name)) throw unknownTool(name);
  }
  return await relay(request, target.session, { ...exchange.params, name: target.name });
}

async function getPrompt(request: ViewRequest): Promise<JsonObject> {
  const { params } = request.exchange;
  const target = find(request, params.name);
  if (target === undefined) throw invalid("Give the name of a prompt that is listed");
  return await relay(request, target.session, { ...params, name: target.name });
}

async function readResource(request: ViewRequest): Promise<JsonObject> {
  const { params } = request.exchange;
  return await relay(request, await findByUri(request, params.uri), params);
}

async function subscribe(request: ViewRequest): Promise<JsonObject> {
  const { exchange: { params: { uri }, session: own }, sessions } = request;
  if (own === undefined) {
    throw new McpError(ErrorCode.InvalidRequest, "Open a session to subscribe to resources");
  }
  const session = await findByUri(request, uri);
  if (typeof uri !== "string") throw invalid('Give a string as "uri"');
  const wasSubscribed = sessions.subscribedUris(session.name).has(uri);
  sessions.subscribe(session.name, uri);
  try {
    return await relay(request, session, { uri });
  } catch (error) {
    if (!wasSubscribed) sessions.unsubscribe(uri);
    throw error;
  }
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
    return await relay(request, await findByUri(request, ref.uri), params);
  }
  const target = ref.type === "ref/prompt" ? find(request, ref.name) : undefined;
  if (target === undefined) throw invalid('Give a listed prompt or resource as "ref"');
  return await relay(request, target.session, { ...params, ref: { ...ref, name: target.name } });
}

async function setLevel({ exchange, sessions }: ViewRequest): Promise<JsonObject> {
  const { params: { level }, session, request } = exchange;
  if (!isLogLevel(level)) throw invalid(`Give one of ${LOG_LEVELS.join(", ")} as "level"`);
  await session?.setLogLevel(level);
  sessions.logLevel = level;
  await Promise.all(sessions.used.map((each) => each.syncLogLevel(request)));
  return {};
}

/** Finds the upstream session that a tool's or prompt's name refers to, and its name there. */
function find(
  { sessions, locate }: ViewRequest,
  name: unknown,
): { readonly session: ManagedSession; readonly name: string } | undefined {
  const found = typeof name === "string" ? locate(name) : undefined;
  const session = found === undefined ? undefined : sessions.get(found.upstream);
  return found === undefined || session === undefined ? undefined : { session, name: found.name };
}

/**
 * Finds the upstream session that a URI belongs to.
 *
 * @throws {McpError} If there is none
 */
async function findByUri(
  { exchange, sessions }: ViewRequest,
  uri: unknown,
): Promise<ManagedSession> {
  if (typeof uri !== "string") throw invalid('Give a string as "uri"');
  const session = sessions.get(await upstreamOfUri(sessions, uri, exchange));
  if (session === undefined) throw invalid("Give the URI of a resource that is listed");
  return session;
}

function invalid(message: string): McpError {
  return new McpError(ErrorCode.InvalidParams, message);
}
