/**
 * Encodes and decodes pagination cursors: opaque strings for the place where the next page begins
 * (2025-11-25, Pagination).
 *
 * @module
 */
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";

/**
 * Locates a place in a list: after the entry with a serial number, and `offset` entries further.
 */
export interface PagePosition {
  /** The name of the list by a single letter. */
  readonly list: string;
  readonly serial: number;
  readonly offset: number;
}

/** Encodes a place as a cursor. */
export function encodeCursor({ list, serial, offset }: PagePosition): string {
  return btoa(`${list}.${serial}.${offset}`).replaceAll("=", "").replaceAll("+", "-");
}

/**
 * Decodes the cursor of a request. Returns `undefined` for a request without a cursor, which asks
 * for the first page.
 *
 * @param lists The letters of the lists that the cursor may belong to
 * @throws {McpError} With -32602, if the cursor is invalid
 */
export function decodeCursor(params: JsonObject, lists: string): PagePosition | undefined {
  const { cursor } = params;
  if (cursor === undefined) return undefined;
  const position = typeof cursor === "string" && cursor.length <= 100 ? parse(cursor) : undefined;
  if (position !== undefined && lists.includes(position.list)) return position;
  throw invalidCursor();
}

/** Creates the error for a cursor that the server never issued. */
export function invalidCursor(): McpError {
  return new McpError(
    ErrorCode.InvalidParams,
    'Give the "nextCursor" of an earlier page, or no cursor',
  );
}

function parse(cursor: string): PagePosition | undefined {
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
  return encodeCursor(position) === cursor ? position : undefined;
}
