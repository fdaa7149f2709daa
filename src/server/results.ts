/**
 * Converts what handlers return to results of the protocol.
 *
 * @module
 */
import { toBase64 } from "../internal/base64.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { encodeBlock, encodeBlocks } from "./content.ts";
import { kindOf } from "./schemas/kind_of.ts";

/**
 * Converts what a tool returned. A result with only `structuredContent` stays without its text
 * form, which {@linkcode withText} adds.
 *
 * @throws {TypeError} If a tool may not return it
 */
export function toToolResult(returned: unknown): JsonObject {
  if (typeof returned === "string") return { content: [{ type: "text", text: returned }] };
  if (Array.isArray(returned)) return { content: encodeBlocks(returned) };
  if (!isObject(returned)) {
    throw new TypeError(`Return a result, a string, or content blocks: ${kindOf(returned)}`);
  }
  const { content, structuredContent } = returned;
  if (content === undefined) {
    if (structuredContent !== undefined) return returned;
    if (typeof returned.type === "string") return { content: [encodeBlock(returned)] };
  }
  if (!Array.isArray(content)) {
    throw new TypeError(`Return an array as "content": ${kindOf(content)}`);
  }
  const blocks = encodeBlocks(content);
  return blocks === content ? returned : { ...returned, content: blocks };
}

/** Adds the text form of the data to a result that has no content. */
export function withText(result: JsonObject): JsonObject {
  if (result.content !== undefined) return result;
  const text = JSON.stringify(result.structuredContent);
  return { ...result, content: [{ type: "text", text }] };
}

/**
 * Converts what the reading of a resource returned.
 *
 * @param uri The URI that was read, for contents without one
 * @param mimeType The resource's media type, for contents without one
 * @throws {TypeError} If reading may not return it
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
  throw new TypeError(
    `Return a string, bytes, or contents with "text" or "blob": ${kindOf(piece)}`,
  );
}

/**
 * Converts what a prompt returned.
 *
 * @throws {TypeError} If a prompt may not return it
 */
export function toPromptResult(returned: unknown): JsonObject {
  if (typeof returned === "string") {
    return { messages: [{ role: "user", content: { type: "text", text: returned } }] };
  }
  const full = isObject(returned) && returned.role === undefined ? returned : {
    messages: Array.isArray(returned) ? returned : [returned],
  };
  if (!Array.isArray(full.messages)) {
    throw new TypeError(`Return an array as "messages": ${kindOf(full.messages)}`);
  }
  for (const message of full.messages) {
    if (isObject(message) && isObject(message.content)) continue;
    throw new TypeError(`Return a string, or messages with a role and content: ${kindOf(message)}`);
  }
  const messages = full.messages.map((message) => {
    const content = encodeBlock(message.content);
    return content === message.content ? message : { ...message, content };
  });
  return { ...full, messages };
}
