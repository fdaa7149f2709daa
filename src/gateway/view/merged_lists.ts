/**
 * Merges the lists of all upstreams, cuts them into pages, and finds the upstream of a resource.
 *
 * @module
 */
import { entryFor } from "../../protocol/downgrade.ts";
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import { LateError } from "../session/in_time.ts";
import type { UpstreamList } from "../session/list_cache.ts";
import type { ListContext } from "../session/upstream_lists.ts";
import type { UpstreamSessions } from "../session/upstream_sessions.ts";
import { matchedStart } from "../shared/known_items.ts";
import { type ListFacts, type ListKind, LISTS } from "../shared/list_kinds.ts";
import { type Addresses, isAppAddress, isWebAddress, templateStart } from "./addresses.ts";

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
  const { lists } = await listsInTime(sessions, kind, context);
  const { prefixed, id, method } = LISTS[kind];
  if (prefixed || addresses === undefined) return lists.flatMap(({ entries }) => entries);
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
      const isOwn = !isAppAddress(uri) && holderOf(uri) === upstream &&
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

/** Holds one list of each upstream that gave it. */
export interface Lists {
  readonly lists: { readonly name: string; readonly entries: UpstreamList }[];
  /** Names the upstreams whose list isn't there. */
  readonly missing: readonly string[];
  /** Tells whether more of them may come later. */
  readonly isPartial: boolean;
}

/** Options for {@linkcode listsInTime}. */
interface ListsOptions {
  /** Names the upstreams; by default all whose list the client sees. */
  readonly names?: readonly string[];
  /** Tells whether to wait for those that may come later. */
  readonly waits?: boolean;
  /** Tells whether there may be no list at all. */
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
  { names = sessions.listed(kind), waits = false, mayBeNone = false }: ListsOptions = {},
): Promise<Lists> {
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
  const [first] = settled;
  const isPartial = settled.some((outcome) =>
    outcome.status === "rejected" && outcome.reason instanceof LateError
  );
  if (lists.length === 0 && first?.status === "rejected" && !mayBeNone) throw first.reason;
  const missing = names.filter((_, index) => settled[index]?.status === "rejected");
  return { lists, missing, isPartial };
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
): Promise<string> {
  const { names: [only, ...others] } = sessions;
  for (const waits of [false, true]) {
    const resources = await listsInTime(sessions, "resources", context, { waits });
    const listed = uri === undefined ? [] : namesWith(sessions, "resources", resources, uri);
    if (listed.length > 0) return oneOf(uri, listed);
    const templates = await listsInTime(sessions, "templates", context, { waits });
    const matching = uri === undefined ? [] : namesWith(sessions, "templates", templates, uri);
    if (matching.length > 0) return oneOf(uri, matching);
    if (!resources.isPartial && !templates.isPartial) break;
  }
  if (only !== undefined && others.length === 0) return only;
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

/** Returns the upstreams that list a URI, or whose templates match the longest start of it. */
function namesWith(
  { names, known }: UpstreamSessions,
  kind: "resources" | "templates",
  { lists, missing }: Lists,
  uri: string,
): readonly string[] {
  const { id } = LISTS[kind];
  const closeness = kind === "resources"
    ? (own: unknown) => own === uri ? Infinity : -1
    : (own: unknown) => matchedStart(own, uri);
  const longest = new Map<string, number>();
  const add = (name: string, own: unknown) => {
    longest.set(name, Math.max(longest.get(name) ?? -1, closeness(own)));
  };
  for (const { name, entries } of lists) for (const entry of entries) add(name, entry[id]);
  for (const name of missing) for (const own of known.names(name, kind)) add(name, own);
  const most = Math.max(...longest.values(), -1);
  return most < 0 ? [] : names.filter((name) => longest.get(name) === most);
}
