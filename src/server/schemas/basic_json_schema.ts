/**
 * Compiles plain JSON Schema of the keywords that schemas written by hand consist of, forms included
 * (2025-11-25, Elicitation). A schema with any other keyword is rejected when it is given: nothing in it
 * is ignored. {@linkcode fromJsonSchema} takes those, and brings a complete validator.
 *
 * @module
 */
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { kindOf } from "./kind_of.ts";
import type { JsonSchema, StandardIssue, StandardResult } from "./standard_schema.ts";

/** The most issues of one value. */
const MOST_ISSUES = 20;

/** The dialects in which all supported keywords mean the same. */
const DIALECTS: ReadonlySet<unknown> = new Set([
  undefined,
  "https://json-schema.org/draft/2020-12/schema",
  "https://json-schema.org/draft/2019-09/schema",
  "http://json-schema.org/draft-07/schema",
  "http://json-schema.org/draft-07/schema#",
]);

/** Keywords that say nothing about what is valid; so does everything that begins with `x-`. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  "$comment",
  "$schema",
  "default",
  "deprecated",
  "description",
  "enumNames",
  "examples",
  "readOnly",
  "title",
  "writeOnly",
]);

/** A validation in progress. */
interface Validation {
  readonly issues: StandardIssue[];
  /** The keys that lead to the value. */
  readonly path: (string | number)[];
}

/** Validates one value, and adds what is wrong with it. */
type KeywordCheck = (value: unknown, validation: Validation) => void;

/** Compiles one keyword. */
type Keyword = (given: unknown, part: JsonObject, what: string) => KeywordCheck;

/**
 * Compiles a plain JSON Schema. Later changes to the given object have no effect.
 *
 * A validation takes time in proportion to the size of the value, except for `pattern`: some regular
 * expressions take exponential time. With a `maxLength`, longer texts are not matched.
 *
 * @param schema A JSON Schema of draft 2020-12, 2019-09 or 07
 * @param what What the schema is for, in errors
 * @throws {TypeError} If the schema has a keyword or a dialect that is not supported, or a malformed one
 */
export function compileBasicJsonSchema(schema: JsonSchema, what: string): {
  readonly json: JsonObject;
  validate(value: unknown): StandardResult<unknown>;
} {
  const json: JsonObject = JSON.parse(JSON.stringify(schema));
  const { $schema } = json;
  if (!DIALECTS.has($schema)) throw unsupported("$schema", what);
  const check = compilePart(json, what);
  return {
    json,
    validate(value) {
      const issues: StandardIssue[] = [];
      check(value, { issues, path: [] });
      return issues.length === 0 ? { value } : { issues: issues.slice(0, MOST_ISSUES) };
    },
  };
}

function compilePart(part: unknown, what: string): KeywordCheck {
  if (part === true) return () => {};
  if (part === false) return (_value, validation) => add(validation, "Leave this out");
  if (!isObject(part)) throw malformed("a schema", part, what);
  const checks: KeywordCheck[] = [];
  for (const [name, given] of Object.entries(part)) {
    if (ANNOTATIONS.has(name) || name.startsWith("x-")) continue;
    const keyword = KEYWORDS.get(name);
    if (keyword === undefined) throw unsupported(name, what);
    checks.push(keyword(given, part, what));
  }
  return (value, validation) => {
    for (const check of checks) check(value, validation);
  };
}

/** Compiles a list of schemas. */
function compileParts(name: string, given: unknown, what: string): KeywordCheck[] {
  if (!Array.isArray(given) || given.length === 0) throw malformed(name, given, what);
  return given.map((part) => compilePart(part, what));
}

/** Compiles a keyword that limits a number, or the number of parts of something. */
function bound(
  name: string,
  measure: (value: unknown) => number | undefined,
  isWithin: (size: number, limit: number) => boolean,
  message: (limit: number, size: number) => string,
): [string, Keyword] {
  return [name, (limit, _part, what) => {
    if (typeof limit !== "number") throw malformed(name, limit, what);
    return (value, validation) => {
      const size = measure(value);
      if (size === undefined || isWithin(size, limit)) return;
      add(validation, message(limit, size));
    };
  }];
}

const isLeast = (size: number, limit: number) => size >= limit;
const isMost = (size: number, limit: number) => size <= limit;
const size = (value: unknown) => typeof value === "number" ? value : undefined;
const characters = (value: unknown) => typeof value === "string" ? countOf(value) : undefined;
const items = (value: unknown) => Array.isArray(value) ? value.length : undefined;
const members = (value: unknown) => isObject(value) ? Object.keys(value).length : undefined;

