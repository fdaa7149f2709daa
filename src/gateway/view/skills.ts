/**
 * Lists and reads the skills of upstreams in a merged view, under addresses that say whose they are
 * (Skills extension).
 *
 * @module
 */
import { ErrorCode, type JsonObject, McpError } from "../../../mod.ts";
import { isObject, isSimple, isWithinBytes, utf8Length } from "../../kit.ts";
import type { ManagedSession } from "../session/managed_session.ts";
import { relay } from "../session/relay.ts";
import { withDeadline } from "../shared/deadline.ts";
import { hasSkills } from "../shared/extensions.ts";
import { contextOf, type Sent, type ViewMethod, type ViewRequest } from "./methods.ts";

/** The most bytes of a page of skills, if it has more than one. */
const PAGE_BYTES = 1024 * 1024;
/** The most values in one skill's entry, and the most levels of nesting. */
const MOST_VALUES = 50_000;
const MOST_DEPTH = 64;

const METHODS: ReadonlyMap<string, ViewMethod> = new Map<string, ViewMethod>([
  ["skills/list", listSkills],
  ["skills/get", getSkill],
  ["resources/directory/read", readDirectory],
]);

/** Returns what answers a method of the extension; `undefined` for any other. */
export function skillMethod(method: string): ViewMethod | undefined {
  return METHODS.get(method);
}

/** Lists the skills of all upstreams, in the order of the upstreams, without those that aren't there in time. */
async function listSkills(request: ViewRequest): Promise<JsonObject> {
  const { exchange: { params: { cursor }, pageSize, principal }, sessions } = request;
  const names = sessions.namesFor(principal).filter((name) => !sessions.isDormant(name));
  const all = await Promise.allSettled(names.map((name) => skillsOf(request, name)));
  request.exchange.signal.throwIfAborted();
  const skills = all.flatMap((each) => each.status === "fulfilled" ? each.value : []);
  const [first] = all;
  if (first?.status === "rejected" && all.every(({ status }) => status === "rejected")) {
    throw first.reason;
  }
  const start = cursor === undefined ? 0 : offsetOf(cursor);
  let bytes = 0;
  let end = start;
  for (; end < skills.length && end < start + pageSize; end++) {
    bytes += utf8Length(JSON.stringify(skills[end]));
    if (end > start && bytes > PAGE_BYTES) break;
  }
  const page = { skills: skills.slice(start, end) };
  return end < skills.length ? { ...page, nextCursor: btoa(`k.${end}`) } : page;
}

function offsetOf(cursor: unknown): number {
  if (typeof cursor === "string" && cursor.length <= 32) {
    const offset = Number(/^k\.([1-9]\d{0,14})$/.exec(decoded(cursor))?.[1]);
    if (btoa(`k.${offset}`) === cursor) return offset;
  }
  throw new McpError(ErrorCode.InvalidParams, "Give the cursor of an earlier page, or none");
}

function decoded(cursor: string): string {
  try {
    return atob(cursor);
  } catch {
    return "";
  }
}

/** Returns the skills of one upstream that the principal may know, with the client's addresses. */
async function skillsOf(request: ViewRequest, name: string): Promise<JsonObject[]> {
  const { exchange, sessions, settings: { clock, listTimeoutMs: ms, limits } } = request;
  const facts = await sessions.lists.factsInTime(name, contextOf(request), false);
  const session = sessions.get(name);
  if (facts === undefined || session === undefined || !hasSkills(facts.capabilities)) return [];
  const skills: JsonObject[] = [];
  let bytesLeft = limits.listBytes;
  let cursor: unknown;
  for (let pages = 0; pages < limits.listPages; pages++) {
    const params = cursor === undefined ? {} : { cursor };
    const page = await withDeadline(
      { clock, ms, signal: exchange.signal },
      () => relay(request, session, params),
    );
    for (const skill of Array.isArray(page.skills) ? page.skills : []) {
      if (!isObject(skill) || !isSimple(skill, MOST_VALUES, MOST_DEPTH)) continue;
      const text = JSON.stringify(skill);
      if (skills.length >= limits.listEntries || !isWithinBytes(text, bytesLeft)) return skills;
      bytesLeft -= text.length;
      const shown = await shownSkill(request, session, skill);
      if (shown !== undefined) skills.push(shown);
    }
    if (typeof page.nextCursor !== "string" || page.nextCursor === cursor) break;
    cursor = page.nextCursor;
  }
  return skills;
}

