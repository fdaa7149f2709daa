/**
 * Reads JSON that may have comments and trailing commas, and says where a text is broken.
 *
 * @module
 */
import { findNodeAtLocation, type Node, parseTree, printParseErrorCode, visit } from "jsonc-parser";
import { clip } from "../../kit.ts";

/** Levels of nesting that a text may have. */
const MAX_DEPTH = 64;
/** Characters of a key that a message shows. */
const MAX_KEY_SHOWN = 100;

/** The number of mistakes that are reported: one often leads to more. */
const MAX_FAULTS = 20;

/** A mistake in a text, with what to do. */
export interface JsonFault {
  readonly message: string;
  /** Counted from 0, in UTF-16 code units. */
  readonly offset: number;
}

/** A place in a text. */
export interface TextPosition {
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in characters. */
  readonly column: number;
}

/** Returns the line and the column of an offset. */
export function positionAt(text: string, offset: number): TextPosition {
  const lines = text.slice(0, offset).split("\n");
  return { line: lines.length, column: [...lines.at(-1) ?? ""].length + 1 };
}

/** Thrown for a text that isn't JSON, with what to do at the first broken place. */
export class JsonError extends Error implements TextPosition {
  override readonly name = "JsonError";
  readonly line: number;
  readonly column: number;
  /** All mistakes, at most one for each line; this error is the first. */
  readonly faults: readonly JsonFault[];

  constructor(text: string, faults: readonly [JsonFault, ...JsonFault[]]) {
    const [{ message, offset }] = faults;
    super(message);
    ({ line: this.line, column: this.column } = positionAt(text, offset));
    this.faults = faults;
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

/** A value, and the keys that stand twice in an object of it: the first one counts. */
export interface ReadJson {
  readonly value: unknown;
  readonly duplicates: readonly JsonFault[];
}

/**
 * Reads a JSON text.
 *
 * @throws {JsonError} If the text is broken, nested too deeply, or has the same key twice in an object
 */
export function parseJson(text: string): unknown {
  const { value, duplicates: [first, ...others] } = readJson(text);
  if (first !== undefined) throw new JsonError(text, [first, ...others]);
  return value;
}

/**
 * Reads a JSON text, which may have the same key twice in an object.
 *
 * The values are made here and not by the parser: it assigns properties, so that a key `__proto__`
 * would change the prototype of its object. Here it is a property like any other.
 *
 * @throws {JsonError} If the text is broken, or nested too deeply
 */
export function readJson(text: string): ReadJson {
  let result: unknown;
  let expected: keyof typeof EXPECTED = "value";
  /** The objects and lists that are not closed yet, the outermost first. */
  const open: (Map<string, unknown> | unknown[])[] = [];
  /** The keys that have no value yet, the outermost first. */
  const keys: string[] = [];
  const faults: JsonFault[] = [];
  const duplicates: JsonFault[] = [];
  /** Where the line after that of the last mistake begins. */
  let nextLine = 0;

  /** Where a text that isn't closed has taken the rest of its line, with the comma. */
  let swallowed = -1;
  /** The parser goes on after a mistake. What follows on the same line is mostly a consequence of it. */
  const note = (message: string, offset: number, code: string): void => {
    const follows = swallowed !== -1 && text.slice(swallowed, offset).trim() === "";
    if (offset < nextLine || follows) return;
    if (code === "UnexpectedEndOfString") swallowed = endOfLine(text, offset);
    nextLine = endOfLine(text, offset) + 1;
    const ends = offset >= text.length ? ": the text ends" : "";
    if (faults.length < MAX_FAULTS) faults.push({ message: `${message}${ends}`, offset });
  };
  const enter = (offset: number): void => {
    if (open.length <= MAX_DEPTH) return;
    const fault = { message: `Nest at most ${MAX_DEPTH} levels`, offset };
    throw new JsonError(text, [faults[0] ?? fault, ...faults.slice(1)]);
  };
  const add = (value: unknown): void => {
    const parent = open.at(-1);
    if (parent === undefined) result = value;
    else if (Array.isArray(parent)) parent.push(value);
    else {
      const key = keys.pop() ?? "";
      if (!parent.has(key)) parent.set(key, value);
    }
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
      if (parent instanceof Map && parent.has(key) && duplicates.length < MAX_FAULTS) {
        const shown = JSON.stringify(clip(key, MAX_KEY_SHOWN));
        duplicates.push({ message: `Leave out one of the two keys ${shown}`, offset });
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
      if (expected === "item" && text[offset] === ":") {
        note('Close the list with a "]" before this key', offset, "");
        // All that follows is in the wrong place
        nextLine = Infinity;
        return;
      }
      const name = printParseErrorCode(code);
      note(BROKEN[name] ?? EXPECTED[expected], offset, name);
    },
  }, { allowTrailingComma: true });
  const [first, ...others] = faults;
  if (first !== undefined) throw new JsonError(text, [first, ...others]);
  return { value: result, duplicates };
}

/** Returns where the line ends that a place is on. */
function endOfLine(text: string, offset: number): number {
  const end = text.indexOf("\n", offset);
  return end === -1 ? Infinity : end;
}

/**
 * Finds where the values of a JSON text stand. The text is parsed by the first call of the returned function.
 *
 * @returns A function from a path to the offset of its key, or of its value if that has none. A path that
 * the text doesn't have is at the nearest object around it.
 */
export function locator(text: string): (path: readonly (string | number)[]) => number {
  let tree: Node | undefined;
  return (path) => {
    tree ??= parseTree(text, [], { allowTrailingComma: true });
    let place = tree;
    for (const step of path) {
      const inner = place && findNodeAtLocation(place, [step]);
      if (inner === undefined) break;
      place = inner;
    }
    return (place?.parent?.type === "property" ? place.parent : place)?.offset ?? 0;
  };
}
