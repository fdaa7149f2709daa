/**
 * Compiles any supported schema once, for all later validations.
 *
 * @module
 */
import type { MaybePromise } from "../../internal/types.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { compileBasicJsonSchema } from "./basic_json_schema.ts";
import { isShape, shapeSchema } from "./shape.ts";
import {
  isStandardSchema,
  type Schema,
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
