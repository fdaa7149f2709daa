/**
 * Changes definitions as a policy says, and takes their digests.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { canonical, isObject, sha256, toHex, Work } from "../../kit.ts";
import type { DefinitionOverride } from "./types.ts";

/**
 * Returns a digest of the definition of a tool, prompt or resource template, as an upstream lists it. It
 * changes with every member of the definition, and not with the order of members.
 *
 * @param definition The definition, with the name that the upstream gives
 * @returns `sha256:` and 64 hexadecimal digits
 * @example
 * ```ts
 * import { definitionDigest } from "@mooring/mcp/gateway";
 *
 * const one = definitionDigest({ name: "now", inputSchema: { type: "object" } });
 * const same = definitionDigest({ inputSchema: { type: "object" }, name: "now" });
 * console.assert(one === same);
 * ```
 */
export function definitionDigest(definition: JsonObject): string {
  const bytes = new TextEncoder().encode(canonical(definition));
  return `sha256:${toHex(sha256(bytes))}`;
}

/** Returns a definition with members replaced. */
export function overridden(
  entry: JsonObject,
  { title, description, annotations }: DefinitionOverride,
): JsonObject {
  const own = isObject(entry.annotations) ? entry.annotations : {};
  return {
    ...entry,
    ...title !== undefined && { title },
    ...description !== undefined && { description },
    ...annotations !== undefined && { annotations: { ...own, ...annotations } },
  };
}

/** Keywords that hold one schema for the same value. */
const SAME_VALUE = ["not", "if", "then", "else"];
/** Keywords that hold several of them. */
const SAME_VALUES = ["allOf", "anyOf", "oneOf"];
/** Keywords that hold schemas to refer to. */
const DEFINITIONS = ["$defs", "definitions"];
/** The most references that are followed inside one another. */
const MOST_NESTED = 32;
/** The most keywords that are looked at in one schema, again for each reference to them. */
const MOST_KEYWORDS = 20_000;

/**
 * Returns a tool's definition whose input schema doesn't mention some arguments.
 *
 * @throws {TooMuchWorkError} If its references multiply beyond all bounds
 */
export function withoutArguments(entry: JsonObject, names: ReadonlySet<string>): JsonObject {
  const { inputSchema } = entry;
  if (!isObject(inputSchema) || names.size === 0) return entry;
  const work = new Work(MOST_KEYWORDS);
  const stripped = strip(inputSchema, { names, root: inputSchema, work }, 0);
  return { ...entry, inputSchema: withoutUnused(stripped) };
}

/** What is removed from which schema, and the work that it may take. */
interface StripInit {
  readonly names: ReadonlySet<string>;
  readonly root: JsonObject;
  readonly work: Work;
}

/** Returns the number of members of an array or object. */
function sizeOf(value: unknown): number {
  return typeof value === "object" && value !== null ? Object.keys(value).length : 0;
}

/** Removes arguments from a schema for the object of all arguments. */
function strip(schema: JsonObject, init: StripInit, depth: number): JsonObject {
  const { names, root, work } = init;
  // What is nested deeper says nothing that a model needs.
  if (depth > MOST_NESTED) return {};
  const inner = (value: unknown) => isObject(value) ? strip(value, init, depth + 1) : value;
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) {
    work.take(1 + sizeOf(value));
    if (key === "properties" || key === "default") result[key] = without(value, names);
    else if (key === "required") result[key] = withoutNames(value, names);
    else if (key === "examples") {
      result[key] = Array.isArray(value) ? value.map((each) => without(each, names)) : value;
    } else if (
      key === "dependentRequired" || key === "dependentSchemas" || key === "dependencies"
    ) {
      const kept = without(value, names);
      result[key] = isObject(kept)
        ? Object.fromEntries(
          Object.entries(kept).map(([name, needed]) =>
            [name, Array.isArray(needed) ? withoutNames(needed, names) : inner(needed)] as const
          ),
        )
        : kept;
    } else if (SAME_VALUE.includes(key)) result[key] = inner(value);
    else if (SAME_VALUES.includes(key)) {
      result[key] = Array.isArray(value) ? value.map(inner) : value;
    } else result[key] = value;
  }
  if (schema.$ref === undefined) return result;
  // The definition stays as it is for others that refer to it.
  const { $ref, ...rest } = result;
  const target = typeof $ref === "string" ? resolved($ref, root) : undefined;
  // It may have the arguments.
  if (target === undefined) return rest;
  const referred = strip(target, init, depth + 1);
  return Object.keys(rest).every((key) => DEFINITIONS.includes(key))
    ? { ...referred, ...rest }
    : { ...rest, allOf: [...Array.isArray(rest.allOf) ? rest.allOf : [], referred] };
}

function without(value: unknown, names: ReadonlySet<string>): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.has(name)));
}

function withoutNames(value: unknown, names: ReadonlySet<string>): unknown {
  return Array.isArray(value) ? value.filter((name) => !names.has(name)) : value;
}

/** Returns the schema that a reference within the same schema points to. */
function resolved(ref: string, root: JsonObject): JsonObject | undefined {
  if (ref !== "#" && !ref.startsWith("#/")) return undefined;
  let found: unknown = root;
  for (const step of ref.split("/").slice(1)) {
    const key = decodeStep(step);
    if (Array.isArray(found)) found = found[Number(key)];
    else found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined;
  }
  return isObject(found) ? found : undefined;
}

function decodeStep(step: string): string {
  const plain = step.replaceAll("~1", "/").replaceAll("~0", "~");
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain;
  }
}

/** Matches references to definitions, in JSON. */
const REFERENCE = /"#\/(\$defs|definitions)\/([^"/]*)/g;

/** Removes definitions that nothing refers to any more: they may have the arguments. */
function withoutUnused(schema: JsonObject): JsonObject {
  const used = new Set<string>();
  const plain = Object.entries(schema).filter(([key]) => !DEFINITIONS.includes(key));
  const texts = [JSON.stringify(Object.fromEntries(plain))];
  for (let text = texts.pop(); text !== undefined; text = texts.pop()) {
    for (const [, key = "", step = ""] of text.matchAll(REFERENCE)) {
      const name = decodeStep(step);
      const definitions = schema[key];
      if (used.has(`${key} ${name}`) || !isObject(definitions)) continue;
      used.add(`${key} ${name}`);
      texts.push(JSON.stringify(definitions[name]) ?? "");
    }
  }
  const result: Record<string, unknown> = Object.fromEntries(plain);
  for (const key of DEFINITIONS) {
    const given = schema[key];
    if (!isObject(given)) continue;
    const kept = Object.entries(given).filter(([name]) => used.has(`${key} ${name}`));
    if (kept.length > 0) result[key] = Object.fromEntries(kept);
  }
  return result;
}
