/**
 * Offers two tools in place of many: one that finds the others, and one that calls them.
 *
 * @module
 */
import type { Exchange, JsonObject } from "../../../mod.ts";
import { clip, entryFor, isObject, quote, unknownTool } from "../../kit.ts";
import type { ListContext } from "../session/upstream_lists.ts";
import type { UpstreamSessions } from "../session/upstream_sessions.ts";
import { LISTS } from "../shared/list_kinds.ts";
import { listsInTime } from "./merged_lists.ts";
import { rankTools } from "./ranking.ts";

/** The name of the tool that finds others, and the one that calls them. */
const SEARCH = "search_tools";
const CALL = "call_tool";

/** The most tools that one search reads. The servers that have more are named. */
const MAX_TOOLS = 10_000;
/** The most tools in one result, with their schemas and without. */
const MAX_FOUND = 50;
const MAX_NAMES = 200;
/** How many tools are returned if the arguments don't say it. */
const USUAL_FOUND = 5;
/** The most characters of one result, unless its first tool alone has more. */
const MAX_RESULT = 65_536;
/** The most characters of a description where tools are only named, and of the names of servers. */
const MAX_LINE = 100;
const MAX_SERVERS = 2000;

/** Names what of a tool's definition a model needs. */
const SHOWN = ["name", "title", "description", "inputSchema", "annotations"] as const;

/** What a view offers in place of its tools. */
export interface ToolSearch {
  /** Whether all tools are found in place of being listed, and not only those of lazy upstreams. */
  readonly replacesAll: boolean;
  /** Whether the view serves a single upstream. */
  readonly isOnly: boolean;
}

/** A request to the tools that find and call others. */
export interface ToolSearchRequest {
  readonly exchange: Exchange;
  readonly sessions: UpstreamSessions;
  readonly search: ToolSearch;
  readonly context: ListContext;
}

/** Tells whether a name is that of a tool that finds or calls others. */
export function isSearchTool(name: unknown): boolean {
  return name === SEARCH || name === CALL;
}

/** Returns the parameters of the call that a call of `call_tool` stands for. */
export function callWithin(params: JsonObject): JsonObject | undefined {
  if (params.name !== CALL || !isObject(params.arguments)) return undefined;
  const { name, arguments: args = {} } = params.arguments;
  // A tool of the same name as these two can't be called here.
  if (typeof name !== "string" || isSearchTool(name) || !isObject(args)) return undefined;
  return { ...params, name, arguments: args };
}

/** Returns the definitions of the two tools, with the names of the servers that the principal may see. */
export async function searchTools(request: ToolSearchRequest): Promise<readonly JsonObject[]> {
  const { search: { replacesAll, isOnly } } = request;
  const scope = replacesAll ? "the tools of this server" : "tools that aren't listed";
  const names = isOnly ? [] : await visibleServers(request);
  const servers = names.length === 0 ? "" : ` Servers: ${clip(names.join(", "), MAX_SERVERS)}.`;
  return [
    {
      name: SEARCH,
      description:
        `Finds ${scope} by what they do: returns the best with their input schemas, to ` +
        `call with ${CALL}. Without a query, returns names only.${servers}`,
      inputSchema: {
        type: "object",
        properties: {
          query: { type: "string", description: "Words about the task, or a tool's name" },
          ...!isOnly && {
            server: { type: "string", description: "Searches this server only" },
          },
          limit: { type: "integer", minimum: 1, maximum: MAX_FOUND, default: USUAL_FOUND },
        },
      },
      annotations: { readOnlyHint: true },
    },
    {
      name: CALL,
      description: `Calls a tool that ${SEARCH} has found.`,
      inputSchema: {
        type: "object",
        properties: {
          name: { type: "string", description: "The tool's name, as found" },
          arguments: { type: "object", description: "Arguments by the tool's input schema" },
        },
        required: ["name"],
      },
    },
  ];
}

/** Answers a call of one of the two tools. Calls that stand for others don't come here. */
export async function answerSearchTool(request: ToolSearchRequest): Promise<JsonObject> {
  const { params: { name, arguments: args = {} } } = request.exchange;
  if (!isObject(args)) return failed('Give an object as "arguments"');
  if (name !== CALL) return await search(request, args);
  if (typeof args.name !== "string") return failed(`Fix "name": give a name that ${SEARCH} found`);
  if (isSearchTool(args.name)) throw unknownTool(args.name);
  return failed('Fix "arguments": give an object');
}

async function search(request: ToolSearchRequest, args: JsonObject): Promise<JsonObject> {
  const { query = "", server, limit = USUAL_FOUND } = args;
  if (typeof query !== "string") return failed('Fix "query": give a string');
  if (server !== undefined && typeof server !== "string") {
    return failed('Fix "server": give a string');
  }
  if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1 || limit > MAX_FOUND) {
    return failed(`Fix "limit": give a whole number from 1 to ${MAX_FOUND}`);
  }
  const found = server === undefined
    ? await searchable(request)
    : await searchableIn(request, server);
  if (found === undefined) return failed(`Unknown server: ${quote(String(server))}`);
  const { tools, notSearched } = found;
  const isNamed = query.trim() === "";
  const fitting = isNamed ? tools : rankTools(tools, query);
  const most = isNamed && args.limit === undefined ? MAX_NAMES : limit;
  const shown = within(
    fitting.slice(0, most).map((tool) => isNamed ? nameOnly(tool) : definition(request, tool)),
  );
  const more = fitting.length - shown.length;
  const result = {
    tools: shown,
    ...more > 0 && { more },
    ...notSearched.length > 0 && { notSearched },
  };
  return { content: [{ type: "text", text: JSON.stringify(result) }] };
}

