/**
 * Content blocks, resources' contents and prompt messages, as they are on the wire.
 *
 * @module
 */
import type { JsonObject } from "./jsonrpc.ts";

/** Who a piece of content is for, how much it matters, when it changed. */
export interface Annotations {
  /** Who it is for. */
  readonly audience?: readonly Role[];
  /** From 0 (optional) to 1 (required). */
  readonly priority?: number;
  /** ISO 8601. */
  readonly lastModified?: string;
}

/** Who speaks. */
export type Role = "user" | "assistant";

/** What every piece of content may have. */
export interface BaseContent {
  /** Hints for the client. */
  readonly annotations?: Annotations;
  /** Anything else. */
  readonly _meta?: JsonObject;
}

/** Text. */
export interface TextContent extends BaseContent {
  /** Tells the kinds of content apart. */
  readonly type: "text";
  /** The text. */
  readonly text: string;
}

/** A picture: Base64 bytes and their media type. */
export interface ImageContent extends BaseContent {
  /** Tells the kinds of content apart. */
  readonly type: "image";
  /** The bytes, as Base64. */
  readonly data: string;
  /** Their media type. */
  readonly mimeType: string;
}

/** Sound: Base64 bytes and their media type. */
export interface AudioContent extends BaseContent {
  /** Tells the kinds of content apart. */
  readonly type: "audio";
  /** The bytes, as Base64. */
  readonly data: string;
  /** Their media type. */
  readonly mimeType: string;
}

/** A resource that the client may read. */
export interface ResourceLink extends BaseContent {
  /** Tells the kinds of content apart. */
  readonly type: "resource_link";
  /** Where it is. */
  readonly uri: string;
  /** Its name. */
  readonly name: string;
  /** Its name for people. */
  readonly title?: string;
  /** What it is. */
  readonly description?: string;
  /** The media type. */
  readonly mimeType?: string;
  /** Bytes. */
  readonly size?: number;
  /** Pictures that stand for it. */
  readonly icons?: readonly Icon[];
}

/** A resource with its contents. */
export interface EmbeddedResource extends BaseContent {
  /** Tells the kinds of content apart. */
  readonly type: "resource";
  /** The contents. */
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
  /** Who says it. */
  readonly role: Role;
  /** What is said. */
  readonly content: ContentBlock;
}

/** A picture that stands for something in a user interface. */
export interface Icon {
  /** An `https:` or `data:` URI. */
  readonly src: string;
  /** The media type. */
  readonly mimeType?: string;
  /** Such as `"48x48"` or `"any"`. */
  readonly sizes?: readonly string[];
  /** The background that it is made for. */
  readonly theme?: "light" | "dark";
}
