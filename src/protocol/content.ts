/**
 * Content blocks, resources' contents and prompt messages, as they are on the wire.
 *
 * @module
 */
import type { JsonObject } from "./jsonrpc.ts";

/** Who a piece of content is for, how much it matters, when it changed. */
export interface Annotations {
  readonly audience?: readonly Role[];
  /** From 0 (optional) to 1 (required). */
  readonly priority?: number;
  /** ISO 8601. */
  readonly lastModified?: string;
}

/** Who speaks. */
export type Role = "user" | "assistant";

interface Block {
  readonly annotations?: Annotations;
  readonly _meta?: JsonObject;
}

/** Text. */
export interface TextContent extends Block {
  readonly type: "text";
  readonly text: string;
}

/** A picture: Base64 bytes and their media type. */
export interface ImageContent extends Block {
  readonly type: "image";
  readonly data: string;
  readonly mimeType: string;
}

/** Sound: Base64 bytes and their media type. */
export interface AudioContent extends Block {
  readonly type: "audio";
  readonly data: string;
  readonly mimeType: string;
}

/** A resource that the client may read. */
export interface ResourceLink extends Block {
  readonly type: "resource_link";
  readonly uri: string;
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly mimeType?: string;
  /** Bytes. */
  readonly size?: number;
  readonly icons?: readonly Icon[];
}

/** A resource with its contents. */
export interface EmbeddedResource extends Block {
  readonly type: "resource";
  readonly resource: ResourceContents;
}

/** One piece of what a tool or a prompt says. */
export type ContentBlock =
  | TextContent
  | ImageContent
  | AudioContent
  | ResourceLink
  | EmbeddedResource;

/** What a resource holds: text, or Base64 bytes. */
export type ResourceContents =
  & { readonly uri: string; readonly mimeType?: string; readonly _meta?: JsonObject }
  & ({ readonly text: string } | { readonly blob: string });

/** One message of a prompt. */
export interface PromptMessage {
  readonly role: Role;
  readonly content: ContentBlock;
}

/** A picture that stands for something in a user interface. */
export interface Icon {
  /** An `https:` or `data:` URI. */
  readonly src: string;
  readonly mimeType?: string;
  /** Such as `"48x48"` or `"any"`. */
  readonly sizes?: readonly string[];
  readonly theme?: "light" | "dark";
}
