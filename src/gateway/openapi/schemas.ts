/**
 * Converts the schemas of an OpenAPI document to JSON Schema 2020-12.
 *
 * Only keywords that are known are kept, each with a value of its type: what a validator would reject
 * is left out, and reported. What a schema refers to is put into its `$defs`, so recursion is kept.
 *
 * - `nullable` and boolean `exclusiveMinimum` of 3.0 become what 2020-12 has for them.
 * - `oneOf` becomes `anyOf`: the alternatives of real documents overlap, which would make right values
 *   wrong. The API itself judges them.
 * - Of an input, what is `readOnly` is left out; of an output, what is `writeOnly`.
 * - An output has no bounds, formats, patterns and enumerations: APIs add values, and clients reject a
 *   result that doesn't fit.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { clip, isObject, Work } from "../../kit.ts";
import type { References } from "./references.ts";

/** Whether a schema is for arguments or for results. */
export type Side = "input" | "output";

/** A converted schema with its definitions. */
export interface Converted {
  readonly json: JsonObject;
  /** Whether a validation takes too much work, because definitions refer to each other very often. */
  readonly isCostly: boolean;
}

/** The most levels of a schema. */
const MOST_DEPTH = 64;
/** The most characters of a description inside a schema. */
const MOST_DESCRIPTION = 400;
/** The most characters of a default value, as JSON, and of a pattern. */
const MOST_VALUE = 1000;
/** The most steps for all schemas of a document together: Stripe's 533 operations take 60,000. */
const MOST_STEPS = 1_000_000;
/** The most steps for one schema: each becomes a byte or more, so a larger one isn't used anyway. */
const MOST_STEPS_OF_ONE = 65_536;
/** The characters of a plain value, as JSON, that are a step. */
const CHARACTERS_OF_STEP = 16;

/** Says that a schema is too large. */
class TooLarge extends Error {}
/** The most definitions that a validation may visit for one value of each. */
const MOST_EXPANSIONS = 20_000;

type Check = (value: unknown) => boolean;

const isNumber: Check = (value) => typeof value === "number" && Number.isFinite(value);
const isCount: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isText: Check = (value) => typeof value === "string";
const isBoolean: Check = (value) => typeof value === "boolean";

/** The keywords that are kept as they are, with what their value must be. */
const PLAIN: Readonly<Record<string, Check>> = {
  const: (value) => value !== undefined,
  contentEncoding: isText,
  contentMediaType: isText,
  default: (value) => isShort(value),
  dependentRequired: (value) => isObject(value) && Object.values(value).every(isTexts),
  deprecated: isBoolean,
  enum: (value) => Array.isArray(value) && value.length > 0,
  exclusiveMaximum: isNumber,
  exclusiveMinimum: isNumber,
  format: isText,
  maxContains: isCount,
  maximum: isNumber,
  maxItems: isCount,
  maxLength: isCount,
  maxProperties: isCount,
  minContains: isCount,
  minimum: isNumber,
  minItems: isCount,
  minLength: isCount,
  minProperties: isCount,
  multipleOf: (value) => isNumber(value) && Number(value) > 0,
  pattern: (value) => isPattern(value),
  required: (value) => isTexts(value),
  uniqueItems: isBoolean,
};

/** The keywords of {@linkcode PLAIN} that an output has as well. */
const OUTPUT: ReadonlySet<string> = new Set(["const", "required", "deprecated"]);

/** The keywords whose value is a schema, and whether it is for the same value. */
const SCHEMA: Readonly<Record<string, boolean>> = {
  additionalProperties: false,
  contains: false,
  else: true,
  if: true,
  items: false,
  not: true,
  propertyNames: false,
  then: true,
  unevaluatedItems: false,
  unevaluatedProperties: false,
};
/** The keywords whose value is a list of schemas, what they become, and whether it is for the same value. */
const LIST: Readonly<Record<string, readonly [becomes: string, same: boolean]>> = {
  allOf: ["allOf", true],
  anyOf: ["anyOf", true],
  oneOf: ["anyOf", true],
  prefixItems: ["prefixItems", false],
};
/** The keywords whose value maps names to schemas. */
const NAMED: Readonly<Record<string, boolean>> = {
  dependentSchemas: true,
  patternProperties: false,
  properties: false,
};

