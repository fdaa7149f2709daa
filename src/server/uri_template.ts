/**
 * URI templates (RFC 6570), levels 1 to 3.
 *
 * @module
 */
import { compileMatcher, type Matcher } from "./uri_matcher.ts";

/** How many characters a template may have. */
const LONGEST = 2_048;

/** What an operator does to the variables after it (RFC 6570 §3.2, appendix A). */
export interface Operator {
  /** What stands before the first variable. */
  readonly first: string;
  /** What stands before every other variable. */
  readonly separator: string;
  /** Whether a variable's name stands before its value. */
  readonly named: boolean;
  /** Whether a name without a value stands without `=` too. */
  readonly bare: boolean;
  /** Whether reserved characters stay as they are. */
  readonly reserved: boolean;
  /** What a value never holds: the characters that end it. */
  readonly ends: string;
}

function operator(first: string, separator: string, rest: Partial<Operator>): Operator {
  return { first, separator, named: false, bare: false, reserved: false, ends: "/?#,&", ...rest };
}

const SIMPLE = operator("", ",", {});
const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ["+", operator("", ",", { reserved: true, ends: "" })],
  ["#", operator("#", ",", { reserved: true, ends: "" })],
  [".", operator(".", ".", {})],
  ["/", operator("/", "/", {})],
  [";", operator(";", ";", { named: true, bare: true, ends: "/?#,&;" })],
  ["?", operator("?", "&", { named: true, ends: "#&" })],
  ["&", operator("&", "&", { named: true, ends: "#&" })],
]);

/** Variables behind one operator. */
export interface Expression {
  readonly operator: Operator;
  readonly names: readonly string[];
}

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
    this.#parts = parse(template);
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

function parse(template: string): (string | Expression)[] {
  const parts: (string | Expression)[] = [];
  let at = 0;
  while (at < template.length) {
    const open = template.indexOf("{", at);
    const literal = template.slice(at, open === -1 ? undefined : open);
    if (literal.includes("}")) throw new TypeError(`Open what is closed in "${template}": "}"`);
    if (literal !== "") parts.push(encodeReserved(literal));
    if (open === -1) break;
    const close = template.indexOf("}", open);
    if (close === -1) throw new TypeError(`Close what is open in "${template}": "{"`);
    parts.push(parseExpression(template.slice(open + 1, close), template));
    at = close + 1;
  }
  return parts;
}

function parseExpression(text: string, template: string): Expression {
  const operator = OPERATORS.get(text.charAt(0));
  const names = (operator === undefined ? text : text.slice(1)).split(",");
  for (const name of names) {
    if (/[*:]/.test(name)) {
      throw new TypeError(
        `Leave out the modifiers of RFC 6570 level 4 in "${template}": {${text}}`,
      );
    }
    if (!/^(?:\w|%[\dA-Fa-f]{2})+(?:\.(?:\w|%[\dA-Fa-f]{2})+)*$/.test(name)) {
      throw new TypeError(
        `Name the variables by letters, digits and _ in "${template}": {${text}}`,
      );
    }
  }
  return { operator: operator ?? SIMPLE, names };
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

/** Leaves reserved characters and what is encoded already alone, too. */
function encodeReserved(text: string): string {
  return encodeURI(text)
    .replaceAll("%5B", "[").replaceAll("%5D", "]")
    .replace(/%25([\dA-Fa-f]{2})/g, "%$1");
}
