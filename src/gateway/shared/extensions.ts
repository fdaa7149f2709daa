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

/** The extensions that change the answers of requests in a way that the gateway doesn't pass on. */
const NOT_FOR_UPSTREAMS: ReadonlySet<string> = new Set(["io.modelcontextprotocol/tasks"]);

/** The extensions with methods that a merged view doesn't serve. */
const NOT_FOR_CLIENTS: ReadonlySet<string> = new Set([
  "io.modelcontextprotocol/tasks",
  "io.modelcontextprotocol/skills",
]);

/**
 * Returns the extensions of a client that its upstreams get; `undefined` if there is none, or if there are
 * too many or too large ones.
 */
export function extensionsForUpstreams(given: unknown): JsonObject | undefined {
  return within(given, NOT_FOR_UPSTREAMS);
}

/**
 * Returns the extensions that all upstreams offer with equal settings. Of the media types of MCP Apps, those
 * that all have: each is of use by itself.
 *
 * @param all What each upstream says; `undefined` for one that says nothing
 */
export function commonExtensions(all: readonly unknown[]): JsonObject | undefined {
  const [first, ...others] = all.map((given) => within(given, NOT_FOR_CLIENTS));
  if (first === undefined) return undefined;
  const common = Object.entries(first).flatMap(([id, settings]) => {
    const agreed = others.reduce<unknown>(
      (known, other) => agreement(id, known, other?.[id]),
      settings,
    );
    return agreed === undefined ? [] : [[id, agreed] as const];
  });
  return common.length === 0 ? undefined : Object.fromEntries(common);
}

/** Returns the settings of an extension that two servers agree on, if they do. */
function agreement(id: string, one: unknown, other: unknown): unknown {
  if (!isObject(one) || !isObject(other)) return undefined;
  if (id !== UI || !Array.isArray(one.mimeTypes) || !Array.isArray(other.mimeTypes)) {
    return isEqual(one, other) ? one : undefined;
  }
  const { mimeTypes: theirs } = other;
  const mimeTypes = one.mimeTypes.filter((type) => theirs.includes(type));
  const isAgreed = mimeTypes.length > 0 && isEqual({ ...one, mimeTypes }, { ...other, mimeTypes });
  return isAgreed ? { ...one, mimeTypes } : undefined;
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
