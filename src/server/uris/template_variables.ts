/**
 * Infers the variables of a URI template from its text.
 *
 * @module
 */

/** Maps the variables of a template to their values. */
export type Variables = Record<string, string>;

/**
 * Infers the variables of a URI template that is written as a literal: `"x://{id}{?q}"` has
 * `{ id: string; q?: string }`. Those that a URI may omit are optional: all but the first of `{…}` and
 * `{+…}`. A template whose text the compiler doesn't know has any variables.
 */
export type TemplateVariables<Template extends string> = { readonly [key: string]: never } extends
  { readonly [Key in Template]: 1 } ? Variables
  :
    & { [Name in TemplateNames<Template, "always">]: string }
    & { [Name in TemplateNames<Template, "maybe">]?: string } extends infer Both
    ? { [Name in keyof Both]: Both[Name] }
  : never;

/** The names of a template's variables: those that are always in a URI, or those that may be. */
export type TemplateNames<Template extends string, Which extends "always" | "maybe"> =
  Template extends `${string}{${infer Expression}}${infer Rest}`
    ? ExpressionNames<Expression, Which> | TemplateNames<Rest, Which>
    : never;

/**
 * The names in one expression, which is what stands between braces. Behind most operators all of them may
 * be missing, as if they came after a first one (RFC 6570 §3.2).
 */
export type ExpressionNames<Expression extends string, Which extends "always" | "maybe"> =
  Expression extends `${"#" | "." | "/" | ";" | "?" | "&"}${infer Names}`
    ? ExpressionNames<`,${Names}`, Which>
    : Expression extends `+${infer Names}` ? ExpressionNames<Names, Which>
    : Expression extends `,${infer Name},${infer Rest}`
      ? (Which extends "maybe" ? Name : never) | ExpressionNames<`,${Rest}`, Which>
    : Expression extends `,${infer Name}` ? Which extends "maybe" ? Name : never
    : Expression extends `${infer Name},${infer Rest}`
      ? (Which extends "always" ? Name : never) | ExpressionNames<`,${Rest}`, Which>
    : Which extends "always" ? Expression
    : never;
