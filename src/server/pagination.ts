/**
 * Cursors: opaque texts that say where in a list the next page begins.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";

/** A place in a list: after the entry with that serial number, and that many entries further on. */
export interface Position {
  /** The list, as a single letter. */
  readonly list: string;
  readonly serial: number;
  readonly offset: number;
}

/** The cursor for a place. */
export function toCursor({ list, serial, offset }: Position): string {
  return btoa(`${list}.${serial}.${offset}`).replaceAll("=", "").replaceAll("+", "-");
}

/**
 * The place that a request's cursor stands for; `undefined` when there is none and the list begins.
 *
 * @param lists The lists that the cursor may be of, as letters
 * @throws {McpError} With -32602, if the cursor was never given out
 */
export function toPosition(params: JsonObject, lists: string): Position | undefined {
  const { cursor } = params;
  if (cursor === undefined) return undefined;
  const position = typeof cursor === "string" && cursor.length <= 100 ? decode(cursor) : undefined;
  if (position !== undefined && lists.includes(position.list)) return position;
  throw badCursor();
}

/** What a cursor that was never given out is answered with. */
export function badCursor(): McpError {
  return new McpError(
    ErrorCode.InvalidParams,
    "Give a cursor that an earlier page ended with, or none",
  );
}

function decode(cursor: string): Position | undefined {
  let text: string;
  try {
    text = atob(cursor.replaceAll("-", "+"));
  } catch {
    return undefined;
  }
  const match = /^([a-z])\.(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})$/.exec(text);
  const [, list, serial, offset] = match ?? [];
  if (list === undefined) return undefined;
  const position = { list, serial: Number(serial), offset: Number(offset) };
  return toCursor(position) === cursor ? position : undefined;
}
