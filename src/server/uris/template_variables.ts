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
export type TemplateVariables<Template extends string> = IsLiteral<Template> extends true
  ? Merged<Required<Template>, Optional<Template>>
  : Variables;

/** Whether a type is one text, not all texts or all of a pattern. */
type IsLiteral<Text extends string> = { readonly [Key in Text]: 1 } extends infer Keyed
  ? { readonly [key: string]: never } extends Keyed ? false : true
  : never;

/** All texts between braces. */
type Expressions<Template extends string> = Template extends
  `${string}{${infer Expression}}${infer Rest}` ? Expression | Expressions<Rest> : never;

/** The operators whose variables may all be missing in a URI (RFC 6570 §3.2). */
type OptionalOperator = "#" | "." | "/" | ";" | "?" | "&";

type Required<Template extends string> = RequiredOf<Expressions<Template>>;
type RequiredOf<Expression extends string> = Expression extends `${OptionalOperator}${string}`
  ? never
  : First<Expression extends `+${infer Names}` ? Names : Expression>;

type Optional<Template extends string> = OptionalOf<Expressions<Template>>;
type OptionalOf<Expression extends string> = Expression extends `${OptionalOperator}${infer Names}`
  ? Split<Names>
  : Expression extends `${string},${infer Names}` ? Split<Names>
  : never;

type First<Names extends string> = Names extends `${infer Name},${string}` ? Name : Names;
type Split<Names extends string> = Names extends `${infer Name},${infer Rest}` ? Name | Split<Rest>
  : Names;

type Merged<Needed extends string, Omitted extends string> =
  & { [Name in Needed]: string }
  & { [Name in Omitted]?: string } extends infer Both ? { [Name in keyof Both]: Both[Name] }
  : never;
