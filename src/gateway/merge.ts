/**
 * The lists of all upstreams as one, and which upstream something is of.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Errand } from "./link.ts";
import type { Links } from "./links.ts";
import { type ListKind, LISTS } from "./list_kinds.ts";

/**
 * A list of all upstreams, in their order. One that can't be had is left out, unless none can. What
 * two upstreams have under the same URI is the first one's.
 *
 * @throws {McpError} If no upstream's list can be had
 * @throws {AbortSignal["reason"]} When the errand's signal aborts
 */
export async function mergedList(
  links: Links,
  kind: ListKind,
  errand: Errand,
): Promise<readonly JsonObject[]> {
  const lists = await settledLists(links, kind, errand);
  const { prefixed, id, method } = LISTS[kind];
  const all = lists.flatMap(({ entries }) => entries);
  if (prefixed || lists.length < 2) return all;
  const seen = new Set<unknown>();
  return lists.flatMap(({ name, entries }) => {
    const own = entries.filter((entry) => !seen.has(entry[id]));
    const count = entries.length - own.length;
    for (const entry of own) seen.add(entry[id]);
    if (count > 0 && links.first(entries)) {
      const reason = "duplicate";
      links.report({
        type: "upstream-entries-dropped",
        upstream: name,
        list: method,
        reason,
        count,
      });
    }
    return own;
  });
}

/** The lists that can be had, in the order of their upstreams. */
async function settledLists(
  links: Links,
  kind: ListKind,
  errand: Errand,
): Promise<{ readonly name: string; readonly entries: readonly JsonObject[] }[]> {
  const { names } = links;
  const settled = await Promise.allSettled(names.map((name) => links.list(name, kind, errand)));
  errand.signal.throwIfAborted();
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
 * The upstream that a URI belongs to: the first that lists it, else the one with the template that
 * says most about how it begins, else the only one that there is.
 *
 * @throws {McpError} If it is nobody's
 */
export async function upstreamOf(links: Links, uri: string, errand: Errand): Promise<string> {
  const listed = (await settledLists(links, "resources", errand))
    .find(({ entries }) => entries.some((entry) => entry.uri === uri));
  if (listed !== undefined) return listed.name;
  const templates = await settledLists(links, "templates", errand);
  let best: string | undefined;
  let most = -1;
  for (const { name, entries } of templates) {
    for (const { uriTemplate } of entries) {
      const length = sharedStart(uriTemplate, uri);
      if (length > most) [best, most] = [name, length];
    }
  }
  const [only, ...others] = links.names;
  const found = best ?? (others.length === 0 ? only : undefined);
  if (found !== undefined) return found;
  throw new McpError(ErrorCode.ResourceNotFound, "Give the URI of a resource that is listed");
}

/** How much a template fixes of how a URI begins: -1 when the URI doesn't fit. */
function sharedStart(template: unknown, uri: string): number {
  if (typeof template !== "string") return -1;
  if (template === uri) return Infinity;
  const open = template.indexOf("{");
  const close = template.lastIndexOf("}");
  if (open < 0 || close < open) return -1;
  const tail = template.slice(close + 1);
  const fits = uri.startsWith(template.slice(0, open)) && uri.endsWith(tail) &&
    uri.length >= open + tail.length;
  return fits ? open : -1;
}
