/**
 * Implements URI templates (RFC 6570), levels 1 to 3: expansion and matching.
 *
 * @module
 */
import type { Variables } from "./template_variables.ts";
import { compileMatcher, type UriMatcher } from "./uri_matcher.ts";
import { encodeReserved, type Expression, parseTemplate } from "./uri_template_syntax.ts";

/** The greatest length of a template, in characters. */
const LONGEST = 2_048;

/**
 * Represents a URI with variables, such as `"file:///{+path}"` or `"search://{index}{?q,limit}"`.
 *
 * @example
 * ```ts
 * import { UriTemplate } from "@mooring/mcp";
 *
 * const template = new UriTemplate("user://{id}{?view}");
 * console.assert(template.expand({ id: "a b" }) === "user://a%20b");
 * console.assert(template.match("user://a%20b?view=full")?.id === "a b");
 * ```
 *
 * @typeParam Template The text of the template, where the compiler knows it
 */
export class UriTemplate<Template extends string = string> {
  /** The names of the variables, in order. */
  readonly variableNames: readonly string[];
  readonly #text: Template;
  readonly #parts: readonly (string | Expression)[];
  readonly #matcher: UriMatcher;

  /**
   * Parses a template.
   *
   * @param template The template, of at most 2,048 characters
   * @throws {TypeError} If it is malformed, names a variable twice, or uses the modifiers of level 4
   * (`{list*}`, `{text:3}`)
   * @throws {RangeError} If it is too long
   */
  constructor(template: Template) {
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

  /** Returns the template as it was given. */
  toString(): Template {
    return this.#text;
  }

  /**
   * Returns the URI with the variables filled in. Expressions without a value expand to nothing.
   *
   * @throws {URIError} If a value is not well-formed Unicode
   */
  expand(variables: Readonly<Record<string, string | undefined>>): string {
    return this.#parts.map((part) => {
      return typeof part === "string" ? part : expandExpression(part, variables);
    }).join("");
  }

  /**
   * Returns the values of the variables in a URI, or `undefined` when it doesn't match. Where
   * several matches are possible, earlier variables take as much as they can. Variables that the
   * URI omits are missing; only those of `{name}` and `{+name}` are always present, and never
   * empty.
   *
   * Runs in time proportional to the length of the URI; a URI of more than 8,192 characters never
   * matches. Values are decoded, so `{name}` may contain a slash that was encoded in the URI.
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

/** Encodes everything except unreserved characters (RFC 3986 §2.3). */
function encodeUnreserved(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
}
