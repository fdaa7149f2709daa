/**
 * Compiles plain JSON Schema: rejects what can't be honoured when it is given, then validates
 * without `eval` and without network access.
 *
 * @module
 */
import { dereference, type OutputUnit, type Schema, validate } from "@cfworker/json-schema";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import { ReferenceBudget } from "./reference_budget.ts";
import { RepeatingArrays } from "./repeating_arrays.ts";
import type { JsonSchema, StandardIssue, StandardResult } from "./standard_schema.ts";

type Draft = "4" | "7" | "2019-09" | "2020-12";

const DIALECTS: ReadonlyMap<string, Draft> = new Map([
  ["https://json-schema.org/draft/2020-12/schema", "2020-12"],
  ["https://json-schema.org/draft/2019-09/schema", "2019-09"],
  ["http://json-schema.org/draft-07/schema", "7"],
  ["http://json-schema.org/draft-04/schema", "4"],
]);

/**
 * Lists formats of any length, whose check takes up to half a second for each text of some ten thousand
 * characters on Bun.
 */
const LONG_FORMATS: ReadonlySet<string> = new Set(["uri", "uri-reference", "uri-template"]);
/** The most characters of texts in these formats, unless the schema has a `maxLength`. */
const MOST_URI_LENGTH = 8_192;

/** The most issues of one value: describing one takes time in proportion to the length of its path. */
const MOST_ISSUES = 20;

/** Keywords whose error only says that a nested keyword failed, which has its own error. */
const OUTER = new Set([
  "$ref",
  "$recursiveRef",
  "additionalItems",
  "additionalProperties",
  "allOf",
  "dependencies",
  "dependentSchemas",
  "if",
  "items",
  "patternProperties",
  "prefixItems",
  "properties",
  "propertyNames",
  "unevaluatedItems",
  "unevaluatedProperties",
]);

/**
 * Compiles a plain JSON Schema. Later changes to the given object have no effect.
 *
 * A validation takes time in proportion to the size of the value, except for `pattern` and
 * `patternProperties`: some regular expressions take exponential time. With a `maxLength`, longer texts
 * are not matched.
 *
 * @param schema A JSON Schema of draft 2020-12, 2019-09, 07 or 04; 2020-12 without a `$schema`
 * @param what What the schema is for, in errors
 * @throws {TypeError} If the dialect is unknown, a reference points outside the schema or to
 * nothing, or a pattern is not a regular expression
 */
export function compileJsonSchema(schema: JsonSchema, what: string): {
  readonly json: JsonObject;
  validate(value: unknown): StandardResult<unknown>;
} {
  const draft = dialect(schema, what);
  const text = JSON.stringify(schema);
  const json: JsonObject = JSON.parse(text);
  const checked: Schema = JSON.parse(text);
  const lookup = resolve(checked, what);
  const repeating = new RepeatingArrays();
  const references = new ReferenceBudget();
  // One part can be known under several URIs.
  const parts = [...new Set(Object.values(lookup))].filter((part) => typeof part === "object");
  for (const part of parts) check(part, lookup, what);
  const hasUnique = parts.some(({ uniqueItems }) => uniqueItems === true);
  const recursive = parts.filter((part) => isRecursive(part, lookup));
  for (const part of parts) makeLinear(part, repeating);
  for (const part of recursive) references.watch(part);
  return {
    json,
    validate(value): StandardResult<unknown> {
      try {
        references.begin(value);
        if (hasUnique) repeating.begin(value);
        const { valid, errors } = validate(value, checked, draft, lookup);
        return valid ? { value } : { issues: toIssues(errors, value, repeating) };
      } catch {
        // The validator throws for keys that are not well-formed Unicode, for example
        return { issues: [{ message: "Give another value: this one can't be validated" }] };
      } finally {
        references.end();
        repeating.clear();
      }
    },
  };
}

