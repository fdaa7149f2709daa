/**
 * URI templates (RFC 6570), levels 1 to 3.
 *
 * @module
 */
import { compileMatcher, type Matcher } from "./uri_matcher.ts";
import { encodeReserved, type Expression, parseTemplate } from "./uri_template_syntax.ts";

/** How many characters a template may have. */
const LONGEST = 2_048;

/** A template's variables and their values. */
export type Variables = Record<string, string>;

/**
 * A URI with variables in it, such as `"file:///{+path}"` or `"search://{index}{?q,limit}"`.
 *
 * @example
 * ```ts
 * import { UriTemplate } from "@mooring/mcp";
 *
 * const template = new UriTemplate("user://{id}{?view}");
 * console.assert(template.expand({ id: "a b" }) === "user://a%20b");
 * console.assert(template.match("user://a%20b?view=full")?.id === "a b");
 * ```
 */
export class UriTemplate {
  /** The variables' names, in order. */
  readonly variableNames: readonly string[];
  readonly #text: string;
  readonly #parts: readonly (string | Expression)[];
  readonly #matcher: Matcher;

  /**
   * Reads a template.
   *
   * @param template The template, of at most 2,048 characters
   * @throws {TypeError} If it is malformed, names a variable twice, or uses the modifiers of level 4
   * (`{list*}`, `{text:3}`)
   * @throws {RangeError} If it is too long
   */
  constructor(template: string) {
    if (template.length > LONGEST) {
      throw new RangeError(
        `Give at most ${LONGEST} characters of URI template: ${template.length}`,
      );
    }
    this.#text = template;
    this.#parts = parseTemplate(template);
    this.variableNames = this.#parts.flatMap((part) => typeof part === "string" ? [] : part.names);
    const twice = this.variableNames.find((name, at, all) => all.indexOf(name) !== at);
    if (twice !== undefined) {
      throw new TypeError(`Use each variable once in "${template}": ${twice}`);
    }
    this.#matcher = compileMatcher(this.#parts);
  }

  /** The template as it was given. */
  toString(): string {
    return this.#text;
  }

  /**
   * The URI with the variables filled in. Those that are missing leave nothing behind.
   *
   * @throws {URIError} If a value is not well-formed Unicode
   */
  expand(variables: Readonly<Record<string, string | undefined>>): string {
    return this.#parts.map((part) => {
      return typeof part === "string" ? part : expandExpression(part, variables);
    }).join("");
  }

  /**
   * The variables' values in a URI, or `undefined` when it doesn't fit. Where several readings fit,
   * earlier variables take as much as they can. Variables that the URI leaves out are missing; only
   * those of `{name}` and `{+name}` are always there, and never empty.
   *
   * Takes time in proportion to the length of the URI, and refuses one of more than 8,192 characters.
   * Values are decoded, so `{name}` may well hold a slash that was encoded in the URI.
   */
  match(uri: string): Variables | undefined {
    return this.#matcher(uri);
  }
}

function expandExpression(
  { operator, names }: Expression,
  variables: Readonly<Record<string, string | undefined>>,
): string {
  const { first, separator, named, bare, reserved } = operator;
  const values: string[] = [];
  for (const name of names) {
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (value === undefined) continue;
    const encoded = reserved ? encodeReserved(value) : encodeUnreserved(value);
    if (named) values.push(bare && encoded === "" ? name : `${name}=${encoded}`);
    else values.push(encoded);
  }
  return values.length === 0 ? "" : first + values.join(separator);
}

/** Leaves unreserved characters alone (RFC 3986 §2.3). */
function encodeUnreserved(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
}