const TYPES: ReadonlySet<unknown> = new Set([
  "array",
  "boolean",
  "integer",
  "null",
  "number",
  "object",
  "string",
]);

/** One schema of the document, converted without what it refers to. */
interface Part {
  readonly json: unknown;
  /** What it refers to, each as often as it does. */
  readonly references: readonly string[];
  /** Those of them that are for the same value. */
  readonly inPlace: readonly string[];
  readonly bytes: number;
}

/** Options for {@linkcode Schemas.convert}. */
export interface ConvertOptions {
  readonly side: Side;
  /** The most characters of the schema as JSON, with its definitions. */
  readonly mostBytes: number;
  /** Whether texts in the format `binary` are files, which arguments have in Base64. */
  readonly files?: boolean;
}

/** Converts the schemas of one document. */
export class Schemas {
  readonly #references: References;
  readonly #loosened: (what: string) => void;
  readonly #parts = new Map<string, Part>();
  readonly #names = new Map<string, string>();
  readonly #taken = new Set<string>();
  readonly #costs = new Map<string, number>();
  readonly #work = new Work(MOST_STEPS);
  /** The sizes of plain values, which several schemas may have. */
  readonly #sizes = new WeakMap<object, number>();

  /** @param loosened Takes what is left out of a schema, and why */
  constructor(references: References, loosened: (what: string) => void) {
    this.#references = references;
    this.#loosened = loosened;
  }

  /**
   * Converts a schema, with everything that it refers to as `$defs`.
   *
   * @returns `undefined` if it is larger than it may be
   * @throws {RangeError} If the document's schemas take too much work
   */
  convert(
    schema: unknown,
    { side, mostBytes, files = false }: ConvertOptions,
  ): Converted | undefined {
    const scope = { side, files };
    const root = this.#rootOf(schema, scope);
    const used = new Map<string, Part>();
    let bytes = root.bytes;
    let expansions = 1;
    for (const reference of root.references) expansions += this.#cost(reference, scope);
    const open = [...root.references];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (used.has(next)) continue;
      const part = this.#part(next, scope);
      used.set(next, part);
      bytes += part.bytes + next.length;
      if (bytes > mostBytes) return undefined;
      open.push(...part.references);
    }
    if (bytes > mostBytes) return undefined;
    const json = isObject(root.json) ? root.json : root.json === false ? { not: {} } : {};
    const named = [...used].map(([reference, part]) => [this.#nameOf(reference), part.json]);
    return {
      json: used.size === 0 ? json : { ...json, $defs: Object.fromEntries(named) },
      isCostly: expansions > MOST_EXPANSIONS,
    };
  }

  /** Converts the root of a schema. An output that is only a reference is replaced by its target. */
  #rootOf(schema: unknown, scope: Scope): Part {
    if (scope.side === "output" && isObject(schema) && typeof schema.$ref === "string") {
      const last = this.#references.last(schema.$ref);
      if (last !== undefined) return this.#part(last, scope);
    }
    return this.#convertPart(schema, { ...scope, isArguments: scope.side === "input" });
  }

