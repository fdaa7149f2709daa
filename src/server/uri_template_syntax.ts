/**
 * The syntax of URI templates (RFC 6570 §2): operators, expressions and literals.
 *
 * @module
 */

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

/** Leaves reserved characters and what is encoded already alone, too. */
export function encodeReserved(text: string): string {
  return encodeURI(text)
    .replaceAll("%5B", "[").replaceAll("%5D", "]")
    .replace(/%25([\dA-Fa-f]{2})/g, "%$1");
}
