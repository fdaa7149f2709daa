/**
 * Finds the tools that apps call: an app knows its server's own names, and its host sends them as they are
 * (MCP Apps, Standard MCP Messages).
 *
 * @module
 */
import { ErrorCode, type Exchange, type JsonObject, McpError } from "../../../mod.ts";
import { isObject } from "../../kit.ts";
import type { ListContext } from "../session/upstream_lists.ts";
import type { UpstreamSessions } from "../session/upstream_sessions.ts";
import type { Addresses } from "./addresses.ts";
import { listsInTime } from "./merged_lists.ts";

/** Who looks for a tool, and where. */
export interface AppToolInit {
  readonly exchange: Exchange;
  readonly sessions: UpstreamSessions;
  readonly locate: (
    name: string,
  ) => { readonly upstream: string; readonly name: string } | undefined;
  readonly addresses: Addresses | undefined;
}

/**
 * Returns the name in the view of the tool that an app calls by its server's own name. An upstream whose
 * list isn't there has the tools that it has listed before.
 *
 * @returns `undefined` if there is none that the principal may use, or another could be meant that it
 * may not use
 * @throws {McpError} With the names to choose from, if several servers have such a tool
 */
export async function findAppTool(
  { exchange: { mayUse }, sessions, locate, addresses }: AppToolInit,
  context: ListContext,
  name: string,
): Promise<string | undefined> {
  if (addresses === undefined) return undefined;
  const { lists, missing } = await listsInTime(sessions, "tools", context).catch((error) => {
    context.signal.throwIfAborted();
    if (!(error instanceof McpError)) throw error;
    return { lists: [], missing: sessions.namesFor(context.principal) };
  });
  const { settings: { policies } } = sessions;
  const isNamed = (shown: string) => {
    const found = locate(shown);
    const rules = found && policies.rulesOf(context.principal, found.upstream)?.tools;
    // An app knows no names but those of its server.
    if (rules === undefined) return found?.name === name;
    return rules.ownName(found?.name ?? "") === name && rules.allows(name);
  };
  const found = lists.flatMap(({ entries }) => {
    if (!entries.some(hasPage)) return [];
    return entries.filter(isForApps).map((tool) => String(tool.name)).filter(isNamed);
  });
  for (const upstream of missing) {
    found.push(...[...sessions.known.names(upstream, "tools")].filter(isNamed));
  }
  const verdicts = await Promise.all(found.map((shown) => mayUse?.("tools/call", shown) ?? true));
  if (!verdicts.every((verdict) => verdict)) return undefined;
  if (found.length < 2) return found[0];
  const names = found.map((shown) => `"${shown}"`).join(" or ");
  throw new McpError(ErrorCode.InvalidParams, `Call ${names}: several servers have such a tool`);
}

/** Tells whether a tool shows an app (MCP Apps, Resource Discovery). */
function hasPage({ _meta: meta }: JsonObject): boolean {
  if (!isObject(meta)) return false;
  return (isObject(meta.ui) && meta.ui.resourceUri !== undefined) ||
    meta["ui/resourceUri"] !== undefined;
}

/** Tells whether the apps of a tool's server may call it (MCP Apps, Visibility). */
function isForApps({ _meta: meta }: JsonObject): boolean {
  const { visibility } = isObject(meta) && isObject(meta.ui) ? meta.ui : {};
  return !Array.isArray(visibility) || visibility.includes("app");
}
