/**
 * Merges the lists of all upstreams, cuts them into pages, and finds the upstream of a resource.
 *
 * @module
 */
import { ErrorCode, type Exchange, type JsonObject, McpError } from "../../../mod.ts";
import { entryFor } from "../../kit.ts";
import { LateError } from "../session/in_time.ts";
import { SignInRequiredError } from "../shared/sign_in_required.ts";
import { connectTool } from "./connect_tool.ts";
import type { UpstreamList } from "../session/list_cache.ts";
import type { ListContext } from "../session/upstream_lists.ts";
import type { UpstreamSessions } from "../session/upstream_sessions.ts";
import { matchedStart } from "../shared/known_items.ts";
import { type ListFacts, type ListKind, LISTS } from "../shared/list_kinds.ts";
import { type Addresses, isAlwaysQualified, isWebAddress, templateStart } from "./addresses.ts";

/**
 * Merges one list of all upstreams, in the order of the upstreams. Omits upstreams whose list can't be
 * had in time. Resources and templates get the addresses by which the client finds them again.
 *
 * @param addresses Keeps addresses apart; `undefined` where one upstream is served alone
 * @throws {McpError} If no upstream's list can be fetched
 * @throws {AbortSignal["reason"]} If the signal of the context aborts
 */
export async function mergedList(
  sessions: UpstreamSessions,
  kind: ListKind,
  context: ListContext,
  addresses?: Addresses,
): Promise<readonly JsonObject[]> {
  const { lists, signIns } = await listsInTime(sessions, kind, context);
  const { prefixed, id, method } = LISTS[kind];
  if (prefixed || addresses === undefined) {
    const entries = lists.flatMap(({ entries }) => entries);
    if (kind !== "tools" || signIns.length === 0) return entries;
    return [...entries, ...signIns.map((name) => connectTool(sessions, name))];
  }
  const holderOf = holders(lists, kind);
  const web = new Set<string>();
  return lists.flatMap(({ name: upstream, entries }) => {
    const shown = entries.flatMap((entry): JsonObject | readonly never[] => {
      const uri = String(entry[id]);
      if (isWebAddress(uri)) {
        if (web.has(uri)) return [];
        web.add(uri);
        return entry;
      }
      const isOwn = !isAlwaysQualified(uri) && holderOf(uri) === upstream &&
        addresses.split(uri) === undefined && sessions.addresses.claim(uri, upstream);
      if (isOwn) return entry;
      const address = addresses.qualified({ upstream, uri });
      return address === undefined ? [] : { ...entry, [id]: address };
    });
    const count = entries.length - shown.length;
    if (count > 0 && sessions.lists.isFirstReport(entries)) {
      const reason = "duplicate";
      sessions.report({ type: "upstream-entries-dropped", upstream, list: method, reason, count });
    }
    return shown;
  });
}

/** Returns a function that tells which upstream has an address or template; `undefined` for several. */
function holders(lists: Lists["lists"], kind: ListKind): (uri: string) => string | undefined {
  const { id } = LISTS[kind];
  const keyOf = (uri: string) => kind === "templates" ? templateStart(uri) : uri;
  const known = new Map<string, string | undefined>();
  for (const { name, entries } of lists) {
    for (const { [id]: uri } of entries) {
      const key = keyOf(String(uri));
      known.set(key, !known.has(key) || known.get(key) === name ? name : undefined);
    }
  }
  return (uri) => known.get(keyOf(uri));
}

/** One list of each upstream that gave it. */
export interface Lists {
  readonly lists: { readonly name: string; readonly entries: UpstreamList }[];
  /** The names of the upstreams whose list isn't there. */
  readonly missing: readonly string[];
  /** The names of those among them at which the user has to sign in first. */
  readonly signIns: readonly string[];
  /** Whether more of them may come later. */
  readonly isPartial: boolean;
}

/** Options for {@linkcode listsInTime}. */
interface ListsOptions {
  /** The names of the upstreams; by default all whose list the client sees. */
  readonly names?: readonly string[];
  /** Whether to wait for those that may come later. */
  readonly waits?: boolean;
  /** Whether there may be no list at all. */
  readonly mayBeNone?: boolean;
}

/**
 * Fetches one list of several upstreams, without those that fail or aren't there in time.
 *
 * @throws {McpError} If no upstream's list can be fetched, unless there may be none
 * @throws {AbortSignal["reason"]} If the signal of the context aborts
 */
