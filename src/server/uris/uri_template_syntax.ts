/**
 * Parses URI templates: operators, expressions and literals (RFC 6570 §2).
 *
 * @module
 */

/** What an operator does to the variables after it (RFC 6570 §3.2, appendix A). */
export interface ExpressionOperator {
  /** Precedes the first variable. */
  readonly first: string;
  /** Precedes every other variable. */
  readonly separator: string;
  /** Whether the variable's name precedes its value. */
  readonly named: boolean;
  /** Whether a name without a value is written without `=`. */
  readonly bare: boolean;
  /** Whether reserved characters are left unencoded. */
  readonly reserved: boolean;
  /** The characters that end a value, which it can't contain. */
  readonly ends: string;
}

function operator(
  first: string,
  separator: string,
  rest: Partial<ExpressionOperator>,
): ExpressionOperator {
  return { first, separator, named: false, bare: false, reserved: false, ends: "/?#,&", ...rest };
}

const SIMPLE = operator("", ",", {});
const OPERATORS: ReadonlyMap<string, ExpressionOperator> = new Map([
  ["+", operator("", ",", { reserved: true, ends: "" })],
  ["#", operator("#", ",", { reserved: true, ends: "" })],
  [".", operator(".", ".", {})],
  ["/", operator("/", "/", {})],
  [";", operator(";", ";", { named: true, bare: true, ends: "/?#,&;" })],
  ["?", operator("?", "&", { named: true, ends: "#&" })],
  ["&", operator("&", "&", { named: true, ends: "#&" })],
]);

/** The variables of one operator. */
export interface Expression {
  readonly operator: ExpressionOperator;
  readonly names: readonly string[];
}

/**
 * Parses a template into its literals, already encoded, and its expressions.
 *
 * @throws {TypeError} If the template is malformed or uses the modifiers of level 4
 */
export function parseTemplate(template: string): (string | Expression)[] {
  const parts: (string | Expression)[] = [];
  let at = 0;
  while (at < template.length) {
    const open = template.indexOf("{", at);
    const literal = template.slice(at, open === -1 ? undefined : open);
    if (literal.includes("}")) throw new TypeError(`Add a "{" for every "}" in "${template}"`);
    if (literal !== "") parts.push(encodeReserved(literal));
    if (open === -1) break;
    const close = template.indexOf("}", open);
    if (close === -1) throw new TypeError(`Add a "}" for every "{" in "${template}"`);
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
        `Use only letters, digits and "_" in variable names of "${template}": {${text}}`,
      );
    }
  }
  return { operator: operator ?? SIMPLE, names };
}

/** Encodes everything except reserved and unreserved characters and existing percent-encodings. */
export function encodeReserved(text: string): string {
  return encodeURI(text)
    .replaceAll("%5B", "[").replaceAll("%5D", "]")
    .replace(/%25([\dA-Fa-f]{2})/g, "%$1");
}
