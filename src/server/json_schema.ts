/**
 * Compiles plain JSON Schema: rejects what can't be honoured when it is given, then validates
 * without `eval` and without network access.
 *
 * @module
 */
import { dereference, type OutputUnit, type Schema, validate } from "@cfworker/json-schema";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { JsonSchema, StandardIssue, StandardResult } from "./standard_schema.ts";

type Draft = "4" | "7" | "2019-09" | "2020-12";

const DIALECTS: ReadonlyMap<string, Draft> = new Map([
  ["https://json-schema.org/draft/2020-12/schema", "2020-12"],
  ["https://json-schema.org/draft/2019-09/schema", "2019-09"],
  ["http://json-schema.org/draft-07/schema", "7"],
  ["http://json-schema.org/draft-04/schema", "4"],
]);

/**
 * Limits arrays with `uniqueItems`: comparing all items takes time in proportion to the square of
 * their number.
 */
const MOST_UNIQUE = 1_000;

/** Lists keywords whose error only says that a nested keyword failed, which has its own error. */
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
 * Arrays whose items must be unique may have at most {@linkcode MOST_UNIQUE} of them.
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
  for (const part of Object.values(lookup)) {
    if (typeof part === "object") prepare(part, lookup, what);
  }
  return {
    json,
    validate(value): StandardResult<unknown> {
      try {
        const { valid, errors } = validate(value, checked, draft, lookup);
        return valid ? { value } : { issues: toIssues(errors, value) };
      } catch {
        // The validator throws for keys that are not well-formed Unicode, for example
        return { issues: [{ message: "Give another value: this one can't be validated" }] };
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

function prepare(part: Schema, lookup: Record<string, unknown>, what: string): void {
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
  // Not a format of JSON Schema, and the validator's check of it takes exponential time
  if (part.format === "url") delete part.format;
  if (part.uniqueItems === true) {
    delete part.uniqueItems;
    part.allOf = [...(part.allOf ?? []), {
      if: { maxItems: MOST_UNIQUE },
      then: { uniqueItems: true },
      else: { maxItems: MOST_UNIQUE },
    }];
  }
}

function checkPattern(pattern: string, what: string): void {
  try {
    new RegExp(pattern, "u");
  } catch (cause) {
    throw new TypeError(`Write a regular expression in the ${what}: "${pattern}"`, { cause });
  }
}

function toIssues(errors: readonly OutputUnit[], value: unknown): StandardIssue[] {
  const inner = errors.filter(({ keyword }) => !OUTER.has(keyword));
  return (inner.length > 0 ? inner : errors).map(({ keyword, error, instanceLocation }) => ({
    message: keyword === "false" ? "Leave this out" : readable(error),
    path: toPath(instanceLocation, value),
  }));
}

function readable(error: string): string {
  const type = /^Instance type "(\w+)" is invalid\. Expected "(.+)"\.$/.exec(error);
  return type === null ? error.replace(/\.$/, "") : `Expected ${type[2]}, received ${type[1]}`;
}

/** Converts a JSON pointer (RFC 6901 §6) to a path; array indexes become numbers. */
function toPath(pointer: string, value: unknown): (string | number)[] {
  let current = value;
  return pointer.split("/").slice(1).map((part) => {
    const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    const segment = Array.isArray(current) ? Number(key) : key;
    current = typeof current === "object" && current !== null
      ? Reflect.get(current, segment)
      : undefined;
    return segment;
  });
}
