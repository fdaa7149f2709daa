/**
 * Brings what tools return into the form that goes on the wire.
 *
 * @module
 */
import type { ContentBlock } from "../protocol/content.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { VERSIONS } from "../protocol/versions.ts";

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

/** What a value is, without telling the value. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
