/**
 * Merges the lists of all upstreams, cuts them into pages, and finds the upstream of a resource.
 *
 * @module
 */
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import type { RequestContext } from "../session/managed_session.ts";
import type { UpstreamSessions } from "../session/upstream_sessions.ts";
import { type ListFacts, type ListKind, LISTS } from "../shared/list_kinds.ts";

/**
 * Merges one list of all upstreams, in the order of the upstreams. Omits upstreams whose list can't be
 * fetched, and resources with a URI that an earlier upstream lists.
 *
 * @throws {McpError} If no upstream's list can be fetched
 * @throws {AbortSignal["reason"]} If the signal of the context aborts
 */
export async function mergedList(
  sessions: UpstreamSessions,
  kind: ListKind,
  context: RequestContext,
): Promise<readonly JsonObject[]> {
  const lists = await fetchedLists(sessions, kind, context);
  const { prefixed, id, method } = LISTS[kind];
  if (prefixed || lists.length < 2) return lists.flatMap(({ entries }) => entries);
  const seen = new Set<unknown>();
  return lists.flatMap(({ name: upstream, entries }) => {
    const own = entries.filter((entry) => !seen.has(entry[id]));
    const count = entries.length - own.length;
    for (const entry of own) seen.add(entry[id]);
    if (count > 0 && sessions.isFirstReport(entries)) {
      const reason = "duplicate";
      sessions.report({ type: "upstream-entries-dropped", upstream, list: method, reason, count });
    }
    return own;
  });
}

/** Fetches one list of all upstreams, without those that fail. */
async function fetchedLists(
  sessions: UpstreamSessions,
  kind: ListKind,
  context: RequestContext,
): Promise<{ readonly name: string; readonly entries: readonly JsonObject[] }[]> {
  const { names } = sessions;
  const settled = await Promise.allSettled(
    names.map((name) => sessions.list(name, kind, context)),
  );
  context.signal.throwIfAborted();
  const lists = settled.flatMap((outcome, index) => {
    const name = names[index];
    if (name === undefined || outcome.status === "rejected") return [];
    return [{ name, entries: outcome.value }];
  });
  const [first] = settled;
  if (lists.length === 0 && first?.status === "rejected") throw first.reason;
  return lists;
}

/**
 * Returns the page of a list that a request asks for.
 *
 * @throws {McpError} With -32602, if the cursor is invalid
 */
export function pageOf(
  { params: { cursor }, pageSize }: Exchange,
  { key, letter }: ListFacts,
  entries: readonly JsonObject[],
): JsonObject {
  const start = cursor === undefined ? 0 : offsetOf(cursor, letter);
  const end = start + pageSize;
  const page = { [key]: entries.slice(start, end) };
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
 * Finds the upstream that a URI belongs to: the first that lists it, otherwise the one whose template
 * matches the longest start of it, otherwise the only upstream.
 *
 * @throws {McpError} If there is none
 */
export async function upstreamOfUri(
  sessions: UpstreamSessions,
  uri: string,
  context: RequestContext,
): Promise<string> {
  const listed = (await fetchedLists(sessions, "resources", context))
    .find(({ entries }) => entries.some((entry) => entry.uri === uri));
  if (listed !== undefined) return listed.name;
  const templates = await fetchedLists(sessions, "templates", context);
  let best: string | undefined;
  let longest = -1;
  for (const { name, entries } of templates) {
    for (const { uriTemplate } of entries) {
      const length = matchedStart(uriTemplate, uri);
      if (length > longest) [best, longest] = [name, length];
    }
  }
  const [only, ...others] = sessions.names;
  const found = best ?? (others.length === 0 ? only : undefined);
  if (found !== undefined) return found;
  throw new McpError(ErrorCode.ResourceNotFound, "Give the URI of a resource that is listed");
}

/** Returns the length of a template's literal start if the URI matches the template, otherwise -1. */
function matchedStart(template: unknown, uri: string): number {
  if (typeof template !== "string") return -1;
  if (template === uri) return Infinity;
  const open = template.indexOf("{");
  const close = template.lastIndexOf("}");
  if (open < 0 || close < open) return -1;
  const tail = template.slice(close + 1);
  const matches = uri.startsWith(template.slice(0, open)) && uri.endsWith(tail) &&
    uri.length >= open + tail.length;
  return matches ? open : -1;
}
