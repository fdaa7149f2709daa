/**
 * Passes on what clients and upstreams say about extensions (2026-07-28, Extensions).
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject } from "../../kit.ts";

/** The most extensions of one side, and the characters of their settings as JSON. */
const MAX_EXTENSIONS = 32;
const MAX_CHARACTERS = 8192;

/** Identifies MCP Apps. */
const UI = "io.modelcontextprotocol/ui";

/** Identifies the Tasks extension. */
export const TASKS = "io.modelcontextprotocol/tasks";

/** Identifies the Skills extension. */
export const SKILLS = "io.modelcontextprotocol/skills";

/**
 * The extensions that say how clients are authorized (ext-auth): between client and gateway, and between
 * gateway and upstream, that is each time another matter.
 */
const AUTHORIZATION: readonly string[] = [
  "io.modelcontextprotocol/oauth-client-credentials",
  "io.modelcontextprotocol/enterprise-managed-authorization",
];

/** The extensions that upstreams aren't told a client has. */
const NOT_FOR_UPSTREAMS: ReadonlySet<string> = new Set([TASKS, ...AUTHORIZATION]);

/** The extensions that clients of a merged view don't get. */
const NOT_FOR_CLIENTS: ReadonlySet<string> = new Set([TASKS, SKILLS, ...AUTHORIZATION]);

/**
 * Returns the extensions of a client that its upstreams get; `undefined` if there is none, or if there are
 * too many or too large ones.
 */
export function extensionsForUpstreams(given: unknown): JsonObject | undefined {
  return within(given, NOT_FOR_UPSTREAMS);
}

/** What one upstream says about its extensions. */
export interface UpstreamExtensions {
  readonly name: string;
  /** Its extensions; `undefined` for an upstream that has none. */
  readonly extensions: unknown;
  /** Whether it could not be asked. */
  readonly isUnknown?: boolean;
}

/** An extension that upstreams offer, and clients of all of them don't get. */
export interface WithheldExtension {
  readonly extension: string;
  /** The upstreams that offer it. */
  readonly upstreams: readonly string[];
  /** Whether their settings differ, or another upstream doesn't have it. */
  readonly reason: "settings" | "missing";
}

/** What clients of several upstreams get of their extensions. */
export interface MergedExtensions {
  /** The extensions with their settings; `undefined` if there are none. */
  readonly offered: JsonObject | undefined;
  readonly withheld: readonly WithheldExtension[];
}

/** What the settings of those that offer an extension become; `undefined` if they can't be combined. */
type Merge = (all: readonly JsonObject[]) => JsonObject | undefined;

/**
 * How extensions are combined that mean something where only some upstreams have them: what they are about
 * belongs to single tools.
 */
const MERGES: ReadonlyMap<string, Merge> = new Map([[UI, mergedMediaTypes]]);

/**
 * Combines the extensions of upstreams. Nobody knows what an extension is about that isn't known here: it is
 * offered if all upstreams have it, with equal settings.
 */
export function mergeExtensions(all: readonly UpstreamExtensions[]): MergedExtensions {
  const offers = new Map<string, { readonly name: string; readonly settings: JsonObject }[]>();
  for (const { name, extensions } of all) {
    for (const [id, settings] of Object.entries(within(extensions, NOT_FOR_CLIENTS) ?? {})) {
      if (!isObject(settings)) continue;
      offers.set(id, [...offers.get(id) ?? [], { name, settings }]);
    }
  }
  const isUnknown = all.some((each) => each.isUnknown === true);
  const offered: [string, JsonObject][] = [];
  const withheld: WithheldExtension[] = [];
  for (const [extension, given] of offers) {
    const merge = MERGES.get(extension);
    const isEverywhere = merge !== undefined || given.length === all.length;
    const merged = (merge ?? equalSettings)(given.map(({ settings }) => settings));
    const upstreams = given.map(({ name }) => name);
    if (merged === undefined) withheld.push({ extension, upstreams, reason: "settings" });
    else if (isEverywhere) offered.push([extension, merged]);
    // One that can't be reached may have it
    else if (!isUnknown) withheld.push({ extension, upstreams, reason: "missing" });
  }
  return {
    offered: offered.length === 0 ? undefined : within(Object.fromEntries(offered), NONE),
    withheld,
  };
}

const NONE: ReadonlySet<string> = new Set();

/** Returns the settings if they are equal. */
function equalSettings([first, ...others]: readonly JsonObject[]): JsonObject | undefined {
  return first !== undefined && others.every((other) => isEqual(first, other)) ? first : undefined;
}

/** Combines the media types of the pages of apps: each tool's page has its own. */
function mergedMediaTypes(all: readonly JsonObject[]): JsonObject | undefined {
  const types = all.map(({ mimeTypes }) => mimeTypes);
  if (!types.every(Array.isArray)) return equalSettings(all);
  const mimeTypes = [...new Set(types.flat())];
  return equalSettings(all.map((settings) => ({ ...settings, mimeTypes })));
}

/** Tells whether two JSON values are equal, in any order of members. */
function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one, sorted) === JSON.stringify(other, sorted);
}

function sorted(_key: string, value: unknown): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}

function within(given: unknown, left: ReadonlySet<string>): JsonObject | undefined {
  if (!isObject(given)) return undefined;
  const passed = Object.entries(given)
    .filter(([id, settings]) => isObject(settings) && !left.has(id));
  if (passed.length === 0 || passed.length > MAX_EXTENSIONS) return undefined;
  const extensions = Object.fromEntries(passed);
  return JSON.stringify(extensions).length > MAX_CHARACTERS ? undefined : extensions;
}
