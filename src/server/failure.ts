/**
 * Handles errors that application code throws: the client learns nothing about them, the operator
 * everything.
 *
 * @module
 */
import { clip, quote } from "../internal/quote.ts";
import {
  ErrorCode,
  McpError,
  MissingCapabilityError,
  NO_STREAM,
  QuestionError,
} from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { isModern } from "../protocol/versions.ts";
import { errorResult } from "../protocol/error_result.ts";
import { ToolError } from "./tool_error.ts";

/** Limits the part of a message about a question, in characters. */
const LONGEST = 1_000;

/**
 * Reports an error that application code threw, and returns. Rethrows errors that are not the
 * application's failure.
 *
 * @throws {AbortSignal["reason"]} When the request was stopped
 * @throws {McpError} The error itself, when it is an `McpError`; for a question of a 2025 request,
 * whose code says nothing about that request, with -32603
 */
function sortFailure(exchange: Exchange, during: string, error: unknown): void {
  if (exchange.signal.aborted) throw exchange.signal.reason;
  if (error instanceof QuestionError && !isModern(exchange.protocolVersion)) {
    throw new McpError(ErrorCode.InternalError, error.message, undefined, { cause: error });
  }
  if (error instanceof McpError) throw error;
  exchange.report({ type: "error", during, error });
}

/**
 * Fails a request because application code threw.
 *
 * @param during What failed, for the event
 * @param message What the client learns of an error that is not an `McpError`
 * @throws {AbortSignal["reason"]} When the request was stopped
 * @throws {McpError} In every other case
 */
export function fail(
  exchange: Exchange,
  during: string,
  error: unknown,
  message = "Internal error",
): never {
  sortFailure(exchange, during, error);
  throw new McpError(ErrorCode.InternalError, message);
}

/**
 * Returns the result of a tool that threw. A failed question is a failure of the tool, except that
 * 2026-07-28 has an error of its own for a missing capability (Basic).
 *
 * @param name The tool's name
 * @throws {AbortSignal["reason"]} When the request was stopped
 * @throws {McpError} The error itself, when it is an `McpError` but no failed question
 */
export function failedTool(exchange: Exchange, name: string, error: unknown): JsonObject {
  const during = `tools/call ${name}`;
  if (exchange.signal.aborted) throw exchange.signal.reason;
  if (error instanceof ToolError) {
    if (error.cause !== undefined) exchange.report({ type: "error", during, error });
    return errorResult(error.message);
  }
  if (error instanceof QuestionError && !isProtocolError(exchange, error)) {
    return errorResult(questionFailure(quote(name), error));
  }
  sortFailure(exchange, during, error);
  return errorResult(`The tool ${quote(name)} failed`);
}

/** What asks for each capability of a client, in words for its model. */
const NEEDS: Readonly<Record<string, string>> = {
  "elicitation": "ask the user",
  "elicitation.form": "ask the user to fill in a form",
  "elicitation.url": "ask the user to visit a web page",
  "roots": "ask for the user's folders",
  "sampling": "ask a model",
  "sampling.tools": "ask a model with tools",
};

/** Says why a question failed, and what is left to do, to a model: it can't change its client. */
function questionFailure(tool: string, error: QuestionError): string {
  const left = "Tell the user, or go on without this tool";
  if (error instanceof MissingCapabilityError) {
    const { capability } = error;
    const need = Object.hasOwn(NEEDS, capability) ? NEEDS[capability] : `use ${quote(capability)}`;
    return `The tool ${tool} has to ${need}, and this client can't. ${left}`;
  }
  if (error.message === NO_STREAM) {
    return `The tool ${tool} has to ask, and this client can't be asked now. ${left}`;
  }
  return `A question of the tool ${tool} failed: ${clip(error.message, LONGEST)}. ${left}`;
}

function isProtocolError({ protocolVersion }: Exchange, error: QuestionError): boolean {
  return error instanceof MissingCapabilityError && isModern(protocolVersion);
}
