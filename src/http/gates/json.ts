/**
 * The JSON gate: the body is JSON, and nests only so deep.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { refusal, type Report } from "../reply.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[` and `{`, `]` and `}`: each pair is one code apart in one bit. */
const BRACKET_BIT = 0x20;
const OPEN = 0x5b | BRACKET_BIT;
const CLOSE = 0x5d | BRACKET_BIT;

/** The value of a text that the gate lets through: anything but `undefined`; else the refusal. */
export function parseJson(text: string, maxDepth: number, report: Report): unknown {
  if (nestsDeeper(text, maxDepth)) return tooDeep(maxDepth, report);
  try {
    return JSON.parse(text);
  } catch {
    // What the parser says would quote the body.
    return notJson(report);
  }
}

/**
 * Whether objects and arrays nest deeper than `maxDepth` levels. What isn't JSON may be taken for
 * deep or not; what the parser would have to go down into is always counted.
 */
export function nestsDeeper(text: string, maxDepth: number): boolean {
  // Every level takes two characters.
  if (text.length < 2 * (maxDepth + 1)) return false;
  // Most texts have fewer brackets than levels allowed, which is found out without walking them.
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

/** How often a character is in a text, counted up to `most`. */
function count(text: string, char: string, most: number): number {
  let found = 0;
  let at = -1;
  while (found < most && (at = text.indexOf(char, at + 1)) !== -1) found++;
  return found;
}

function tooDeep(maxDepth: number, report: Report): Response {
  return refusal({
    status: 400,
    code: ErrorCode.ParseError,
    message: `Nest the JSON less deeply, or raise the option limits.jsonDepth: ${maxDepth}`,
    reason: "json",
  }, report);
}

function notJson(report: Report): Response {
  return refusal({
    status: 400,
    code: ErrorCode.ParseError,
    message: "Send valid JSON",
    reason: "json",
  }, report);
}
