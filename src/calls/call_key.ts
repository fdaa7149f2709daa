/**
 * Reads the key by which a client repeats a call of a tool to get the answer of the first one.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { isObject, type JsonObject, type RequestId } from "../protocol/jsonrpc.ts";
import type { Route } from "../protocol/route.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";

/** The key of `_meta` with the client's name for a call: the same for each repeat of it. */
export const CALL_KEY = "mooring/callKey";

/** Visible ASCII characters, so that nobody sees two keys as one. */
const VALID = /^[\x21-\x7e]{1,128}$/;

/** A call with a key, whose tool answers once. */
export interface KeyedCall {
  readonly method: string;
  readonly id: RequestId;
  readonly protocolVersion: ProtocolVersion;
  readonly signal: AbortSignal;
  /** Whose keys these are; `undefined` if nobody knows. */
  readonly owner: string | undefined;
  readonly key: string;
  /** What the call is about. */
  readonly route: Route;
  /** Tells whether it has its answer, or was stopped. */
  isOver(): boolean;
  /** Calls a function once when it is over. */
  onOver(listener: () => void): () => void;
  /** Notes that the call gets the answer of an earlier one, for its events. */
  noteRepeated(): void;
  /** Notes that the tool runs now, for each repeat of the call: a client that goes away doesn't stop it. */
  runOn(): void;
}

/** Gives the repeats of a call the answer of the first one. */
export interface CallAnswers {
  /**
   * Runs a tool, unless a call with the same key has an answer or runs.
   *
   * @throws {McpError} If the key belongs to another call, or the answer of the first call is lost
   */
  run(call: KeyedCall, tool: () => MaybePromise<JsonObject>): Promise<JsonObject>;
  /** Ends all waits. */
  dispose(): void;
}

/**
 * Returns the key of a call, if it has one.
 *
 * @throws {McpError} If it is not a key
 */
export function callKeyOf({ _meta }: JsonObject): string | undefined {
  const key = isObject(_meta) ? _meta[CALL_KEY] : undefined;
  if (key === undefined) return undefined;
  if (typeof key === "string" && VALID.test(key)) return key;
  throw new McpError(
    ErrorCode.InvalidParams,
    `Give 1 to 128 visible ASCII characters as "_meta.${CALL_KEY}"`,
  );
}