/** Counts code points, as JSON Schema does, without a copy of a text that may be as long as a body. */
function countOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

const KEYWORDS: ReadonlyMap<string, Keyword> = new Map([
  ["type", type],
  ["enum", (given, _part, what) => oneOfValues(given, "enum", what)],
  ["const", (given, _part, what) => oneOfValues([given], "const", what)],
  bound("minimum", size, isLeast, (limit, n) => `${n} is less than ${limit}`),
  bound("maximum", size, isMost, (limit, n) => `${n} is greater than ${limit}`),
  bound("exclusiveMinimum", size, (n, limit) => n > limit, (limit) => `Give more than ${limit}`),
  bound("exclusiveMaximum", size, (n, limit) => n < limit, (limit) => `Give less than ${limit}`),
  bound("minLength", characters, isLeast, (limit) => `Give ${limit} characters or more`),
  bound("maxLength", characters, isMost, (limit) => `Give ${limit} characters at most`),
  ["pattern", pattern],
  ["format", format],
  ["items", itemsOf],
  bound("minItems", items, isLeast, (limit) => `Give ${limit} items or more`),
  bound("maxItems", items, isMost, (limit) => `Give ${limit} items at most`),
  ["properties", properties],
  ["required", required],
  ["additionalProperties", additionalProperties],
  bound("minProperties", members, isLeast, (limit) => `Give ${limit} properties or more`),
  bound("maxProperties", members, isMost, (limit) => `Give ${limit} properties at most`),
  ["allOf", allOf],
  ["anyOf", (given, _part, what) => alternatives("anyOf", given, what, Infinity)],
  ["oneOf", (given, _part, what) => alternatives("oneOf", given, what, 1)],
]);

const TYPES: ReadonlyMap<unknown, (value: unknown) => boolean> = new Map([
  ["array", Array.isArray],
  ["boolean", (value: unknown) => typeof value === "boolean"],
  ["integer", Number.isInteger],
  ["null", (value: unknown) => value === null],
  ["number", Number.isFinite],
  ["object", isObject],
  ["string", (value: unknown) => typeof value === "string"],
]);

function type(given: unknown, _part: JsonObject, what: string): KeywordCheck {
  const names = Array.isArray(given) ? given : [given];
  const tests = names.map((name) => {
    const test = TYPES.get(name);
    if (test === undefined) throw malformed("type", given, what);
    return test;
  });
  return (value, validation) => {
    if (tests.some((test) => test(value))) return;
    add(validation, `Expected ${names.join(" or ")}, received ${kindOf(value)}`);
  };
}

/** Compiles `enum` and `const`. Only primitive values: they need no deep comparison. */
function oneOfValues(given: unknown, name: string, what: string): KeywordCheck {
  if (!Array.isArray(given)) throw malformed(name, given, what);
  if (given.some((each) => typeof each === "object" && each !== null)) {
    throw unsupported(name, what);
  }
  const values = new Set<unknown>(given);
  return (value, validation) => {
    if (!values.has(value)) add(validation, `Expected one of ${JSON.stringify(given)}`);
  };
}

function pattern(given: unknown, { maxLength }: JsonObject, what: string): KeywordCheck {
  if (typeof given !== "string") throw malformed("pattern", given, what);
  const expression = expressionOf(given, what);
  return textCheck(maxLength, (text) => expression.test(text), `Match the pattern ${given}`);
}

function expressionOf(given: string, what: string): RegExp {
  try {
    return new RegExp(given, "u");
  } catch (cause) {
    throw new TypeError(`Write a regular expression in the ${what}: "${given}"`, { cause });
  }
}

/** Compiles a check of texts. Texts that are longer than `maxLength` are not checked. */
function textCheck(
  maxLength: unknown,
  test: (text: string) => boolean,
  message: string,
): KeywordCheck {
  return (value, validation) => {
    if (typeof value !== "string") return;
    if (typeof maxLength === "number" && countOf(value) > maxLength) return;
    if (!test(value)) add(validation, message);
  };
}

const DATE = /^\d{4}-\d\d-\d\d$/;
/** RFC 3339 §5.6, the time of a `date-time`. */
const TIME = /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(z|[+-]([01]\d|2[0-3]):[0-5]\d)$/i;

/** The most characters of a URI, unless the schema has a `maxLength`. */
const MOST_URI_LENGTH = 8_192;

/** Tests a text in a format. */
type Format = (text: string, maxLength: unknown) => boolean;

