/**
 * Reads TOML, in which Codex keeps its servers, and says where a text is broken.
 *
 * @module
 */
import { parse, TomlDate, TomlError } from "smol-toml";
import { isObject } from "../../kit.ts";
import { JsonError, type ReadJson } from "./json.ts";

/** Levels of nesting that a value may have. */
const MAX_DEPTH = 64;

/**
 * Reads a TOML text as the values that JSON has: a date becomes a text.
 *
 * @throws {JsonError} If the text is broken; its message shows nothing of the text, which may have secrets
 */
export function readToml(text: string): ReadJson {
  try {
    return { value: plain(parse(text, { maxDepth: MAX_DEPTH })), duplicates: [] };
  } catch (error) {
    if (error instanceof TooDeepError || error instanceof RangeError) {
      throw new JsonError(text, [{ message: `Nest at most ${MAX_DEPTH} levels`, offset: 0 }]);
    }
    if (!(error instanceof TomlError)) throw error;
    const offset = offsetOf(text, error.line, error.column);
    throw new JsonError(text, [{ message: "Correct the TOML here, or before", offset }]);
  }
}

/** Thrown for tables in too many others. */
class TooDeepError extends Error {}

/** Returns a value whose objects have a prototype, as those of JSON. */
function plain(value: unknown, depth = 0): unknown {
  if (depth > MAX_DEPTH) throw new TooDeepError();
  if (Array.isArray(value)) return value.map((each) => plain(each, depth + 1));
  if (value instanceof TomlDate) return value.toISOString();
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, plain(inner, depth + 1)]),
  );
}

function offsetOf(text: string, line: number, column: number): number {
  const before = text.split("\n").slice(0, line - 1);
  return Math.min(text.length, before.reduce((sum, it) => sum + it.length + 1, column - 1));
}

/**
 * Finds where the tables and keys of a TOML text stand, line by line.
 *
 * @returns A function from a path to the offset of its key. A path that the text doesn't have is at the
 * nearest table around it.
 */
export function tomlLocator(text: string): (path: readonly (string | number)[]) => number {
  let places: Map<string, number> | undefined;
  return (path) => {
    places ??= placesOf(text);
    for (let length = path.length; length > 0; length--) {
      const found = places.get(JSON.stringify(path.slice(0, length)));
      if (found !== undefined) return found;
    }
    return 0;
  };
}

function placesOf(text: string): Map<string, number> {
  const places = new Map<string, number>();
  let table: readonly string[] = [];
  let offset = 0;
  for (const line of text.split("\n")) {
    const [, header] = /^\s*\[+([^[\]]+)\]+\s*(?:#.*)?$/.exec(line) ?? [];
    const [, key] = /^\s*([^#=[\]]+?)\s*=/.exec(line) ?? [];
    const names = namesOf(header ?? key);
    if (header !== undefined && names !== undefined) table = names;
    const path = names === undefined
      ? undefined
      : header === undefined
      ? [...table, ...names]
      : table;
    const start = offset + line.length - line.trimStart().length;
    for (let length = 1; length <= (path?.length ?? 0); length++) {
      const place = JSON.stringify(path?.slice(0, length));
      if (!places.has(place)) places.set(place, start);
    }
    offset += line.length + 1;
  }
  return places;
}

/** Returns the names of a dotted key, or `undefined` if the text is none. */
function namesOf(key: string | undefined): string[] | undefined {
  if (key === undefined) return undefined;
  try {
    const names: string[] = [];
    let value: unknown = parse(`${key} = 0`);
    while (isObject(value) && names.length <= MAX_DEPTH) {
      const [name] = Object.keys(value);
      if (name === undefined) return undefined;
      names.push(name);
      value = value[name];
    }
    return names;
  } catch {
    return undefined;
  }
}
