/**
 * Reads JSON that may have comments and trailing commas, and says where a text is broken.
 *
 * @module
 */
import { printParseErrorCode, visit } from "jsonc-parser";
import { clip } from "../internal/quote.ts";

/** Levels of nesting that a text may have. */
const MAX_DEPTH = 64;
/** Characters of a key that a message shows. */
const MAX_KEY_SHOWN = 100;

/** Thrown for a text that isn't JSON, with what to do at the first broken place. */
export class JsonError extends Error {
  override readonly name = "JsonError";
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in characters. */
  readonly column: number;

  constructor(message: string, text: string, offset: number) {
    super(offset < text.length ? message : `${message}: the text ends`);
    const lines = text.slice(0, offset).split("\n");
    this.line = lines.length;
    this.column = [...lines.at(-1) ?? ""].length + 1;
  }
}

/** The advice for each token that the parser expected but did not find. */
const EXPECTED = {
  key: "Put a key in double quotes here",
  colon: 'Put a ":" after the key',
  value: "Put a value here",
  member: 'Put a "," or "}" here',
  item: 'Put a "," or "]" here',
  end: "Leave out what follows the value",
} as const;

/** The advice for other errors, by the parser's names. */
const BROKEN: Readonly<Record<string, string>> = {
  CloseBraceExpected: 'Put a "}" here',
  CloseBracketExpected: 'Put a "]" here',
  UnexpectedEndOfComment: "Close this comment with */",
  UnexpectedEndOfString: "Close this text with a double quote, on its line",
  UnexpectedEndOfNumber: "Put digits where this number ends",
  InvalidUnicode: "Put four hexadecimal digits after \\u, or write each backslash here as \\\\",
  InvalidEscapeCharacter: "Write each backslash in this string as \\\\",
  InvalidCharacter: "Escape the control character in this text, such as a tab as \\t",
};

/**
 * Reads a JSON text.
 *
 * The values are made here and not by the parser: it assigns properties, so that a key `__proto__`
 * would change the prototype of its object. Here it is a property like any other.
 *
 * @throws {JsonError} If the text is broken, nested too deeply, or has the same key twice in an object
 */
export function parseJson(text: string): unknown {
  let result: unknown;
  let expected: keyof typeof EXPECTED = "value";
  /** The objects and lists that are not closed yet, the outermost first. */
  const open: (Map<string, unknown> | unknown[])[] = [];
  /** The keys that have no value yet, the outermost first. */
  const keys: string[] = [];

  const fail = (message: string, offset: number): never => {
    throw new JsonError(message, text, offset);
  };
  const enter = (offset: number): void => {
    if (open.length > MAX_DEPTH) fail(`Nest at most ${MAX_DEPTH} levels`, offset);
  };
  const add = (value: unknown): void => {
    const parent = open.at(-1);
    if (parent === undefined) result = value;
    else if (Array.isArray(parent)) parent.push(value);
    else parent.set(keys.pop() ?? "", value);
    expected = parent === undefined ? "end" : Array.isArray(parent) ? "item" : "member";
  };
  const leave = (): void => {
    const container = open.pop();
    add(container instanceof Map ? Object.fromEntries(container) : container);
  };

  visit(text, {
    onObjectBegin(offset) {
      enter(offset);
      open.push(new Map());
      expected = "key";
    },
    onObjectProperty(key, offset) {
      const parent = open.at(-1);
      if (parent instanceof Map && parent.has(key)) {
        const shown = JSON.stringify(clip(key, MAX_KEY_SHOWN));
        fail(`Leave out one of the two keys ${shown}`, offset);
      }
      keys.push(key);
      expected = "colon";
    },
    onObjectEnd: leave,
    onArrayBegin(offset) {
      enter(offset);
      open.push([]);
      expected = "value";
    },
    onArrayEnd: leave,
    onLiteralValue(value, offset) {
      enter(offset);
      add(value);
    },
    onSeparator(character) {
      expected = character === ":" || Array.isArray(open.at(-1)) ? "value" : "key";
    },
    onError(code, offset) {
      fail(BROKEN[printParseErrorCode(code)] ?? EXPECTED[expected], offset);
    },
  }, { allowTrailingComma: true });
  return result;
}
