/**
 * Standard Schema and Standard JSON Schema (standardschema.dev), typed structurally, and what types
 * come out of a schema.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";

/** A schema of any library that follows Standard Schema: zod, Valibot, ArkType and others. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** What the schema offers. */
  readonly "~standard": StandardProps<Input, Output>;
}

/** What a {@linkcode StandardSchema} offers. */
export interface StandardProps<Input = unknown, Output = Input> {
  /** The version of Standard Schema. */
  readonly version: 1;
  /** The library's name. */
  readonly vendor: string;
  /** Checks a value, at once where the schema allows it. */
  readonly validate: (value: unknown) => MaybePromise<StandardResult<Output>>;
  /** For inference alone; never there at run time. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  /** Tells the schema as JSON Schema, where the library can. */
  readonly jsonSchema?: StandardConverter | undefined;
}

/** Tells a schema as JSON Schema. */
export interface StandardConverter {
  /** What goes in, before defaults and transformations. */
  readonly input: (options: { readonly target: "draft-2020-12" }) => Record<string, unknown>;
  /** What comes out. */
  readonly output: (options: { readonly target: "draft-2020-12" }) => Record<string, unknown>;
}

/** What came of checking a value. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** What is wrong with a value, and where. */
export interface StandardIssue {
  /** What is wrong. */
  readonly message: string;
  /** Where: the keys that lead there from the value. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The fields of an object, each with its own schema. Keys that are not listed are left out. */
export type Shape = { readonly [name: string]: StandardSchema };

/** A JSON Schema, 2020-12 unless its `$schema` says otherwise. */
export type JsonSchema = JsonObject;

/** Everything that is taken as a schema. */
export type Schema = StandardSchema | Shape | JsonSchema;

/** The type that a schema takes. */
export type InferInput<S> = S extends StandardSchema ? NonNullable<S["~standard"]["types"]>["input"]
  : S extends Shape ? OptionalFields<{ [Name in keyof S]: InferInput<S[Name]> }>
  : Record<string, unknown>;

/** The type that a schema gives back. */
export type InferOutput<S> = S extends StandardSchema
  ? NonNullable<S["~standard"]["types"]>["output"]
  : S extends Shape ? OptionalFields<{ [Name in keyof S]: InferOutput<S[Name]> }>
  : Record<string, unknown>;

/** An object whose fields may be left out where they may be `undefined`. */
export type OptionalFields<T> =
  & { [Name in keyof T as undefined extends T[Name] ? never : Name]: T[Name] }
  & { [Name in keyof T as undefined extends T[Name] ? Name : never]?: T[Name] } extends infer Both
  ? { [Name in keyof Both]: Both[Name] }
  : never;

/** Whether a value follows Standard Schema. ArkType's are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard: unknown = Reflect.get(value, "~standard");
  return typeof standard === "object" && standard !== null && "validate" in standard;
}

/**
 * Adds its JSON Schema, written or converted by hand, to a schema whose library can't tell it.
 *
 * @param schema Any Standard Schema
 * @param jsonSchema The JSON Schema that clients are shown, for what goes in and what comes out
 */
export function withJsonSchema<Input, Output>(
  schema: StandardSchema<Input, Output>,
  jsonSchema: JsonSchema,
): StandardSchema<Input, Output> {
  const standard = schema["~standard"];
  const tell = () => ({ ...jsonSchema });
  return {
    "~standard": {
      version: 1,
      vendor: standard.vendor,
      validate: (value) => standard.validate(value),
      jsonSchema: { input: tell, output: tell },
    },
  };
}
