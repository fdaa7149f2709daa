/**
 * Converts output schemas for clients of the 2025 versions, which know only those of an object: wraps all
 * others (2026-07-28, Tools, Output Schema; SEP-2106).
 *
 * @module
 */
import { isObject, type JsonObject } from "./jsonrpc.ts";

/** The member that holds a value in its wrapper. The official SDK uses the same. */
const MEMBER = "result";
/** Where a schema is in its wrapper, as a JSON pointer. */
const PLACE = `#/properties/${MEMBER}`;

/** Wraps the data of a result whose schema is wrapped, or that isn't an object. */
export function wrapData(data: unknown): JsonObject {
  return { [MEMBER]: data };
}

/** Tells whether a 2025 client gets the data of a tool with this output schema wrapped. */
export function wrapsOutput(schema: unknown): boolean {
  return isObject(schema) && !isOfObject(schema);
}

/** Converts an output schema to one that has the type `object`, as the 2025 versions require. */
export function objectOutputSchema(schema: JsonObject): JsonObject {
  if (schema.type === "object") return schema;
  if (isOfObject(schema)) return { ...schema, type: "object" };
  const { $schema, ...own } = schema;
  return {
    // The dialect belongs to the root of a document.
    ...$schema !== undefined && { $schema },
    type: "object",
    properties: { [MEMBER]: hasOwnBase(own) ? own : moved(own, false) },
    required: [MEMBER],
  };
}

/** Tells whether every value that fits a schema is an object, as far as its root shows. */
function isOfObject({ type, anyOf, oneOf, allOf }: JsonObject): boolean {
  if (type !== undefined) return type === "object";
  const is = (part: unknown) => isObject(part) && isOfObject(part);
  return [anyOf, oneOf].some((parts) =>
    Array.isArray(parts) && parts.length > 0 && parts.every(is)
  ) ||
    (Array.isArray(allOf) && allOf.some(is));
}

/** The keywords whose value is data and not a schema. */
const DATA: ReadonlySet<string> = new Set(["const", "default", "enum", "examples"]);
/** The keywords whose value maps names to schemas. */
const NAMED: ReadonlySet<string> = new Set([
  "$defs",
  "definitions",
  "dependencies",
  "dependentSchemas",
  "patternProperties",
  "properties",
]);

/**
 * Corrects the references of a schema that is moved into its wrapper: they are pointers from the root.
 *
 * @param isNames Whether the keys of the part are names, not keywords
 */
function moved(part: unknown, isNames: boolean): unknown {
  if (Array.isArray(part)) return part.map((each) => moved(each, false));
  if (!isObject(part) || (!isNames && hasOwnBase(part))) return part;
  return Object.fromEntries(
    Object.entries(part).map(([key, value]) => {
      if (isNames) return [key, moved(value, false)];
      if (REFERENCES.has(key)) return [key === "$recursiveRef" ? "$ref" : key, movedPointer(value)];
      return [key, DATA.has(key) ? value : moved(value, NAMED.has(key))];
    }),
  );
}

const REFERENCES: ReadonlySet<string> = new Set(["$ref", "$dynamicRef", "$recursiveRef"]);

function movedPointer(pointer: unknown): unknown {
  if (typeof pointer !== "string" || !/^#(\/|$)/.test(pointer)) return pointer;
  return PLACE + pointer.slice(1);
}

/** Tells whether references in a schema are relative to the schema itself, because it has a URI. */
function hasOwnBase({ $id }: JsonObject): boolean {
  return typeof $id === "string" && !$id.startsWith("#");
}
