/**
 * The JSON gate: the body is JSON, and nests no deeper than a limit.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { type Refusal, refusal } from "../reply.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[` and `{`, `]` and `}`: each pair is one code apart in one bit. */
const BRACKET_BIT = 0x20;
const OPEN = 0x5b | BRACKET_BIT;
const CLOSE = 0x5d | BRACKET_BIT;

/** What came of parsing: a value, or the refusal of a text that is no JSON or nests too deep. */
export type Parsed =
  | { readonly value: unknown; readonly refusal?: undefined }
  | { readonly refusal: Refusal };

/** Parses a body. */
export function parseJson(text: string, maxDepth: number): Parsed {
  if (nestsDeeper(text, maxDepth)) return { refusal: tooDeep(maxDepth) };
  try {
    return { value: JSON.parse(text) };
  } catch {
    // The parser's own message would quote the body.
    return { refusal: notJson() };
  }
}

/**
 * Tells whether objects and arrays nest deeper than `maxDepth` levels. Of text that isn't JSON the
 * answer may be either; every level that a JSON parser would enter is counted.
 */
export function nestsDeeper(text: string, maxDepth: number): boolean {
  // Every level takes two characters.
  if (text.length < 2 * (maxDepth + 1)) return false;
  // Most texts have fewer brackets than levels allowed: counting them is faster than walking the text.
  const arrays = count(text, "[", maxDepth + 1);
  if (arrays + count(text, "{", maxDepth + 1 - arrays) <= maxDepth) return false;
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === BACKSLASH) i++;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) {
      inString = true;
    } else if ((code | BRACKET_BIT) === OPEN) {
      if (++depth > maxDepth) return true;
    } else if ((code | BRACKET_BIT) === CLOSE) {
      depth--;
    }
  }
  return false;
}

/** Counts a character in a text, up to `most`. */
function count(text: string, char: string, most: number): number {
  let found = 0;
  let at = -1;
  while (found < most && (at = text.indexOf(char, at + 1)) !== -1) found++;
  return found;
}

function tooDeep(maxDepth: number): Refusal {
  return refusal({
    status: 400,
    code: ErrorCode.ParseError,
    message: `Nest the JSON less deeply, or raise the option limits.jsonDepth: ${maxDepth}`,
    reason: "json",
  });
}

function notJson(): Refusal {
  return refusal({
    status: 400,
    code: ErrorCode.ParseError,
    message: "Send valid JSON",
    reason: "json",
  });
}
