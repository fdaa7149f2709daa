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
  : S extends { readonly type: readonly (infer Name)[] }
    ? Name extends keyof JsonSchemaTypes<S> ? JsonSchemaTypes<S>[Name] : unknown
  : S extends { readonly type: infer Name extends keyof JsonSchemaTypes<S> }
    ? JsonSchemaTypes<S>[Name]
  : unknown;

/** The values of each `type` of a schema. */
export interface JsonSchemaTypes<S> {
  /** Texts. */
  readonly string: string;
  /** Numbers. */
  readonly number: number;
  /** Whole numbers. */
  readonly integer: number;
  /** `true` and `false`. */
  readonly boolean: boolean;
  /** `null`. */
  readonly null: null;
  /** Lists of what `items` says. */
  readonly array: (S extends { readonly prefixItems: unknown } ? unknown
    : S extends { readonly items: infer Items } ? JsonSchemaType<Items>
    : unknown)[];
  /** Objects with what `properties`, `required` and `additionalProperties` say. */
  readonly object: S extends { readonly properties: infer Properties }
    ? string extends keyof Properties ? Record<string, unknown>
    : [keyof Properties] extends [never] ? Record<string, unknown>
    :
      & JsonSchemaFields<
        Properties,
        S extends { readonly required: readonly (infer Name)[] }
          ? string extends Name ? never : Name
          : never
      >
      & (S extends { readonly additionalProperties: true | object } ? { [name: string]: unknown }
        : unknown)
    : S extends { readonly additionalProperties: infer Values extends object }
      ? Record<string, JsonSchemaType<Values>>
    : Record<string, unknown>;
}

/** The fields of an object whose schemas are `Properties`. Those that aren't `Needed` are optional. */
export type JsonSchemaFields<Properties, Needed> =
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