  #part(reference: string, scope: Scope): Part {
    const key = keyOf(reference, scope);
    let part = this.#parts.get(key);
    if (part === undefined) {
      part = this.#convertPart(this.#references.target(reference), scope);
      this.#parts.set(key, part);
      if (this.#isEndless(reference, scope)) {
        this.#loosened(`${reference} consists of itself`);
        part = { json: {}, references: [], inPlace: [], bytes: 2 };
        this.#parts.set(key, part);
      }
    }
    return part;
  }

  #convertPart(schema: unknown, scope: Scope & { readonly isArguments?: boolean }): Part {
    const references: string[] = [];
    const inPlace: string[] = [];
    let left = MOST_STEPS_OF_ONE;
    const walk = new Walk({
      isArguments: false,
      ...scope,
      loosened: this.#loosened,
      references: this.#references,
      take: (count) => {
        // It was looked at, also if it is too large.
        this.#work.take(count);
        left -= count;
        if (left < 0) throw new TooLarge();
      },
      sizeOf: (value) => this.#sizeOf(value),
      refer: (reference, same) => {
        references.push(reference);
        if (same) inPlace.push(reference);
        return `#/$defs/${this.#nameOf(reference)}`;
      },
    });
    try {
      const json = walk.schema(schema, 0, true);
      return { json, references, inPlace, bytes: JSON.stringify(json).length };
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error;
      return { json: {}, references: [], inPlace: [], bytes: Infinity };
    }
  }

  /** Returns the characters of a value as JSON. Each object is measured once. */
  #sizeOf(value: unknown): number {
    if (typeof value !== "object" || value === null) return JSON.stringify(value)?.length ?? 0;
    let size = this.#sizes.get(value);
    if (size === undefined) {
      size = JSON.stringify(value).length;
      this.#sizes.set(value, size);
    }
    return size;
  }

  /** Tells whether a schema has itself as a part for the same value: no value has an end there. */
  #isEndless(reference: string, scope: Scope): boolean {
    const seen = new Set<string>();
    const open = [...this.#part(reference, scope).inPlace];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (next === reference) return true;
      this.#work.take();
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(...this.#part(next, scope).inPlace);
    }
    return false;
  }

  /** Returns how many definitions a validation visits, recursion apart, which the validator bounds. */
  #cost(reference: string, scope: Scope): number {
    const key = keyOf(reference, scope);
    const known = this.#costs.get(key);
    if (known !== undefined) return known;
    this.#costs.set(key, 0);
    let cost = 1;
    for (const each of this.#part(reference, scope).references) {
      cost = Math.min(Number.MAX_SAFE_INTEGER, cost + this.#cost(each, scope));
    }
    this.#costs.set(key, cost);
    return cost;
  }

  #nameOf(reference: string): string {
    let name = this.#names.get(reference);
    if (name === undefined) {
      const last = reference.slice(reference.lastIndexOf("/") + 1);
      const plain = last.replace(/[^A-Za-z0-9_-]+/g, "_").replace(/^_+/, "").slice(0, 60) ||
        "schema";
      name = plain;
      for (let count = 2; this.#taken.has(name); count++) name = `${plain}_${count}`;
      this.#taken.add(name);
      this.#names.set(reference, name);
    }
    return name;
  }
}

/** What a schema is converted for. */
interface Scope {
  readonly side: Side;
  readonly files: boolean;
}

function keyOf(reference: string, { side, files }: Scope): string {
  return `${side} ${files ? "files" : "texts"} ${reference}`;
}

interface WalkInit extends Scope {
  /** Whether the properties of the root are arguments, not those of an object of the document. */
  readonly isArguments: boolean;
  readonly references: References;
  /** Counts steps. */
  readonly take: (steps: number) => void;
  readonly sizeOf: (value: unknown) => number;
  readonly loosened: (what: string) => void;
  /** Returns the reference to write in place of one in the document. */
  readonly refer: (reference: string, same: boolean) => string;
}

/** Converts one schema without what it refers to. */
class Walk {
  readonly #init: WalkInit;

  constructor(init: WalkInit) {
    this.#init = init;
  }

  /** @param same Whether the schema is for the same value as the root */
  schema(schema: unknown, depth: number, same: boolean): unknown {
    this.#init.take(1);
    if (typeof schema === "boolean") return schema;
    if (!isObject(schema)) return this.#loose("a schema is no object");
    if (depth > MOST_DEPTH) return this.#loose("a schema is nested too deeply");
    const made: Record<string, unknown> = typeof schema.$ref === "string"
      ? this.#reference(schema.$ref, same)
      : {};
    this.#describe(schema, made);
    this.#types(schema, made);
    for (const [key, value] of Object.entries(schema)) {
      if (value !== undefined) this.#keyword(key, value, made, depth, same);
    }
    this.#bounds(schema, made, depth);
    return schema.nullable === true ? nullable(made) : made;
  }