/** The tools that a search may find. */
interface Searchable {
  readonly tools: readonly JsonObject[];
  /** The names of the servers whose tools a search finds only if it names them. */
  readonly notSearched: readonly string[];
}

/** Returns the visible tools of all servers that run, as far as their lists are there in time. */
async function searchable(request: ToolSearchRequest): Promise<Searchable> {
  const { sessions, search: { replacesAll }, context } = request;
  const servers = searchedServers(request);
  const dormant = servers.filter((name) => sessions.isDormant(name));
  const names = servers.filter((name) =>
    !sessions.isDormant(name) && (replacesAll || sessions.isLazy(name))
  );
  const { lists } = await listsInTime(sessions, "tools", context, { names });
  const tools: JsonObject[] = [];
  const tooMany: string[] = [];
  for (const { name, entries } of lists) {
    const visible = await visibleIn(request, entries);
    if (tools.length + visible.length > MAX_TOOLS) tooMany.push(name);
    else tools.push(...visible);
  }
  return { tools, notSearched: [...dormant, ...tooMany] };
}

/** Returns the visible tools of one server, and starts it if needed; `undefined` if it isn't known. */
async function searchableIn(
  request: ToolSearchRequest,
  server: string,
): Promise<Searchable | undefined> {
  const { exchange, sessions, context, search: { isOnly } } = request;
  if (isOnly || !searchedServers(request).includes(server)) return undefined;
  // The names of lazy servers are shown to everybody.
  const mayBeHidden = exchange.mayUse !== undefined && !sessions.isLazy(server);
  let entries: readonly JsonObject[];
  try {
    entries = await sessions.lists.get(server, "tools", context);
  } catch (error) {
    if (!mayBeHidden) throw error;
    context.signal.throwIfAborted();
    return undefined;
  }
  const tools = (await visibleIn(request, entries)).slice(0, MAX_TOOLS);
  return tools.length === 0 && mayBeHidden ? undefined : { tools, notSearched: [] };
}

/** Names the servers of which the policy lets the principal use any tool. */
function searchedServers({ sessions, context: { principal } }: ToolSearchRequest) {
  const { settings: { policies } } = sessions;
  return sessions.names.filter((name) =>
    policies.rulesOf(principal, name)?.tools.isClosed !== true
  );
}

/** Names the servers that a search covers, without those of which the principal may see nothing. */
async function visibleServers(request: ToolSearchRequest): Promise<readonly string[]> {
  const { exchange: { mayUse }, sessions, search: { replacesAll }, context } = request;
  const covered = searchedServers(request).filter((name) => replacesAll || sessions.isLazy(name));
  if (mayUse === undefined) return covered;
  const names = covered.filter((name) => !sessions.isLazy(name));
  const { lists } = await listsInTime(sessions, "tools", context, { names, mayBeNone: true });
  const visible = new Set<string>();
  for (const { name, entries } of lists) {
    if ((await visibleIn(request, entries)).length > 0) visible.add(name);
  }
  return covered.filter((name) => sessions.isLazy(name) || visible.has(name));
}

/** Returns the tools that the principal may see, without those that these two tools hide. */
async function visibleIn(
  { exchange: { mayUse } }: ToolSearchRequest,
  entries: readonly JsonObject[],
): Promise<readonly JsonObject[]> {
  const tools = entries.filter(({ name }) => !isSearchTool(name));
  if (mayUse === undefined) return tools;
  const verdicts = await Promise.all(
    tools.map(({ name }) => typeof name === "string" && mayUse("tools/call", name)),
  );
  return tools.filter((_, index) => verdicts[index] === true);
}

/** Returns what a model needs to call a tool, in the words of the client's version. */
function definition({ exchange }: ToolSearchRequest, tool: JsonObject): JsonObject {
  const entry = entryFor(exchange.protocolVersion, LISTS.tools.key, tool);
  return Object.fromEntries(
    SHOWN.filter((key) => entry[key] !== undefined).map((key) => [key, entry[key]]),
  );
}

function nameOnly({ name, description }: JsonObject): JsonObject {
  if (typeof description !== "string") return { name };
  const [line = ""] = description.trimStart().split("\n");
  return { name, description: clip(line, MAX_LINE) };
}

/** Returns as many entries as one result may have, at least one. */
function within(entries: readonly JsonObject[]): readonly JsonObject[] {
  let length = 0;
  const end = entries.findIndex((entry, index) => {
    length += JSON.stringify(entry).length;
    return index > 0 && length > MAX_RESULT;
  });
  return end < 0 ? entries : entries.slice(0, end);
}

/** A mistake in the arguments, which a model can mend. */
function failed(text: string): JsonObject {
  return { content: [{ type: "text", text }], isError: true };
}