export async function listsInTime(
  sessions: UpstreamSessions,
  kind: ListKind,
  context: ListContext,
  { names: wanted = sessions.listed(kind), waits = false, mayBeNone = false }: ListsOptions = {},
): Promise<Lists> {
  const permitted = new Set(sessions.namesFor(context.principal));
  const names = wanted.filter((name) => permitted.has(name));
  const settled = await Promise.allSettled(names.map(async (name) => {
    try {
      return await sessions.lists.getInTime(name, kind, context);
    } catch (error) {
      if (!waits || !(error instanceof LateError)) throw error;
      return await sessions.lists.get(name, kind, context);
    }
  }));
  context.signal.throwIfAborted();
  const lists = settled.flatMap((outcome, index) => {
    const name = names[index];
    if (name === undefined || outcome.status === "rejected") return [];
    return [{ name, entries: outcome.value }];
  });
  const signIns = names.filter((_, index) => isSignIn(settled[index]));
  const [first] = settled;
  const isPartial = settled.some((outcome) =>
    outcome.status === "rejected" && outcome.reason instanceof LateError
  );
  const isNone = lists.length === 0 && signIns.length === 0 && !mayBeNone;
  if (isNone && first?.status === "rejected") throw first.reason;
  const missing = names.filter((_, index) => settled[index]?.status === "rejected");
  return { lists, missing, signIns, isPartial };
}

function isSignIn(outcome: PromiseSettledResult<unknown> | undefined): boolean {
  return outcome?.status === "rejected" && outcome.reason instanceof SignInRequiredError;
}

/**
 * Returns the page of a list that a request asks for, with what the client's version knows.
 *
 * @throws {McpError} With -32602, if the cursor is invalid
 */
export function pageOf(
  { params: { cursor }, pageSize, protocolVersion }: Exchange,
  { key, letter }: ListFacts,
  entries: readonly JsonObject[],
): JsonObject {
  const start = cursor === undefined ? 0 : offsetOf(cursor, letter);
  const end = start + pageSize;
  const shown = entries.slice(start, end).map((entry) => entryFor(protocolVersion, key, entry));
  const page = { [key]: shown };
  return end < entries.length ? { ...page, nextCursor: btoa(`${letter}.${end}`) } : page;
}

function offsetOf(cursor: unknown, letter: string): number {
  if (typeof cursor === "string" && cursor.length <= 32) {
    const offset = Number(/^([a-z])\.([1-9]\d{0,14})$/.exec(decode(cursor))?.[2]);
    if (btoa(`${letter}.${offset}`) === cursor) return offset;
  }
  throw new McpError(ErrorCode.InvalidParams, "Give the cursor of an earlier page, or none");
}

function decode(cursor: string): string {
  try {
    return atob(cursor);
  } catch {
    return "";
  }
}

/** What a URI is wanted for. Only a reference may be a template. */
export type UriUse = "read" | "subscribe" | "reference";

/**
 * Finds the upstream that a URI belongs to: the only one that lists it, otherwise the one whose template
 * matches the longest start of it, otherwise the only upstream. What several have belongs to none, except
 * for addresses of the web: those belong to the first. Waits for upstreams that are slow if no other has
 * it. One whose list isn't there has what it has listed before.
 *
 * @param uri The URI; `undefined` for one that no upstream has
 * @throws {McpError} If there is none
 */
export async function upstreamOfUri(
  sessions: UpstreamSessions,
  uri: string | undefined,
  context: ListContext,
  use: UriUse = "read",
): Promise<string> {
  const [only, ...others] = sessions.namesFor(context.principal);
  for (const waits of [false, true]) {
    const find = (kind: "resources" | "templates", lists: Lists) =>
      uri === undefined ? [] : namesWith(sessions, kind, lists, { uri, context, use });
    const resources = await listsInTime(sessions, "resources", context, { waits });
    const listed = find("resources", resources);
    if (listed.length > 0) return oneOf(uri, listed);
    const templates = await listsInTime(sessions, "templates", context, { waits });
    const matching = find("templates", templates);
    if (matching.length > 0) return oneOf(uri, matching);
    if (!resources.isPartial && !templates.isPartial) break;
  }
  if (only !== undefined && others.length === 0 && mayPass(sessions, only, uri, context, use)) {
    return only;
  }
  throw notListed();
}

