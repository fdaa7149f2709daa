/**
 * Any schema, made ready once for all the checks to come.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { compileJsonSchema } from "./json_schema.ts";
import { isShape, shapeSchema } from "./shape.ts";
import {
  isStandardSchema,
  type Schema,
  type StandardResult,
  type StandardSchema,
} from "./standard_schema.ts";

/** A schema that is ready for use. */
export interface CompiledSchema {
  /** What clients are shown. */
  readonly json: JsonObject;
  /** Checks a value, at once where the schema allows it. */
  validate(value: unknown): MaybePromise<StandardResult<unknown>>;
}

/**
 * Makes a schema of an object ready for use.
 *
 * @param schema A Standard Schema, an object of them, or a plain JSON Schema
 * @param side Whether clients are shown what goes in or what comes out
 * @param what What the schema is for, for errors
 * @throws {TypeError} If it is no schema, can't be told as JSON Schema, or isn't one of an object
 */
export function compileSchema(
  schema: Schema,
  side: "input" | "output",
  what: string,
): CompiledSchema {
  const compiled = compileAny(schema, side, what);
  if (compiled.json.type === "object") return compiled;
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
  return compileJsonSchema(schema, what);
}

function compileStandard(
  schema: StandardSchema,
  side: "input" | "output",
  what: string,
): CompiledSchema {
  const standard = schema["~standard"];
  if (standard.jsonSchema === undefined) {
    throw new TypeError(
      `Give a schema that tells its JSON Schema as the ${what}, such as zod's from 4.2 on, ` +
        `or add it with withJsonSchema(): ${standard.vendor}`,
    );
  }
  return {
    json: convert(() => standard.jsonSchema?.[side]({ target: "draft-2020-12" }) ?? {}, what),
    validate: (value) => standard.validate(value),
  };
}

function convert(tell: () => JsonObject, what: string): JsonObject {
  try {
    // Without a dialect it is 2020-12 to those who know that one, and readable to those who don't
    const { $schema: _, ...json } = tell();
    return json;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`Use only what JSON Schema can tell in the ${what}: ${reason}`, { cause });
  }
}
