/**
 * Declares Standard Schema and Standard JSON Schema (standardschema.dev) structurally, and infers
 * types from schemas.
 *
 * @module
 */
import type { MaybePromise } from "../../internal/types.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import type { JsonSchemaType } from "./json_schema_type.ts";

/**
 * Represents a schema of any library that implements Standard Schema: zod, Valibot, ArkType and
 * others.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The properties of Standard Schema. */
  readonly "~standard": StandardProps<Input, Output>;
}

/** The properties of a {@linkcode StandardSchema}. */
export interface StandardProps<Input = unknown, Output = Input> {
  /** The version of Standard Schema. */
  readonly version: 1;
  /** The name of the library. */
  readonly vendor: string;
  /** Validates a value, synchronously where the schema can. */
  readonly validate: (value: unknown) => MaybePromise<StandardResult<Output>>;
  /** Carries the types for inference; absent at run time. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  /** Converts the schema to JSON Schema, where the library can. */
  readonly jsonSchema?: StandardConverter | undefined;
}

/** Converts a schema to JSON Schema. */
export interface StandardConverter {
  /** Converts the input side, before defaults and transformations. */
  readonly input: (options: { readonly target: "draft-2020-12" }) => Record<string, unknown>;
  /** Converts the output side. */
  readonly output: (options: { readonly target: "draft-2020-12" }) => Record<string, unknown>;
}

/** The result of a validation: the validated value, or issues. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** The vendor of schemas whose JSON Schema is sent as it is written, with its dialect. */
export const WRITTEN_AS_JSON = "json-schema";

/** What is wrong with a value, and where. */
export interface StandardIssue {
  /** What is wrong. */
  readonly message: string;
  /** Locates the issue: the keys that lead to it from the value. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Maps the fields of an object to their schemas. Values of other fields are dropped. */
export type Shape = { readonly [name: string]: StandardSchema };

/**
 * Represents a JSON Schema of draft 2020-12, unless its `$schema` says otherwise. Where a schema is
 * expected, plain JSON Schema has these keywords: `type`, `enum` and `const` of primitive values,
 * `properties`, `required`, `additionalProperties`, `items`, `allOf`, `anyOf`, `oneOf`, `pattern`, all
 * limits (`minimum`, `maxLength` …) but `multipleOf`, the formats `date`, `date-time`, `email` and `uri`,
 * annotations, and names that begin with `x-`. For others use `fromJsonSchema`.
 */
export type JsonSchema = JsonObject;

/** Everything that is accepted as a schema. */
export type Schema = StandardSchema | Shape | JsonSchema;

/** Infers the type that a schema takes. */
export type InferInput<S> = S extends StandardSchema ? NonNullable<S["~standard"]["types"]>["input"]
  : S extends Shape ? OptionalFields<{ -readonly [Name in keyof S]: InferInput<S[Name]> }>
  : Known<JsonSchemaType<S>>;

/** Infers the type that a schema returns. */
export type InferOutput<S> = S extends StandardSchema
  ? NonNullable<S["~standard"]["types"]>["output"]
  : S extends Shape ? OptionalFields<{ -readonly [Name in keyof S]: InferOutput<S[Name]> }>
  : Known<JsonSchemaType<S>>;

/** Any object, where the compiler can't tell more. */
type Known<T> = unknown extends T ? Record<string, unknown> : T;

/** Makes the fields of an object optional that may be `undefined`. */
export type OptionalFields<T> =
  & { [Name in keyof T as undefined extends T[Name] ? never : Name]: T[Name] }
  & { [Name in keyof T as undefined extends T[Name] ? Name : never]?: T[Name] } extends infer Both
  ? { [Name in keyof Both]: Both[Name] }
  : never;

/** Tells whether a value implements Standard Schema. Schemas of ArkType are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard: unknown = Reflect.get(value, "~standard");
  return typeof standard === "object" && standard !== null && "validate" in standard;
}

/**
 * Adds a JSON Schema, written or converted by hand, to a schema whose library can't provide one.
 *
 * @param schema Any Standard Schema
 * @param jsonSchema The JSON Schema that clients see, for input and output
 * @returns A schema that validates as the given one does
 */
export function withJsonSchema<Input, Output>(
  schema: StandardSchema<Input, Output>,
  jsonSchema: JsonSchema,
): StandardSchema<Input, Output> {
  const standard = schema["~standard"];
  const convert = () => ({ ...jsonSchema });
  return {
    "~standard": {
      version: 1,
      vendor: standard.vendor,
      validate: (value) => standard.validate(value),
      jsonSchema: { input: convert, output: convert },
    },
  };
}