/** Returns the upstream of a URI out of those that have it. */
function oneOf(uri: string | undefined, [first, ...others]: readonly string[]): string {
  const isClear = others.length === 0 || (uri !== undefined && isWebAddress(uri));
  if (first === undefined || !isClear) throw notListed();
  return first;
}

function notListed(): McpError {
  return new McpError(ErrorCode.ResourceNotFound, "Give the URI of a resource that is listed");
}

/** A URI that is looked for, by whom, and what for. */
interface WantedUri {
  readonly uri: string;
  readonly context: ListContext;
  readonly use: UriUse;
}

/** Returns the upstreams that list a URI, or whose templates match the longest start of it. */
function namesWith(
  sessions: UpstreamSessions,
  kind: "resources" | "templates",
  { lists, missing }: Lists,
  wanted: WantedUri,
): readonly string[] {
  const { names, known } = sessions;
  const { uri } = wanted;
  const longest = new Map<string, number>();
  for (const { name, entries } of lists) {
    const isListed = () => entries.some((entry) => entry.uri === uri);
    const length = kind === "templates"
      ? templateMatch(sessions, name, entries, wanted)
      : isListed()
      ? Infinity
      : -1;
    longest.set(name, length);
  }
  for (const name of missing) {
    const own = [...known.names(name, kind)];
    const length = kind === "templates"
      ? longestMatch(own, uri).length
      : own.includes(uri)
      ? Infinity
      : -1;
    // What others have listed says nothing about what this principal may use.
    if (mayPass(sessions, name, uri, wanted.context, wanted.use)) longest.set(name, length);
  }
  const most = Math.max(...longest.values(), -1);
  return most < 0 ? [] : names.filter((name) => longest.get(name) === most);
}

/** Returns the length of the start of a URI that a template of an upstream matches; -1 if none may. */
function templateMatch(
  { lists, settings: { policies } }: UpstreamSessions,
  upstream: string,
  entries: UpstreamList,
  { uri, context: { principal }, use }: WantedUri,
): number {
  const { template, length } = longestMatch(entries.map(({ uriTemplate }) => uriTemplate), uri);
  const rules = policies.rulesOf(principal, upstream);
  if (rules === undefined || length < 0) return length;
  // It belongs to a template that is withheld.
  if (longestMatch(lists.withheldTemplates(entries), uri).length >= length) return -1;
  const isTemplate = use === "reference" && template === uri;
  if (!isTemplate && !rules.resources.allows(uri)) return -1;
  return length;
}

/**
 * Tells whether the policy lets a principal use a URI of an upstream, by the address that the upstream
 * knows.
 *
 * @throws {McpError} If the upstream has rules for some of its resources, and can't list them
 */
export async function isPermittedUri(
  sessions: UpstreamSessions,
  upstream: string,
  uri: string,
  context: ListContext,
  use: UriUse,
): Promise<boolean> {
  const rules = sessions.settings.policies.rulesOf(context.principal, upstream);
  if (rules === undefined) return true;
  if (rules.isClosed) return false;
  if (!rules.resources.restricts && !rules.templates.restricts) return true;
  const listed = await sessions.lists.get(upstream, "resources", context);
  if (listed.some((entry) => entry.uri === uri)) return true;
  const templates = await sessions.lists.get(upstream, "templates", context);
  return templateMatch(sessions, upstream, templates, { uri, context, use }) >= 0 ||
    mayPass(sessions, upstream, uri, context, use);
}

/** Tells whether the policy lets a URI pass to an upstream that doesn't list it. */
function mayPass(
  { settings: { policies } }: UpstreamSessions,
  upstream: string,
  uri: string | undefined,
  { principal }: ListContext,
  use: UriUse,
): boolean {
  const rules = policies.rulesOf(principal, upstream);
  if (rules === undefined || uri === undefined) return true;
  const { resources, templates } = rules;
  // It may belong to a template that is withheld; and upstreams accept subscriptions to anything.
  if (templates.restricts || (use !== "read" && resources.restricts)) return false;
  return resources.allows(uri);
}

/** Returns the template that matches the longest start of a URI, and its length; -1 if none does. */
function longestMatch(
  templates: readonly unknown[],
  uri: string,
): { readonly template: unknown; readonly length: number } {
  let best = { template: undefined as unknown, length: -1 };
  for (const template of templates) {
    const length = matchedStart(template, uri);
    if (length > best.length) best = { template, length };
  }
  return best;
}
