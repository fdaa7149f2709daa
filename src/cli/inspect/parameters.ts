/**
 * Writes the parameters that a JSON Schema describes as lines of text: name, type, whether one is required,
 * and its description.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { clip, isObject } from "../../kit.ts";
import { printable } from "../log.ts";

/** One parameter, or a part of one, such as `filter.tags[]`. */
interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly description: string;
}

/** Levels of objects in objects that are shown. */
const MAX_DEPTH = 4;
/** Parameters of one tool that are shown. */
const MAX_PARAMETERS = 100;
/** Characters of a type, and values of an enumeration, that are shown. */
const MAX_TYPE = 60;
const MAX_VALUES = 12;
/** Schemas that are looked at for one type, and references that are followed: they may lead in circles. */
const MAX_SCHEMAS = 50;
const MAX_REFERENCES = 8;
/** Characters of a description that are shown. */
const MAX_DESCRIPTION = 100;
/** Columns of the names and types, unless one is longer. */
const MAX_WIDTH = 40;

/** Writes the parameters of a tool's input schema, a line for each. */
export function parameterLines(schema: unknown): string[] {
  const found: Parameter[] = [];
  collect({ schema, root: schema, prefix: "", depth: 0, found });
  const lines = table(found.slice(0, MAX_PARAMETERS));
  return found.length > MAX_PARAMETERS ? [...lines, "… and more: see --json"] : lines;
}

/** The part of a prompt's argument that is shown (2025-11-25, Prompts). */
export interface PromptArgument {
  readonly name: string;
  readonly description?: string | undefined;
  readonly required?: boolean | undefined;
}

/** Writes the arguments of a prompt, a line for each. They have no types: all are strings. */
export function argumentLines(given: readonly PromptArgument[] = []): string[] {
  return table(
    given.slice(0, MAX_PARAMETERS).map(({ name, description = "", required = false }) => ({
      ...{ name, type: "", required },
      description,
    })),
  );
}

function table(rows: readonly Parameter[]): string[] {
  const cells = rows.map(({ name, type, required, description }) => [
    printable(name),
    printable([type, ...required ? ["required"] : []].filter(Boolean).join(", ")),
    clip(printable(description).trim(), MAX_DESCRIPTION),
  ]);
  const width = (column: number): number =>
    Math.min(MAX_WIDTH, Math.max(0, ...cells.map((row) => row[column]?.length ?? 0)));
  const widths = [width(0), width(1), 0];
  return cells.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()
  );
}

interface ArgumentPlace {
  readonly schema: unknown;
  /** The schema that references lead into. */
  readonly root: unknown;
  readonly prefix: string;
  readonly depth: number;
  readonly found: Parameter[];
}

function collect({ schema, root, prefix, depth, found }: ArgumentPlace): void {
  const { properties, required } = resolved(schema, root);
  if (!isObject(properties) || depth >= MAX_DEPTH) return;
  const names: readonly unknown[] = Array.isArray(required) ? required : [];
  for (const [key, value] of Object.entries(properties)) {
    if (found.length > MAX_PARAMETERS) return;
    const name = `${prefix}${key}`;
    const own = resolved(value, root);
    const text = isObject(value) && value["description"] !== undefined ? value : own;
    found.push({
      name,
      type: typeText(value, root),
      required: names.includes(key),
      description: descriptionOf(text),
    });
    collect({ schema: own, root, prefix: `${name}.`, depth: depth + 1, found });
    const { items } = own;
    collect({ schema: items, root, prefix: `${name}[].`, depth: depth + 1, found });
  }
}

function descriptionOf({ description, title, default: fallback }: JsonObject): string {
  const text = typeof description === "string"
    ? description
    : typeof title === "string"
    ? title
    : "";
  return fallback === undefined ? text : `${text} (default ${JSON.stringify(fallback)})`.trim();
}

/** Follows references within the schema. Others stay as they are: nothing is fetched. */
function resolved(schema: unknown, root: unknown): JsonObject {
  let current = schema;
  for (let step = 0; step < MAX_REFERENCES; step++) {
    if (!isObject(current)) return {};
    const { $ref } = current;
    if (typeof $ref !== "string" || !$ref.startsWith("#")) return current;
    current = pointed(root, $ref.slice(1));
  }
  return {};
}

/** Returns the value at a JSON Pointer (RFC 6901). */
function pointed(root: unknown, pointer: string): unknown {
  return pointer.split("/").slice(1).reduce((value: unknown, step) => {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }, root);
}

function typeText(schema: unknown, root: unknown): string {
  return clip(typeOf(schema, root, { left: MAX_SCHEMAS }), MAX_TYPE);
}

function typeOf(schema: unknown, root: unknown, schemas: { left: number }): string {
  if (schemas.left-- <= 0) return "…";
  const own = resolved(schema, root);
  const { type, enum: values, anyOf, oneOf, items } = own;
  if (own["const"] !== undefined) return JSON.stringify(own["const"]);
  if (Array.isArray(values)) {
    const shown = values.slice(0, MAX_VALUES).map((value) => JSON.stringify(value));
    return [...shown, ...values.length > MAX_VALUES ? ["…"] : []].join(" | ");
  }
  const choices = Array.isArray(anyOf) ? anyOf : oneOf;
  if (Array.isArray(choices)) {
    const types = choices.slice(0, MAX_VALUES).map((choice) => typeOf(choice, root, schemas));
    return [...new Set(types)].join(" | ");
  }
  if (type === "array") {
    const inner = typeOf(items, root, schemas);
    return inner.includes(" ") ? `(${inner})[]` : `${inner}[]`;
  }
  if (Array.isArray(type)) return type.join(" | ");
  if (typeof type === "string") return type;
  return isObject(own["properties"]) ? "object" : "any";
}
