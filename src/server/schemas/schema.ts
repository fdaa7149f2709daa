/**
 * Compiles any supported schema once, for all later validations, and describes what is wrong with a value.
 *
 * @module
 */
import { clip, quote } from "../../internal/quote.ts";
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { compileBasicJsonSchema } from "./basic_json_schema.ts";
import { isShape, shapeSchema } from "./shape.ts";
import {
  isStandardSchema,
  type Schema,
  type StandardIssue,
  type StandardProps,
  type StandardResult,
  type StandardSchema,
  WRITTEN_AS_JSON,
} from "./standard_schema.ts";

/** A compiled schema. */
export interface CompiledSchema {
  /** The JSON Schema that clients see. */
  readonly json: JsonObject;
  /** Validates a value, synchronously where the schema can. */
  validate(value: unknown): MaybePromise<StandardResult<unknown>>;
}

/**
 * Compiles a schema: of an object if it is for input, of anything if it is for output.
 *
 * @param schema A Standard Schema, an object of Standard Schemas, or a plain JSON Schema
 * @param side Whether clients see the schema of the input or of the output
 * @param what What the schema is for, in errors
 * @throws {TypeError} If it is not a schema, has no JSON Schema, or is for input and not of an object
 */
export function compileSchema(
  schema: Schema,
  side: "input" | "output",
  what: string,
): CompiledSchema {
  const compiled = compileAny(schema, side, what);
  if (side === "output" || compiled.json.type === "object") return compiled;
  throw new TypeError(
    `Give an object at the root of the ${what}: ${String(JSON.stringify(compiled.json.type))}`,
  );
}

function compileAny(schema: Schema, side: "input" | "output", what: string): CompiledSchema {
  if (isStandardSchema(schema)) return compileStandard(schema, side, what);
  if (!isObject(schema)) {
    throw new TypeError(`Give a Standard Schema or a JSON Schema as the ${what}: ${typeof schema}`);
  }
  if (isShape(schema)) return compileStandard(shapeSchema(schema), side, what);
  return compileBasicJsonSchema(schema, what);
}

function compileStandard(
  schema: StandardSchema,
  side: "input" | "output",
  what: string,
): CompiledSchema {
  const standard = schema["~standard"];
  if (standard.jsonSchema === undefined && standard.vendor === "valibot") {
    throw new TypeError(
      `Wrap the schema with toStandardJsonSchema() of "@valibot/to-json-schema" as the ${what}, ` +
        "or add a JSON Schema with withJsonSchema(): valibot",
    );
  }
  if (standard.jsonSchema === undefined) {
    throw new TypeError(
      `Give a schema that has a JSON Schema as the ${what}, such as zod's from 4.2 on, ` +
        `or add it with withJsonSchema(): ${standard.vendor}`,
    );
  }
  return {
    json: convert(standard, side, what),
    validate: (value) => standard.validate(value),
  };
}

function convert(
  { jsonSchema, vendor }: StandardProps,
  side: "input" | "output",
  what: string,
): JsonObject {
  try {
    const { $schema, ...json } = jsonSchema?.[side]({ target: "draft-2020-12" }) ?? {};
    // Without a `$schema` clients that know 2020-12 assume it, and older ones can still read it
    return $schema !== undefined && vendor === WRITTEN_AS_JSON ? { $schema, ...json } : json;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`Use only what JSON Schema can express in the ${what}: ${reason}`, {
      cause,
    });
  }
}

/** The most issues in one message. */
const MOST = 20;
/** Limits a message or path of an issue, in characters. */
const LONGEST = 200;

/**
 * Validates the arguments of a tool or prompt. The value is what the handler gets: the output of the
 * schema, or `{}` without a schema.
 *
 * @throws {McpError} With -32602, if they are not an object
 */
export function validateArguments(
  schema: CompiledSchema | undefined,
  given: unknown = {},
): MaybePromise<StandardResult<unknown>> {
  if (!isObject(given)) {
    throw new McpError(ErrorCode.InvalidParams, 'Give an object as "arguments"');
  }
  return schema === undefined ? { value: {} } : schema.validate(given);
}

/**
 * Validates the arguments of a prompt, and returns what its handler gets.
 *
 * @throws {McpError} With -32602, if they don't match the schema (2025-11-25, Prompts, Error
 * Handling)
 */
export function checkArguments(
  schema: CompiledSchema | undefined,
  given: unknown,
): MaybePromise<unknown> {
  const checked = validateArguments(schema, given);
  return isPromise(checked) ? checked.then(valueOf) : valueOf(checked);
}

function valueOf(checked: StandardResult<unknown>): unknown {
  if (checked.issues === undefined) return checked.value;
  throw new McpError(ErrorCode.InvalidParams, describeIssues(checked.issues, "the arguments"));
}

/**
 * Describes issues as instructions, such as `Fix "a.b[0]": Expected number`. The length is bounded,
 * whatever the issues are.
 *
 * @param whole The name of the value itself, for issues without a path
 * @param lead The words before the first issue: for who can mend the value, by default
 */
export function describeIssues(
  issues: readonly StandardIssue[],
  whole: string,
  lead = "Fix",
): string {
  const described = issues.slice(0, MOST).map(({ message, path }) => {
    return `${readablePath(path) || whole}: ${clip(message, LONGEST)}`;
  });
  const more = issues.length > MOST ? ` (and ${issues.length - MOST} more)` : "";
  return `${lead} ${described.join("; ")}${more}`;
}

function readablePath(path: StandardIssue["path"]): string {
  let text = "";
  for (const segment of path ?? []) {
    const key = typeof segment === "object" ? segment.key : segment;
    if (typeof key === "number") text += `[${key}]`;
    else text += text === "" ? String(key) : `.${String(key)}`;
  }
  return text === "" ? "" : quote(text, LONGEST);
}
