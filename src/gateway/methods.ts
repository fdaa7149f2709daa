/**
 * What a gateway answers, by method.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { LOG_LEVELS } from "../protocol/shapes.ts";
import { unknownTool } from "../protocol/unknown.ts";
import type { Holds } from "./holds.ts";
import { type KnownUpstream, mergedCapabilities, mergedInstructions } from "./introduce.ts";
import type { Link } from "./link.ts";
import type { Links } from "./links.ts";
import { type ListKind, LISTS } from "./list_kinds.ts";
import { mergedList, upstreamOf } from "./merge.ts";
import { pageOf } from "./paging.ts";
import { relay } from "./relay.ts";
import { isLogLevel, isModern } from "./translate.ts";
import type { GatewaySettings } from "./options.ts";

/** A request, and everything that answering it takes. */
export interface Asked {
  readonly exchange: Exchange;
  readonly links: Links;
  readonly settings: GatewaySettings;
  readonly holds: Holds;
  /** What the round before left with the client (2026-07-28). */
  readonly state: JsonObject | undefined;
  /** The upstream that a name in the view belongs to, and what it is called there. */
  readonly locate: (
    name: string,
  ) => { readonly upstream: string; readonly name: string } | undefined;
  readonly retain: () => () => void;
}

/** Answers a request. */
export type Method = (asked: Asked) => Promise<JsonObject>;

/** The methods that a gateway answers. */
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
 * Fails the call of a tool as though it weren't there, after just what is done for one that isn't.
 *
 * @throws {McpError} Always
 */
export async function hideTool(asked: Asked): Promise<never> {
  const { exchange, links, locate } = asked;
  const { name } = exchange.params;
  const found = typeof name === "string" ? locate(name) : undefined;
  const link = found === undefined ? undefined : links.link(found.upstream);
  if (link !== undefined) await links.list(link.name, "tools", exchange);
  throw unknownTool(name);
}

function list(kind: ListKind): Method {
  return async ({ exchange, links }) =>
    pageOf(exchange, LISTS[kind], await mergedList(links, kind, exchange));
}

async function initialize(asked: Asked): Promise<JsonObject> {
  const { protocolVersion } = asked.exchange;
  return { protocolVersion, ...await introduce(asked), serverInfo: asked.settings.info };
}

async function discover(asked: Asked): Promise<JsonObject> {
  const { supportedVersions } = asked.exchange;
  return { supportedVersions, ...await introduce(asked) };
}

/** Gets to know all upstreams at once; those that can't be reached don't keep the others waiting. */
async function introduce({ exchange, links, settings }: Asked): Promise<JsonObject> {
  const known = await Promise.all(links.names.map(async (name): Promise<KnownUpstream> => {
    try {
      const facts = await links.link(name)?.reach(exchange);
      return { name, capabilities: facts?.capabilities, instructions: facts?.instructions };
    } catch {
      return { name, capabilities: undefined, instructions: undefined };
    }
  }));
  exchange.signal.throwIfAborted();
  const capabilities = mergedCapabilities(known, isModern(exchange.protocolVersion));
  const instructions = settings.instructions ?? mergedInstructions(known);
  return instructions === undefined ? { capabilities } : { capabilities, instructions };
}

async function callTool(asked: Asked): Promise<JsonObject> {
  const { exchange, links, locate } = asked;
  const { name } = exchange.params;
  const found = typeof name === "string" ? locate(name) : undefined;
  const link = found === undefined ? undefined : links.link(found.upstream);
  if (found === undefined || link === undefined) throw unknownTool(name);
  // Where some tools are hidden from some, what isn't listed must look like what is hidden.
  if (exchange.mayCall !== undefined) {
    const listed = await links.list(link.name, "tools", exchange);
    if (!listed.some((tool) => tool.name === name)) throw unknownTool(name);
  }
  return await pass(asked, link, { ...exchange.params, name: found.name });
}

async function getPrompt(asked: Asked): Promise<JsonObject> {
  const { exchange: { params }, links, locate } = asked;
  const found = typeof params.name === "string" ? locate(params.name) : undefined;
  const link = found === undefined ? undefined : links.link(found.upstream);
  if (found === undefined || link === undefined) throw invalid("Give the name of a prompt");
  return await pass(asked, link, { ...params, name: found.name });
}

async function readResource(asked: Asked): Promise<JsonObject> {
  const link = await linkOf(asked, asked.exchange.params.uri);
  return await pass(asked, link, asked.exchange.params);
}

async function subscribe(asked: Asked): Promise<JsonObject> {
  const { exchange: { params: { uri }, session }, links } = asked;
  if (session === undefined) {
    throw new McpError(ErrorCode.InvalidRequest, "Open a session to subscribe to resources");
  }
  const link = await linkOf(asked, uri);
  if (typeof uri !== "string") throw invalid('Give a text as "uri"');
  const before = links.subscribed(link.name).has(uri);
  links.subscribe(link.name, uri);
  try {
    return await pass(asked, link, { uri });
  } catch (error) {
    if (!before) links.unsubscribe(uri);
    throw error;
  }
}

async function unsubscribe(asked: Asked): Promise<JsonObject> {
  const { exchange: { params: { uri } }, links } = asked;
  if (typeof uri !== "string") throw invalid('Give a text as "uri"');
  const upstream = links.unsubscribe(uri);
  const link = upstream === undefined ? undefined : links.link(upstream);
  return link === undefined ? {} : await pass(asked, link, { uri });
}

async function complete(asked: Asked): Promise<JsonObject> {
  const { exchange: { params }, links, locate } = asked;
  const { ref } = params;
  if (!isObject(ref)) throw invalid('Give an object as "ref"');
  if (ref.type === "ref/resource") return await pass(asked, await linkOf(asked, ref.uri), params);
  const found = typeof ref.name === "string" ? locate(ref.name) : undefined;
  const link = found === undefined ? undefined : links.link(found.upstream);
  if (ref.type !== "ref/prompt" || found === undefined || link === undefined) {
    throw invalid('Give a prompt or a resource that there is as "ref"');
  }
  return await pass(asked, link, { ...params, ref: { ...ref, name: found.name } });
}

async function setLevel({ exchange, links }: Asked): Promise<JsonObject> {
  const { params: { level }, session, request } = exchange;
  if (!isLogLevel(level)) throw invalid(`Give one of ${LOG_LEVELS.join(", ")} as "level"`);
  await session?.setLogLevel(level);
  links.logLevel = level;
  await Promise.all(links.links.map((link) => link.level(request)));
  return {};
}

async function linkOf({ exchange, links }: Asked, uri: unknown): Promise<Link> {
  if (typeof uri !== "string") throw invalid('Give a text as "uri"');
  const link = links.link(await upstreamOf(links, uri, exchange));
  if (link === undefined) throw invalid("Give the URI of a resource that is listed");
  return link;
}

function pass(
  { exchange, state, holds, settings: { info }, retain }: Asked,
  link: Link,
  params: JsonObject,
): Promise<JsonObject> {
  return relay({ exchange, link, params, state, holds, info, retain });
}

function invalid(message: string): McpError {
  return new McpError(ErrorCode.InvalidParams, message);
}
