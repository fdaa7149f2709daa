/**
 * The arguments of a tool or a prompt, checked against their schema.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import { describeIssues } from "./issues.ts";
import type { CompiledSchema } from "./schema.ts";
import type { StandardResult } from "./standard_schema.ts";

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
