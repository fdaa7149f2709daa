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

/**
 * Merges one list of all upstreams, in the order of the upstreams. Omits upstreams whose list can't be
 * had in time, and resources with a URI that an earlier upstream lists.
 *
 * @throws {McpError} If no upstream's list can be fetched
 * @throws {AbortSignal["reason"]} If the signal of the context aborts
 */
export async function mergedList(
  sessions: UpstreamSessions,
  kind: ListKind,
  context: ListContext,
): Promise<readonly JsonObject[]> {
  const { lists } = await listsInTime(sessions, kind, context);
  const { prefixed, id, method } = LISTS[kind];
  if (prefixed || lists.length < 2) return lists.flatMap(({ entries }) => entries);
  const seen = new Set<unknown>();
  return lists.flatMap(({ name: upstream, entries }) => {
    const own = entries.filter((entry) => !seen.has(entry[id]));
    const count = entries.length - own.length;
    for (const entry of own) seen.add(entry[id]);
    if (count > 0 && sessions.lists.isFirstReport(entries)) {
      const reason = "duplicate";
      sessions.report({ type: "upstream-entries-dropped", upstream, list: method, reason, count });
    }
    return own;
  });
}

/** Holds one list of each upstream that gave it. */
interface Lists {
  readonly lists: { readonly name: string; readonly entries: UpstreamList }[];
  /** Tells whether more of them may come later. */
  readonly isPartial: boolean;
}

/**
 * Fetches one list of all upstreams, without those that fail or aren't there in time.
 *
 * @param waits Whether to wait for those that may come later
 */
async function listsInTime(
  sessions: UpstreamSessions,
  kind: ListKind,
  context: ListContext,
  waits = false,
): Promise<Lists> {
  const names = sessions.namesFor(context.principal);
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
  if (lists.length === 0 && first?.status === "rejected") throw first.reason;
  return { lists, isPartial };
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

/** Says what a URI is wanted for. Only a reference may be a template. */
export type UriUse = "read" | "subscribe" | "reference";

/**
 * Finds the upstream that a URI belongs to: the first that lists it, otherwise the one whose template
 * matches the longest start of it, otherwise the only upstream. Waits for upstreams that are slow if no
 * other has it.
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
    const resources = await listsInTime(sessions, "resources", context, waits);
    const listed = resources.lists.find(({ entries }) =>
      uri !== undefined && entries.some((entry) => entry.uri === uri)
    );
    if (listed !== undefined) return listed.name;
    const templates = await listsInTime(sessions, "templates", context, waits);
    const matching = uri === undefined
      ? undefined
      : bestMatch(sessions, templates, uri, context, use);
    if (matching !== undefined) return matching;
    if (!resources.isPartial && !templates.isPartial) break;
  }
  if (only !== undefined && others.length === 0 && mayPass(sessions, only, uri, context, use)) {
    return only;
  }
  throw new McpError(ErrorCode.ResourceNotFound, "Give the URI of a resource that is listed");
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
  return resources.allowsUri(uri);
}

/** Returns the upstream whose template matches the longest start of a URI. */
function bestMatch(
  { lists: all, settings: { policies } }: UpstreamSessions,
  { lists }: Lists,
  uri: string,
  { principal }: ListContext,
  use: UriUse,
): string | undefined {
  let best: string | undefined;
  let longest = -1;
  for (const { name, entries } of lists) {
    const { template, length } = longestMatch(entries.map(({ uriTemplate }) => uriTemplate), uri);
    if (length <= longest) continue;
    const rules = policies.rulesOf(principal, name);
    if (rules !== undefined) {
      // It belongs to a template that is withheld.
      if (longestMatch(all.withheldTemplates(entries), uri).length >= length) continue;
      const isTemplate = use === "reference" && template === uri;
      if (!isTemplate && !rules.resources.allowsUri(uri)) continue;
    }
    [best, longest] = [name, length];
  }
  return best;
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