/** The formats of a form's fields. */
const FORMATS: ReadonlyMap<unknown, Format> = new Map<unknown, Format>([
  ["date", isDate],
  ["date-time", (text: string) =>
    /^t$/i.test(text.charAt(10)) && isDate(text.slice(0, 10)) &&
    TIME.test(text.slice(11))],
  ["email", (text: string) => /^[^\s@]+@[^\s@]+$/.test(text)],
  [
    "uri",
    (text, maxLength = MOST_URI_LENGTH) =>
      text.length <= Number(maxLength) && /^[a-z]\S*$/i.test(text) && URL.canParse(text),
  ],
]);

function isDate(text: string): boolean {
  if (!DATE.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  // A day that the month doesn't have becomes one of the next month
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

function format(given: unknown, { maxLength }: JsonObject, what: string): KeywordCheck {
  const test = FORMATS.get(given);
  if (test === undefined) throw unsupported(`format": "${String(given)}`, what);
  return textCheck(
    maxLength,
    (text) => test(text, maxLength),
    `Expected the format ${String(given)}`,
  );
}

function itemsOf(given: unknown, _part: JsonObject, what: string): KeywordCheck {
  const check = compilePart(given, what);
  return (value, validation) => {
    if (!Array.isArray(value)) return;
    for (const [index, item] of value.entries()) {
      inside(check, item, index, validation);
      if (validation.issues.length >= MOST_ISSUES) return;
    }
  };
}

function properties(given: unknown, _part: JsonObject, what: string): KeywordCheck {
  if (!isObject(given)) throw malformed("properties", given, what);
  const checks = Object.entries(given).map(([name, part]) =>
    [name, compilePart(part, what)] as const
  );
  return (value, validation) => {
    if (!isObject(value)) return;
    for (const [name, check] of checks) {
      if (has(value, name)) inside(check, value[name], name, validation);
    }
  };
}

function required(given: unknown, _part: JsonObject, what: string): KeywordCheck {
  if (!Array.isArray(given) || given.some((name) => typeof name !== "string")) {
    throw malformed("required", given, what);
  }
  return (value, validation) => {
    if (!isObject(value)) return;
    for (const name of given) {
      if (!has(value, name)) add(validation, `Give the required property "${name}"`);
    }
  };
}

function additionalProperties(
  given: unknown,
  { properties = {} }: JsonObject,
  what: string,
): KeywordCheck {
  const check = compilePart(given, what);
  const known = new Set(Object.keys(isObject(properties) ? properties : {}));
  return (value, validation) => {
    if (!isObject(value)) return;
    for (const name of Object.keys(value)) {
      if (known.has(name) || !has(value, name)) continue;
      inside(check, value[name], name, validation);
      if (validation.issues.length >= MOST_ISSUES) return;
    }
  };
}

function allOf(given: unknown, _part: JsonObject, what: string): KeywordCheck {
  const checks = compileParts("allOf", given, what);
  return (value, validation) => {
    for (const check of checks) check(value, validation);
  };
}

/** Compiles alternatives, of which at least one and at most `most` must match. */
function alternatives(name: string, given: unknown, what: string, most: number): KeywordCheck {
  const checks = compileParts(name, given, what);
  return (value, validation) => {
    const { path } = validation;
    const tried = checks.map((check) => {
      const issues: StandardIssue[] = [];
      check(value, { issues, path });
      return issues;
    });
    const matches = tried.filter(({ length }) => length === 0).length;
    if (matches > most) return add(validation, "Match only one of the alternatives");
    if (matches > 0) return;
    add(validation, "Match one of the alternatives");
    validation.issues.push(...tried.flat().slice(0, MOST_ISSUES));
  };
}

/** Tells whether an object has a member. As in JSON, one that is `undefined` is not there. */
function has(value: JsonObject, name: string): boolean {
  return Object.hasOwn(value, name) && value[name] !== undefined;
}

/** Validates a part of a value. */
function inside(
  check: KeywordCheck,
  part: unknown,
  key: string | number,
  validation: Validation,
): void {
  validation.path.push(key);
  check(part, validation);
  validation.path.pop();
}

function add({ issues, path }: Validation, message: string): void {
  if (issues.length < MOST_ISSUES) issues.push({ message, path: [...path] });
}

function malformed(name: string, given: unknown, what: string): TypeError {
  return new TypeError(`Correct "${name}" in the ${what}: ${JSON.stringify(given)}`);
}

function unsupported(name: string, what: string): TypeError {
  return new TypeError(
    `Wrap the ${what} in fromJsonSchema(), whose validator knows all of JSON Schema: "${name}"`,
  );
}
