/**
 * Combines an object of schemas, one for each field, into one schema.
 *
 * @module
 */
import { isPromise } from "../../internal/types.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import {
  isStandardSchema,
  type Shape,
  type StandardIssue,
  type StandardResult,
  type StandardSchema,
} from "./standard_schema.ts";

type ShapeSide = "input" | "output";

/**
 * Tells whether a value is a {@linkcode Shape}: an object whose values are all Standard Schemas. An
 * empty object is one.
 */
export function isShape(value: JsonObject): value is Shape {
  return Object.values(value).every(isStandardSchema);
}

/**
 * Creates one schema from the schemas of an object's fields. Validated values have no other fields.
 */
export function shapeSchema(shape: Shape): StandardSchema<unknown, JsonObject> {
  const fields = Object.entries(shape);
  return {
    "~standard": {
      version: 1,
      vendor: "mooring",
      validate: (value) => validateShape(fields, value),
      jsonSchema: {
        input: () => jsonSchema(fields, "input"),
        output: () => jsonSchema(fields, "output"),
      },
    },
  };
}

function validateShape(fields: readonly [string, StandardSchema][], value: unknown) {
  if (!isObject(value)) return { issues: [{ message: "Expected object" }] };
  const results = fields.map(([name, schema]) => {
    return schema["~standard"].validate(Object.hasOwn(value, name) ? value[name] : undefined);
  });
  if (results.some(isPromise)) {
    return Promise.all(results).then((settled) => gather(fields, settled));
  }
  // The check above found no promise
  return gather(fields, results as StandardResult<unknown>[]);
}

function gather(
  fields: readonly [string, StandardSchema][],
  results: readonly StandardResult<unknown>[],
): StandardResult<JsonObject> {
  const issues: StandardIssue[] = [];
  const values: [string, unknown][] = [];
  for (const [index, result] of results.entries()) {
    const name = fields[index]?.[0] ?? "";
    if (result.issues !== undefined) {
      for (const { message, path } of result.issues) {
        issues.push({ message, path: [name, ...(path ?? [])] });
      }
    } else if (result.value !== undefined) {
      values.push([name, result.value]);
    }
  }
  return issues.length > 0 ? { issues } : { value: Object.fromEntries(values) };
}

function jsonSchema(
  fields: readonly [string, StandardSchema][],
  side: ShapeSide,
): Record<string, unknown> {
  const properties: [string, JsonObject][] = [];
  const required: string[] = [];
  for (const [name, schema] of fields) {
    properties.push([name, fieldJsonSchema(name, schema, side)]);
    if (!isOptional(schema)) required.push(name);
  }
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    ...(required.length > 0 ? { required } : {}),
  };
}

function fieldJsonSchema(name: string, schema: StandardSchema, side: ShapeSide): JsonObject {
  const convert = schema["~standard"].jsonSchema?.[side];
  if (convert === undefined) {
    throw new TypeError(`Give the field a schema that has a JSON Schema: "${name}"`);
  }
  const { $schema: _, ...json } = convert({ target: "draft-2020-12" });
  // A reference is relative to the root of the document, which this field is not
  if (JSON.stringify(json).includes('"$ref":')) {
    throw new TypeError(
      `Use one object schema for all fields, because this field's schema has references: "${name}"`,
    );
  }
  return json;
}

function isOptional(schema: StandardSchema): boolean {
  const result = schema["~standard"].validate(undefined);
  if (!isPromise(result)) return result.issues === undefined;
  // Its result is not needed, and a rejection must not be unhandled
  result.catch(() => {});
  return false;
}
