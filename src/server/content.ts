/**
 * Creates content blocks of bytes, and encodes those that handlers return.
 *
 * @module
 */
import { toBase64 } from "../internal/base64.ts";
import type { AudioContent, EmbeddedResource, ImageContent } from "../protocol/content.ts";
import { isObject } from "../protocol/jsonrpc.ts";

/** An image or a sound recording whose bytes are not encoded yet. Handlers may return it as it is. */
export interface BinaryContent {
  /** Identifies the kind of content. */
  readonly type: "image" | "audio";
  /** The bytes. */
  readonly data: Uint8Array;
  /** The media type of the bytes. */
  readonly mimeType: string;
}

/**
 * Creates an image for the result of a tool or a message of a prompt (2025-11-25, Tools, Image Content).
 *
 * @example
 * ```ts
 * import { imageContent, McpServer } from "@mooring/mcp";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("pixel", { description: "Draws a pixel." }, () => {
 *   const bytes = Uint8Array.of(137, 80, 78, 71); // From a file, a canvas …
 *   return imageContent(bytes, "image/png");
 * });
 * ```
 *
 * @param data The bytes, or a text that is Base64 already
 * @param mimeType The media type, such as `image/png`
 */
export function imageContent(data: Uint8Array | string, mimeType: string): ImageContent {
  return { type: "image", data: encoded(data), mimeType };
}

/**
 * Creates a sound recording for the result of a tool or a message of a prompt (2025-11-25, Tools, Audio
 * Content).
 *
 * @param data The bytes, or a text that is Base64 already
 * @param mimeType The media type, such as `audio/wav`
 */
export function audioContent(data: Uint8Array | string, mimeType: string): AudioContent {
  return { type: "audio", data: encoded(data), mimeType };
}

/**
 * Creates a file that is embedded in the result of a tool or a message of a prompt (2025-11-25, Tools,
 * Embedded Resources).
 *
 * @param uri The URI of the file, such as `file:///report.csv`. The client need not be able to read it
 * @param content The bytes of the file, or its text
 * @param mimeType The media type, such as `text/csv`
 */
export function embeddedFile(
  uri: string,
  content: Uint8Array | string,
  mimeType: string,
): EmbeddedResource {
  const body = typeof content === "string" ? { text: content } : { blob: toBase64(content) };
  return { type: "resource", resource: { uri, mimeType, ...body } };
}

/** Returns a content block with its bytes as Base64; anything else as it is. */
export function encodeBlock(block: unknown): unknown {
  if (!isObject(block)) return block;
  if (block.data instanceof Uint8Array) return { ...block, data: toBase64(block.data) };
  if (isObject(block.resource) && block.resource.blob instanceof Uint8Array) {
    return { ...block, resource: { ...block.resource, blob: toBase64(block.resource.blob) } };
  }
  return block;
}

/** Encodes the blocks of a list. Returns the same list if none has bytes. */
export function encodeBlocks(blocks: readonly unknown[]): readonly unknown[] {
  return blocks.some((block) => encodeBlock(block) !== block) ? blocks.map(encodeBlock) : blocks;
}

function encoded(data: Uint8Array | string): string {
  return typeof data === "string" ? data : toBase64(data);
}
