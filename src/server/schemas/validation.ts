/**
 * Validates values against schemas, and describes what is wrong with them.
 *
 * @module
 */
import { clip, quote } from "../../internal/quote.ts";
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import { isObject } from "../../protocol/jsonrpc.ts";
import type { CompiledSchema } from "./schema.ts";
import type { StandardIssue, StandardResult } from "./standard_schema.ts";

/** The most issues in one message. */
const MOST = 20;
/** Limits a message or path of an issue, in characters. */
const LONGEST = 200;

/**
 * Validates the arguments of a tool or prompt. The value is what the handler gets: the output of the
 * schema, or `{}` without a schema.
 *
 * @throws {McpError} With -32602, if they are not an object
 */
export function validateArguments(
  schema: CompiledSchema | undefined,
  given: unknown = {},
): MaybePromise<StandardResult<unknown>> {
  if (!isObject(given)) {
    throw new McpError(ErrorCode.InvalidParams, 'Give an object as "arguments"');
  }
  return schema === undefined ? { value: {} } : schema.validate(given);
}

/**
 * Validates the arguments of a prompt, and returns what its handler gets.
 *
 * @throws {McpError} With -32602, if they don't match the schema (2025-11-25, Prompts, Error
 * Handling)
 */
export function checkArguments(
  schema: CompiledSchema | undefined,
  given: unknown,
): MaybePromise<unknown> {
  const checked = validateArguments(schema, given);
  return isPromise(checked) ? checked.then(valueOf) : valueOf(checked);
}

function valueOf(checked: StandardResult<unknown>): unknown {
  if (checked.issues === undefined) return checked.value;
  throw new McpError(ErrorCode.InvalidParams, describeIssues(checked.issues, "the arguments"));
}

/**
 * Describes issues as instructions, such as `Fix "a.b[0]": Expected number`. The length is bounded,
 * whatever the issues are.
 *
 * @param whole The name of the value itself, for issues without a path
 */
export function describeIssues(issues: readonly StandardIssue[], whole: string): string {
  const described = issues.slice(0, MOST).map(({ message, path }) => {
    return `${readablePath(path) || whole}: ${clip(message, LONGEST)}`;
  });
  const more = issues.length > MOST ? ` (and ${issues.length - MOST} more)` : "";
  return `Fix ${described.join("; ")}${more}`;
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
