/**
 * An object's fields, each with its own schema, made into one schema.
 *
 * @module
 */
import { isPromise } from "../internal/types.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import {
  isStandardSchema,
  type Shape,
  type StandardIssue,
  type StandardResult,
  type StandardSchema,
} from "./standard_schema.ts";

type Side = "input" | "output";

/** Whether a value is a {@linkcode Shape}: an object that holds nothing but schemas, or nothing. */
export function isShape(value: JsonObject): value is Shape {
  return Object.values(value).every(isStandardSchema);
}

/** One schema for an object with the given fields. What else a value holds is left out. */
export function shapeSchema(shape: Shape): StandardSchema<unknown, JsonObject> {
  const fields = Object.entries(shape);
  return {
    "~standard": {
      version: 1,
      vendor: "mooring",
      validate: (value) => validateShape(fields, value),
      jsonSchema: { input: () => tell(fields, "input"), output: () => tell(fields, "output") },
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
  // The line above has seen that none is a promise
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

function tell(fields: readonly [string, StandardSchema][], side: Side): Record<string, unknown> {
  const properties: [string, JsonObject][] = [];
  const required: string[] = [];
  for (const [name, schema] of fields) {
    properties.push([name, tellField(name, schema, side)]);
    if (!mayBeAbsent(schema)) required.push(name);
  }
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    ...(required.length > 0 ? { required } : {}),
  };
}

function tellField(name: string, schema: StandardSchema, side: Side): JsonObject {
  const convert = schema["~standard"].jsonSchema?.[side];
  if (convert === undefined) {
    throw new TypeError(`Give the field a schema that tells its JSON Schema: "${name}"`);
  }
  const { $schema: _, ...json } = convert({ target: "draft-2020-12" });
  // A reference points to the root of the document, which this field is not
  if (JSON.stringify(json).includes('"$ref":')) {
    throw new TypeError(
      `Make the fields one object schema, as this one refers to itself: "${name}"`,
    );
  }
  return json;
}

function mayBeAbsent(schema: StandardSchema): boolean {
  const result = schema["~standard"].validate(undefined);
  if (!isPromise(result)) return result.issues === undefined;
  // Nobody waits for it, and a rejection must not go unhandled
  result.catch(() => {});
  return false;
}
