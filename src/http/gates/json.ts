/**
 * Implements the JSON gate: the body must be JSON, nested no deeper than the limit.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { nestsDeeper } from "../../internal/json_depth.ts";
import { type Refusal, refusal } from "../reply.ts";

/** The result of parsing: a value, or a refusal. */
export type Parsed =
  | { readonly value: unknown; readonly refusal?: undefined }
  | { readonly refusal: Refusal };

/** Parses a body, or refuses text that is not JSON or is nested too deeply. */
export function parseJson(text: string, maxDepth: number): Parsed {
  if (nestsDeeper(text, maxDepth)) return { refusal: tooDeep(maxDepth) };
  try {
    return { value: JSON.parse(text) };
  } catch {
    // The parser's message would quote the body.
    return { refusal: notJson() };
  }
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
