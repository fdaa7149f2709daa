/**
 * Brings what resources return into the form that goes on the wire.
 *
 * @module
 */
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { kindOf } from "./result.ts";

/**
 * The full result for what reading a resource returned.
 *
 * @param uri The URI that was read, for contents that name none
 * @param mimeType The resource's media type, for contents that name none
 * @throws {TypeError} If it is nothing that reading may return
 */
export function toReadResult(
  returned: unknown,
  uri: string,
  mimeType: string | undefined,
): JsonObject {
  const about = mimeType === undefined ? { uri } : { uri, mimeType };
  if (isObject(returned) && Array.isArray(returned.contents)) {
    const contents = returned.contents.map((piece) => toContents(piece, about));
    return { ...returned, contents };
  }
  const pieces = Array.isArray(returned) ? returned : [returned];
  return { contents: pieces.map((piece) => toContents(piece, about)) };
}

function toContents(piece: unknown, about: JsonObject): JsonObject {
  if (typeof piece === "string") return { ...about, text: piece };
  if (piece instanceof Uint8Array) return { ...about, blob: toBase64(piece) };
  if (isObject(piece) && (typeof piece.text === "string" || typeof piece.blob === "string")) {
    return { ...about, ...piece };
  }
  throw new TypeError(`Return a text, bytes, or contents with one of them: ${kindOf(piece)}`);
}

/** How many bytes become characters at a time: functions take only so many arguments. */
const CHUNK = 8_192;

/** Bytes as Base64 (RFC 4648 §4). */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return btoa(binary);
}
