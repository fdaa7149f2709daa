/**
 * Answers what the server asks the client.
 *
 * @module
 */
import { ErrorCode, errorObject, McpError } from "../protocol/errors.ts";
import type { JsonObject, JsonRpcRequest, JsonRpcResponse } from "../protocol/jsonrpc.ts";
import type { ClientCapabilities, CreateMessageParams } from "../protocol/shapes.ts";
import type { ConnectOptions, ElicitParams } from "./types.ts";

/** The options that answer questions. */
export type Answers = Pick<ConnectOptions, "onElicit" | "onSample" | "onRoots">;

/** What the client can do: what it says itself, and what it can answer. */
export function capabilitiesOf(
  { onElicit, onSample, onRoots }: Answers,
  own: ClientCapabilities = {},
): ClientCapabilities {
  return {
    ...onElicit && { elicitation: { form: {}, url: {} } },
    ...onSample && { sampling: {} },
    ...onRoots && { roots: {} },
    ...own,
  };
}

/** Answers a request of the server. Never rejects: what goes wrong is the answer. */
export async function answerQuestion(
  request: JsonRpcRequest,
  answers: Answers,
): Promise<JsonRpcResponse> {
  const { id } = request;
  try {
    return { jsonrpc: "2.0", id, result: await resultOf(request, answers) };
  } catch (error) {
    return { jsonrpc: "2.0", id, error: failure(error) };
  }
}

async function resultOf(
  { method, params = {} }: JsonRpcRequest,
  { onElicit, onSample, onRoots }: Answers,
): Promise<JsonObject> {
  // The server's params are handed on as they came: judging them is what the test is for.
  if (method === "elicitation/create" && onElicit) {
    return { ...await onElicit(params as ElicitParams) };
  }
  if (method === "sampling/createMessage" && onSample) {
    return { ...await onSample(params as unknown as CreateMessageParams) };
  }
  if (method === "roots/list" && onRoots) return { roots: await onRoots() };
  if (method === "ping") return {};
  throw new McpError(ErrorCode.MethodNotFound, `Method not found: ${method}`);
}

function failure(error: unknown) {
  if (error instanceof McpError) return errorObject(error.code, error.message, error.data);
  const message = error instanceof Error ? error.message : String(error);
  return errorObject(ErrorCode.InternalError, message);
}
