/**
 * Writes tasks as they go on the wire, and tells which clients know them (2026-07-28, Tasks extension).
 *
 * @module
 */
import { ErrorCode, McpError, MissingCapabilityError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { type TaskRecord, TASKS } from "../../protocol/task_store.ts";
import { isModern } from "../../protocol/versions.ts";

/** The client capability of clients that know tasks. */
export const TASKS_CAPABILITY = `extensions.${TASKS}`;

/**
 * Tells whether a request declares that its client knows tasks: declarations of earlier requests
 * don't count.
 */
export function knowsTasks(
  { client, protocolVersion, followsTasks }: Pick<
    Exchange,
    "client" | "protocolVersion" | "followsTasks"
  >,
): boolean {
  if (followsTasks === true) return true;
  const { extensions } = client.capabilities;
  return isModern(protocolVersion) && isObject(extensions) &&
    Object.hasOwn(extensions, TASKS);
}

/**
 * Returns the id of the task that a request names.
 *
 * @throws {MissingCapabilityError} If the client doesn't know tasks
 * @throws {McpError} With -32602, if the request names no task
 */
export function taskIdOf(exchange: Exchange): string {
  if (!knowsTasks(exchange)) throw new MissingCapabilityError(TASKS_CAPABILITY);
  const { taskId: id } = exchange.params;
  if (typeof id === "string") return id;
  throw new McpError(ErrorCode.InvalidParams, 'Give a task\'s id as "taskId"');
}

/**
 * Creates the error for an unknown task, the same for one that never existed, has expired, or
 * belongs to another principal.
 */
export function unknownTask(): McpError {
  return new McpError(ErrorCode.InvalidParams, "Unknown task");
}

/** Returns a task as it goes on the wire. */
export function wireTask(
  { id, state, message, createdAt, updatedAt, ttlMs }: TaskRecord,
  pollIntervalMs: number,
): JsonObject {
  return {
    taskId: id,
    ...state,
    ...(message === undefined ? {} : { statusMessage: message }),
    createdAt: new Date(createdAt).toISOString(),
    lastUpdatedAt: new Date(updatedAt).toISOString(),
    ttlMs,
    pollIntervalMs,
  };
}