  #loose(what: string): JsonObject {
    this.#init.loosened(what);
    return {};
  }

  #reference(reference: string, same: boolean): Record<string, unknown> {
    const last = this.#init.references.last(reference);
    if (last !== undefined) return { $ref: this.#init.refer(last, same) };
    const why = reference.startsWith("#") ? "nothing there" : "not in the document";
    this.#init.loosened(`the reference ${clip(reference, 100)}: ${why}`);
    return {};
  }

  #describe({ description, type, format }: JsonObject, made: Record<string, unknown>): void {
    const isFile = this.#init.files && format === "binary" && (type ?? "string") === "string";
    const own = typeof description === "string" ? shortText(description, MOST_DESCRIPTION) : "";
    const text = isFile ? `${own} The bytes of the file, in Base64.`.trim() : own;
    if (text !== "") made.description = text;
  }

  #types({ type }: JsonObject, made: Record<string, unknown>): void {
    if (type === undefined) return;
    const given = Array.isArray(type) ? type : [type];
    const known = [...new Set(given.filter((each) => TYPES.has(each)))];
    if (known.length < given.length) this.#init.loosened("an unknown type");
    if (known.length > 0) made.type = known.length === 1 ? known[0] : known;
  }

  #keyword(
    key: string,
    value: unknown,
    made: Record<string, unknown>,
    depth: number,
    same: boolean,
  ): void {
    const { side } = this.#init;
    const fits = own(PLAIN, key);
    if (fits !== undefined) {
      if (side === "output" && !OUTPUT.has(key)) return;
      if (key === "format" && value === "binary" && this.#init.files) {
        made.contentEncoding = "base64";
        return;
      }
      this.#init.take(Math.ceil(this.#init.sizeOf(value) / CHARACTERS_OF_STEP));
      if (fits(value)) made[key] = value;
      // The bounds of 3.0 are booleans.
      else if (typeof value !== "boolean" && key !== "default") {
        this.#init.loosened(`the value of "${key}"`);
      }
      return;
    }
    const isSame = own(SCHEMA, key);
    if (isSame !== undefined) {
      // Of an output there may be more than its document says.
      if (side === "output" && key !== "items" && !isObject(value)) return;
      made[key] = this.schema(value, depth + 1, same && isSame);
      return;
    }
    const list = own(LIST, key);
    if (list !== undefined) this.#list(key, list, value, made, depth, same);
    const isSameName = own(NAMED, key);
    if (isSameName !== undefined) this.#named(key, value, made, depth, same && isSameName);
  }

  #list(
    key: string,
    [becomes, isSame]: readonly [string, boolean],
    value: unknown,
    made: Record<string, unknown>,
    depth: number,
    same: boolean,
  ): void {
    if (!Array.isArray(value) || value.length === 0) {
      return this.#init.loosened(`the value of "${key}"`);
    }
    const parts = value.map((each) => this.schema(each, depth + 1, same && isSame));
    if (made[becomes] === undefined) made[becomes] = parts;
    // Both `anyOf` and `oneOf` must hold.
    else made.allOf = [...Array.isArray(made.allOf) ? made.allOf : [], { [becomes]: parts }];
  }

  #named(
    key: string,
    value: unknown,
    made: Record<string, unknown>,
    depth: number,
    same: boolean,
  ): void {
    if (!isObject(value)) return this.#init.loosened(`the value of "${key}"`);
    const { side } = this.#init;
    this.#init.take(Object.keys(value).length);
    const entries = Object.entries(value).flatMap(([name, each]) => {
      if (key === "patternProperties" && (side === "output" || !isPattern(name))) return [];
      if (key === "properties" && !this.#isArguments(depth) && this.#isHidden(each)) return [];
      return [[name, this.schema(each, depth + 1, same)] as const];
    });
    made[key] = Object.fromEntries(entries);
  }

  /** An argument is needed although its schema is `readOnly`, as that of a number in a path may be. */
  #isArguments(depth: number): boolean {
    return this.#init.isArguments && depth === 0;
  }

  /** Tells whether a property is for the other side only. */
  #isHidden(property: unknown): boolean {
    const { side, references } = this.#init;
    return references.object(property)?.[side === "input" ? "readOnly" : "writeOnly"] === true;
  }

  /** Completes what several keywords of a schema decide together. */
  #bounds(schema: JsonObject, made: Record<string, unknown>, depth: number): void {
    const { properties } = schema;
    if (isObject(properties) && Array.isArray(made.required) && !this.#isArguments(depth)) {
      made.required = made.required.filter((name) =>
        !Object.hasOwn(properties, name) || !this.#isHidden(properties[name])
      );
    }
    if (Array.isArray(made.required) && made.required.length === 0) delete made.required;
    if (this.#init.side === "output") {
      if (made.additionalProperties === false) delete made.additionalProperties;
      return;
    }
    for (const [exclusive, bound] of EXCLUSIVE) {
      if (schema[exclusive] !== true || !isNumber(schema[bound])) continue;
      made[exclusive] = schema[bound];
      delete made[bound];
    }
  }
}

