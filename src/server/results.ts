/**
 * Converts what handlers return to results of the protocol.
 *
 * @module
 */
import type { ContentBlock } from "../protocol/content.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { VERSIONS } from "../protocol/versions.ts";
import { kindOf } from "./validation.ts";

/** Creates the result of a failed tool. */
export function errorResult(text: string): JsonObject {
  return { content: [{ type: "text", text }], isError: true };
}

/**
 * Converts what a tool returned. A result with only `structuredContent` stays without its text
 * form, which {@linkcode withText} adds.
 *
 * @throws {TypeError} If a tool may not return it
 */
export function toToolResult(returned: unknown, exchange: Exchange): JsonObject {
  if (typeof returned === "string") return { content: [{ type: "text", text: returned }] };
  if (Array.isArray(returned)) return { content: blocksFor(exchange, returned) };
  if (!isObject(returned)) {
    throw new TypeError(`Return a result, a string, or content blocks: ${kindOf(returned)}`);
  }
  const { content, structuredContent } = returned;
  if (structuredContent !== undefined && !isObject(structuredContent)) {
    throw new TypeError(`Return an object as "structuredContent": ${kindOf(structuredContent)}`);
  }
  if (content === undefined) {
    if (structuredContent !== undefined) return returned;
    if (typeof returned.type === "string") return { content: [blockFor(exchange, returned)] };
  }
  if (!Array.isArray(content)) {
    throw new TypeError(`Return an array as "content": ${kindOf(content)}`);
  }
  const blocks = blocksFor(exchange, content);
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
export function toPromptResult(returned: unknown, exchange: Exchange): JsonObject {
  if (typeof returned === "string") {
    return { messages: [{ role: "user", content: { type: "text", text: returned } }] };
  }
  const full = isObject(returned) && returned.role === undefined ? returned : {
    messages: Array.isArray(returned) ? returned : [returned],
  };
  if (!Array.isArray(full.messages)) {
    throw new TypeError(`Return an array as "messages": ${kindOf(full.messages)}`);
  }
  return { ...full, messages: full.messages.map((message) => toMessage(message, exchange)) };
}

function toMessage(message: unknown, exchange: Exchange): JsonObject {
  if (!isObject(message) || !isObject(message.content)) {
    throw new TypeError(`Return a string, or messages with a role and content: ${kindOf(message)}`);
  }
  const content = blockFor(exchange, message.content);
  return content === message.content ? message : { ...message, content };
}

/**
 * Replaces content blocks that the client's version doesn't know: before 2025-06-18, links to
 * resources become texts. Returns the same array when nothing has to change.
 */
export function blocksFor<Block>(
  exchange: Exchange,
  blocks: readonly Block[],
): readonly (Block | ContentBlock)[] {
  if (VERSIONS[exchange.protocolVersion].resourceLinks) return blocks;
  return blocks.some(isLink) ? blocks.map((block) => blockFor(exchange, block)) : blocks;
}

/** Replaces a content block that the client's version doesn't know. */
export function blockFor<Block>(exchange: Exchange, block: Block): Block | ContentBlock {
  if (VERSIONS[exchange.protocolVersion].resourceLinks || !isLink(block)) return block;
  return { type: "text", text: `${block.name}: ${block.uri}` };
}

function isLink(block: unknown): block is { readonly name: unknown; readonly uri: unknown } {
  return isObject(block) && block.type === "resource_link";
}

/** Limits the bytes of one conversion: function calls are limited in their number of arguments. */
const CHUNK = 8_192;

/** Encodes bytes as Base64 (RFC 4648 §4). */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return btoa(binary);
}