/** Returns a skill with the client's addresses; `undefined` if the client may not read its `SKILL.md`. */
async function shownSkill(
  request: ViewRequest,
  session: ManagedSession,
  skill: JsonObject,
): Promise<JsonObject | undefined> {
  const uri = await shownUri(request, session, skill.uri);
  if (uri === undefined) return undefined;
  const given = Array.isArray(skill.resources) ? skill.resources.filter(isObject) : [];
  const resources = await Promise.all(given.map(async (file) => {
    const uri = await shownUri(request, session, file.uri);
    return uri === undefined ? [] : [{ ...file, uri }];
  }));
  return { ...skill, uri, ...skill.resources !== undefined && { resources: resources.flat() } };
}

/** Returns the client's address of an upstream's file; `undefined` if the client may not know it. */
async function shownUri(
  { exchange: { mayUse, principal }, settings: { policies }, addresses }: ViewRequest,
  { name: upstream }: ManagedSession,
  own: unknown,
): Promise<string | undefined> {
  if (typeof own !== "string") return undefined;
  if (policies.rulesOf(principal, upstream)?.resources.allows(own) === false) return undefined;
  const uri = addresses === undefined ? own : addresses.qualified({ upstream, uri: own });
  if (uri === undefined || mayUse === undefined) return uri;
  return await mayUse("resources/read", uri) ? uri : undefined;
}

async function getSkill(request: ViewRequest, { params }: Sent): Promise<JsonObject> {
  const { session, uri } = await find(request, params.uri, "Skill not found");
  const result = await passed(request, session, { ...params, uri }, "Skill not found");
  const skill = isObject(result.skill) && await shownSkill(request, session, result.skill);
  if (!isObject(skill)) throw unknown("Skill not found", params.uri);
  return { ...result, skill };
}

async function readDirectory(request: ViewRequest, { params }: Sent): Promise<JsonObject> {
  const { session, uri } = await find(request, params.uri, "Directory not found");
  const result = await passed(request, session, { ...params, uri }, "Directory not found");
  const given = Array.isArray(result.resources) ? result.resources.filter(isObject) : [];
  const resources = await Promise.all(given.map(async (entry) => {
    const uri = await shownUri(request, session, entry.uri);
    return uri === undefined ? [] : [{ ...entry, uri }];
  }));
  // What is hidden as a whole looks like what doesn't exist
  const shown = resources.flat();
  if (given.length > 0 && shown.length === 0) throw unknown("Directory not found", params.uri);
  return { ...result, resources: shown };
}

/**
 * Finds the upstream of an address, and the address there.
 *
 * @throws {McpError} If there is none that the principal may know
 */
async function find(
  request: ViewRequest,
  address: unknown,
  message: string,
): Promise<{ readonly session: ManagedSession; readonly uri: string }> {
  const { exchange, sessions, addresses } = request;
  if (typeof address !== "string") {
    throw new McpError(ErrorCode.InvalidParams, 'Give a string as "uri"');
  }
  const [only] = sessions.names;
  const own = addresses === undefined
    ? only === undefined ? undefined : { upstream: only, uri: address }
    : addresses.split(address);
  const isKnown = own !== undefined && sessions.namesFor(exchange.principal).includes(own.upstream);
  const session = isKnown ? sessions.get(own.upstream) : undefined;
  if (own === undefined || session === undefined) throw unknown(message, address);
  const facts = await session.ensureOpen(exchange);
  // A directory may hold what the policy allows, whatever it says about the directory itself
  if (!hasSkills(facts.capabilities)) throw unknown(message, address);
  return { session, uri: own.uri };
}

/** Sends a request to its upstream. What that doesn't know is unknown in the client's words. */
async function passed(
  request: ViewRequest,
  session: ManagedSession,
  params: JsonObject,
  message: string,
): Promise<JsonObject> {
  try {
    return await relay(request, session, params);
  } catch (error) {
    const isUnknown = error instanceof McpError && error.code === ErrorCode.InvalidParams;
    throw isUnknown ? unknown(message, request.exchange.params.uri) : error;
  }
}

function unknown(message: string, uri: unknown): McpError {
  return new McpError(ErrorCode.InvalidParams, message, { uri });
}
