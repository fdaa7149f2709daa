/**
 * Turns what handlers return into results of the protocol.
 *
 * @module
 */
import type { ContentBlock } from "../protocol/content.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { VERSIONS } from "../protocol/versions.ts";
import { kindOf } from "./validation.ts";

/** A tool's result that says what went wrong. */
export function errorResult(text: string): JsonObject {
  return { content: [{ type: "text", text }], isError: true };
}

/**
 * The result that what a tool returned stands for. One that is data may lack its text form.
 *
 * @throws {TypeError} If it is nothing that a tool may return
 */
export function toToolResult(returned: unknown, exchange: Exchange): JsonObject {
  if (typeof returned === "string") return { content: [{ type: "text", text: returned }] };
  if (Array.isArray(returned)) return { content: blocksFor(exchange, returned) };
  if (!isObject(returned)) {
    throw new TypeError(`Return a result, a text, or blocks of content: ${kindOf(returned)}`);
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

/** The result with a text form of its data, where it has no content of its own. */
export function withText(result: JsonObject): JsonObject {
  if (result.content !== undefined) return result;
  const text = JSON.stringify(result.structuredContent);
  return { ...result, content: [{ type: "text", text }] };
}

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

/**
 * The result that what a prompt returned stands for.
 *
 * @throws {TypeError} If it is nothing that a prompt may return
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
    throw new TypeError(`Return a text, or messages with a role and content: ${kindOf(message)}`);
  }
  const content = blockFor(exchange, message.content);
  return content === message.content ? message : { ...message, content };
}

/**
 * Blocks that the client's version knows: links to resources become texts where they are unknown
 * (before 2025-06-18). The same array when nothing has to change.
 */
export function blocksFor<Block>(
  exchange: Exchange,
  blocks: readonly Block[],
): readonly (Block | ContentBlock)[] {
  if (VERSIONS[exchange.protocolVersion].resourceLinks) return blocks;
  return blocks.some(isLink) ? blocks.map((block) => blockFor(exchange, block)) : blocks;
}

/** One block that the client's version knows. */
export function blockFor<Block>(exchange: Exchange, block: Block): Block | ContentBlock {
  if (VERSIONS[exchange.protocolVersion].resourceLinks || !isLink(block)) return block;
  return { type: "text", text: `${block.name}: ${block.uri}` };
}

function isLink(block: unknown): block is { readonly name: unknown; readonly uri: unknown } {
  return isObject(block) && block.type === "resource_link";
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
