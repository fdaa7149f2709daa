/**
 * Infers the type of the values of a JSON Schema whose text the compiler knows.
 *
 * @module
 */

/**
 * Infers the values of a plain JSON Schema, as far as `type`, `enum`, `const`, `properties`, `required`,
 * `items` and `additionalProperties` say. What the compiler can't tell is `unknown`: a schema without
 * these keywords, or one that isn't a literal.
 *
 * @example
 * ```ts
 * import type { JsonSchemaType } from "@mooring/mcp";
 *
 * const schema = {
 *   type: "object",
 *   properties: { title: { type: "string" }, pages: { type: ["integer", "null"] } },
 *   required: ["title"],
 * } as const;
 * const book: JsonSchemaType<typeof schema> = { title: "Emma", pages: null };
 * console.assert(book.pages === null);
 * ```
 */
export type JsonSchemaType<S> = S extends { readonly const: infer Value } ? Value
  : S extends { readonly enum: readonly (infer Value)[] } ? Value
  : S extends { readonly type: infer Type } ? ValueOf<NamesOfType<Type>, S>
  : unknown;

type NamesOfType<Type> = Type extends readonly (infer Name)[] ? Name : Type;

type ValueOf<Name, S> = Name extends "string" ? string
  : Name extends "number" | "integer" ? number
  : Name extends "boolean" ? boolean
  : Name extends "null" ? null
  : Name extends "array" ? ItemOf<S>[]
  : Name extends "object" ? ObjectOf<S>
  : unknown;

type ItemOf<S> = S extends { readonly prefixItems: unknown } ? unknown
  : S extends { readonly items: infer Items } ? JsonSchemaType<Items>
  : unknown;

type ObjectOf<S> = S extends { readonly properties: infer Properties }
  ? string extends keyof Properties ? Record<string, unknown>
  : [keyof Properties] extends [never] ? Record<string, unknown>
  : Fields<Properties, RequiredName<S>> & Extra<S>
  : S extends { readonly additionalProperties: infer Values extends object }
    ? Record<string, JsonSchemaType<Values>>
  : Record<string, unknown>;

/** The names that `required` lists, where the compiler knows them. */
type RequiredName<S> = S extends { readonly required: readonly (infer Name)[] }
  ? string extends Name ? never : Name
  : never;

type Fields<Properties, Needed> =
  & {
    -readonly [Name in keyof Properties as Name extends Needed ? Name : never]: JsonSchemaType<
      Properties[Name]
    >;
  }
  & {
    -readonly [Name in keyof Properties as Name extends Needed ? never : Name]?: JsonSchemaType<
      Properties[Name]
    >;
  } extends infer Both ? { [Name in keyof Both]: Both[Name] } : never;

/** Other fields, where the schema says that there are some. */
type Extra<S> = S extends { readonly additionalProperties: true | object }
  ? { [name: string]: unknown }
  : unknown;
