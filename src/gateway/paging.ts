/**
 * Pages of merged lists.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { ListFacts } from "./list_kinds.ts";

/**
 * The page of a list that a request asks for.
 *
 * @throws {McpError} With -32602, if its cursor was never given out
 */
export function pageOf(
  { params: { cursor }, pageSize }: Exchange,
  { key, letter }: ListFacts,
  entries: readonly JsonObject[],
): JsonObject {
  const start = cursor === undefined ? 0 : offsetOf(cursor, letter);
  const end = start + pageSize;
  const page = { [key]: entries.slice(start, end) };
  return end < entries.length ? { ...page, nextCursor: btoa(`${letter}.${end}`) } : page;
}

function offsetOf(cursor: unknown, letter: string): number {
  if (typeof cursor === "string" && cursor.length <= 32) {
    const offset = Number(/^([a-z])\.([1-9]\d{0,14})$/.exec(decode(cursor))?.[2]);
    if (btoa(`${letter}.${offset}`) === cursor) return offset;
  }
  throw new McpError(
    ErrorCode.InvalidParams,
    "Give a cursor that an earlier page ended with, or none",
  );
}

function decode(cursor: string): string {
  try {
    return atob(cursor);
  } catch {
    return "";
  }
}