function dialect({ $schema }: JsonSchema, what: string): Draft {
  if ($schema === undefined) return "2020-12";
  const draft = typeof $schema === "string" ? DIALECTS.get($schema.replace(/#$/, "")) : undefined;
  if (draft !== undefined) return draft;
  throw new TypeError(`Write the ${what} in JSON Schema 2020-12: ${String($schema)}`);
}

function resolve(schema: Schema, what: string): Record<string, Schema | boolean> {
  try {
    return dereference(schema);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`Correct the references in the ${what}: ${reason}`, { cause });
  }
}

function check(part: Schema, lookup: Record<string, unknown>, what: string): void {
  if (part.$dynamicRef !== undefined) {
    throw new TypeError(`Use "$ref" in the ${what}: "$dynamicRef"`);
  }
  if (part.$ref !== undefined && lookup[part.__absolute_ref__ ?? part.$ref] === undefined) {
    throw new TypeError(`Define the target of the reference inside the ${what}: "${part.$ref}"`);
  }
  const patterns = part.pattern === undefined ? [] : [part.pattern];
  for (const pattern of [...patterns, ...Object.keys(part.patternProperties ?? {})]) {
    checkPattern(pattern, what);
  }
}

/** Replaces what takes more than linear time by what means the same. */
function makeLinear(part: Schema, repeating: RepeatingArrays): void {
  const instead: Schema[] = [];
  // Not a format of JSON Schema, and the validator's check of it takes exponential time
  if (part.format === "url") delete part.format;
  if (part.uniqueItems === true) {
    delete part.uniqueItems;
    instead.push({ if: { type: "array" }, then: { not: { enum: repeating } } });
  }
  if (part.format !== undefined && LONG_FORMATS.has(part.format)) {
    part.maxLength ??= MOST_URI_LENGTH;
  }
  const { pattern, format, maxLength } = part;
  if (maxLength !== undefined && (pattern ?? format) !== undefined) {
    // The validator matches a text that is too long as well
    delete part.pattern;
    delete part.format;
    instead.push({ if: { maxLength }, then: { pattern, format } });
  }
  if (instead.length > 0) part.allOf = [...(part.allOf ?? []), ...instead];
}

/** Tells whether a part of a schema has a reference to what contains that part. */
function isRecursive(part: Schema, lookup: Record<string, Schema | boolean>): boolean {
  if (part.$recursiveRef !== undefined) return true;
  if (part.$ref === undefined) return false;
  const open: unknown[] = [lookup[part.__absolute_ref__ ?? part.$ref]];
  const seen = new Set<unknown>();
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== "object" || next === null || seen.has(next)) continue;
    if (next === part) return true;
    seen.add(next);
    for (const value of Object.values(next)) open.push(value);
    const { $ref, __absolute_ref__ }: Schema = next;
    if (typeof $ref === "string") open.push(lookup[__absolute_ref__ ?? $ref]);
  }
  return false;
}

function checkPattern(pattern: string, what: string): void {
  try {
    new RegExp(pattern, "u");
  } catch (cause) {
    throw new TypeError(`Write a regular expression in the ${what}: "${pattern}"`, { cause });
  }
}

function toIssues(
  errors: readonly OutputUnit[],
  value: unknown,
  repeating: RepeatingArrays,
): StandardIssue[] {
  const inner = errors.filter(({ keyword }) => !OUTER.has(keyword));
  const told = (inner.length > 0 ? inner : errors).slice(0, MOST_ISSUES);
  return told.map(({ keyword, error, instanceLocation }) => {
    const { path, part } = locate(instanceLocation, value);
    if (keyword === "false") return { message: "Leave this out", path };
    const isRepeating = keyword === "not" && Array.isArray(part) &&
      repeating.some((a) => a === part);
    const message = isRepeating ? "Give items that are all different" : readable(error);
    return { message, path };
  });
}

function readable(error: string): string {
  const type = /^Instance type "(\w+)" is invalid\. Expected "(.+)"\.$/.exec(error);
  return type === null ? error.replace(/\.$/, "") : `Expected ${type[2]}, received ${type[1]}`;
}

/** Follows a JSON pointer (RFC 6901 §6), and converts it to a path; array indexes become numbers. */
function locate(
  pointer: string,
  value: unknown,
): { readonly path: (string | number)[]; readonly part: unknown } {
  let part = value;
  const path = pointer.split("/").slice(1).map((text) => {
    const key = decodeURIComponent(text).replaceAll("~1", "/").replaceAll("~0", "~");
    const segment = Array.isArray(part) ? Number(key) : key;
    part = typeof part === "object" && part !== null ? Reflect.get(part, segment) : undefined;
    return segment;
  });
  return { path, part };
}