const EXCLUSIVE = [["exclusiveMinimum", "minimum"], ["exclusiveMaximum", "maximum"]] as const;

/** Allows null besides what a schema allows. */
function nullable(made: Record<string, unknown>): Record<string, unknown> {
  const { type, enum: values, description, ...others } = made;
  if (type === undefined && values === undefined && Object.keys(others).length === 0) return made;
  if (type === undefined || "$ref" in made || "const" in made) {
    const { description: _, ...own } = made;
    return { ...description !== undefined && { description }, anyOf: [own, { type: "null" }] };
  }
  const types = Array.isArray(type) ? type : [type];
  const withNull = Array.isArray(values) && !values.includes(null) ? [...values, null] : values;
  return {
    ...made,
    type: types.includes("null") ? types : [...types, "null"],
    ...withNull !== undefined && { enum: withNull },
  };
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** Returns the beginning of a text. What is cut off isn't looked at. */
export function shortText(text: string, most: number): string {
  return clip(text.slice(0, 4 * most).trim(), most);
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

function isShort(value: unknown): boolean {
  return value !== undefined && JSON.stringify(value).length <= MOST_VALUE;
}

function isPattern(value: unknown): boolean {
  if (typeof value !== "string" || value.length > MOST_VALUE) return false;
  try {
    new RegExp(value, "u");
    return true;
  } catch {
    return false;
  }
}

/**
 * Returns a converted schema as arguments are validated by it: without formats, which are only remarks,
 * and without patterns, which may take exponential time. The API judges those.
 */
export function checkable(schema: JsonObject): JsonObject {
  // What was converted has been bounded in its depth.
  return withoutPatterns(schema, false) as JsonObject;
}

/** @param isNames Whether the keys of the part are names, not keywords */
function withoutPatterns(part: unknown, isNames: boolean): unknown {
  if (Array.isArray(part)) return part.map((each) => withoutPatterns(each, false));
  if (!isObject(part)) return part;
  const open = !isNames && part.patternProperties !== undefined;
  return Object.fromEntries(
    Object.entries(part).flatMap(([key, value]) => {
      if (isNames) return [[key, withoutPatterns(value, false)]];
      if (DROPPED.has(key) || (open && CLOSING.has(key))) return [];
      if (key === "enum" || key === "const" || key === "default") return [[key, value]];
      return [[key, withoutPatterns(value, key === "$defs" || Object.hasOwn(NAMED, key))]];
    }),
  );
}

const DROPPED: ReadonlySet<string> = new Set(["pattern", "patternProperties", "format"]);
const CLOSING: ReadonlySet<string> = new Set(["additionalProperties", "unevaluatedProperties"]);
