/**
 * Checks values against schemas and describes what doesn't fit.
 *
 * @module
 */
import { clip, quote } from "../internal/quote.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import type { CompiledSchema } from "./schema.ts";
import type { StandardIssue, StandardResult } from "./standard_schema.ts";

/** How many issues are told. */
const MOST = 3;
/** How many characters of a message or a path are told. */
const LONGEST = 200;

/**
 * The arguments that a handler gets: what the schema makes of the given ones, or `{}` without a
 * schema.
 *
 * @throws {McpError} With -32602, if they don't fit
 */
export function checkArguments(
  schema: CompiledSchema | undefined,
  given: unknown = {},
): MaybePromise<unknown> {
  if (!isObject(given)) {
    throw new McpError(ErrorCode.InvalidParams, 'Give an object as "arguments"');
  }
  if (schema === undefined) return {};
  const checked = schema.validate(given);
  return isPromise(checked) ? checked.then(valueOf) : valueOf(checked);
}

function valueOf(checked: StandardResult<unknown>): unknown {
  if (checked.issues === undefined) return checked.value;
  throw new McpError(ErrorCode.InvalidParams, describeIssues(checked.issues, "the arguments"));
}

/**
 * Says what to fix, like `Fix "a.b[0]": Expected number`. Bounded, whatever the issues are.
 *
 * @param whole What to call the value itself, where an issue has no path
 */
export function describeIssues(issues: readonly StandardIssue[], whole: string): string {
  const told = issues.slice(0, MOST).map(({ message, path }) => {
    return `${readablePath(path) || whole}: ${clip(message, LONGEST)}`;
  });
  const more = issues.length > MOST ? ` (and ${issues.length - MOST} more)` : "";
  return `Fix ${told.join("; ")}${more}`;
}

function readablePath(path: StandardIssue["path"]): string {
  let text = "";
  for (const segment of path ?? []) {
    const key = typeof segment === "object" ? segment.key : segment;
    if (typeof key === "number") text += `[${key}]`;
    else text += text === "" ? String(key) : `.${String(key)}`;
  }
  return text === "" ? "" : quote(text, LONGEST);
}

/** What a value is, without telling the value. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
