/**
 * Defines content blocks, resource contents, prompt messages and icons as they go on the wire
 * (2025-11-25, Schema Reference, Content).
 *
 * @module
 */
import type { JsonObject } from "./jsonrpc.ts";

/** A client hints about the use of a piece of content. */
export interface Annotations {
  /** The intended readers. */
  readonly audience?: readonly Role[];
  /** The importance, from 0 (optional) to 1 (required). */
  readonly priority?: number;
  /** The time of the last change, in ISO 8601 format. */
  readonly lastModified?: string;
}

/** The speaker of a message. */
export type Role = "user" | "assistant";

/** What every content block may have. */
export interface BaseContent {
  /** Gives hints for the client. */
  readonly annotations?: Annotations;
  /** Additional metadata. */
  readonly _meta?: JsonObject;
}

/** A piece of text. */
export interface TextContent extends BaseContent {
  /** Identifies the kind of content. */
  readonly type: "text";
  /** The text. */
  readonly text: string;
}

/** An image. */
export interface ImageContent extends BaseContent {
  /** Identifies the kind of content. */
  readonly type: "image";
  /** The bytes as Base64. */
  readonly data: string;
  /** The media type of the bytes. */
  readonly mimeType: string;
}

/** A sound recording. */
export interface AudioContent extends BaseContent {
  /** Identifies the kind of content. */
  readonly type: "audio";
  /** The bytes as Base64. */
  readonly data: string;
  /** The media type of the bytes. */
  readonly mimeType: string;
}

/** Links to a resource that the client may read. */
export interface ResourceLink extends BaseContent {
  /** Identifies the kind of content. */
  readonly type: "resource_link";
  /** The URI of the resource. */
  readonly uri: string;
  /** The name of the resource, for programs. */
  readonly name: string;
  /** The name of the resource, for people. */
  readonly title?: string;
  /** The description of the resource. */
  readonly description?: string;
  /** The media type of the resource. */
  readonly mimeType?: string;
  /** The size in bytes. */
  readonly size?: number;
  /** Icons for user interfaces. */
  readonly icons?: readonly Icon[];
}

/** Embeds a resource with its contents. */
export interface EmbeddedResource extends BaseContent {
  /** Identifies the kind of content. */
  readonly type: "resource";
  /** The contents. */
  readonly resource: ResourceContents;
}

/** One piece of a tool's result or of a prompt message. */
export type ContentBlock =
  | TextContent
  | ImageContent
  | AudioContent
  | ResourceLink
  | EmbeddedResource;

/** The contents of a resource: text, or bytes as Base64. */
export type ResourceContents =
  & { readonly uri: string; readonly mimeType?: string; readonly _meta?: JsonObject }
  & ({ readonly text: string } | { readonly blob: string });

/** One message of a prompt. */
export interface PromptMessage {
  /** The speaker. */
  readonly role: Role;
  /** What is said. */
  readonly content: ContentBlock;
}

/** An icon for user interfaces. */
export interface Icon {
  /** The location of the image: an `https:` or `data:` URI. */
  readonly src: string;
  /** The media type of the image. */
  readonly mimeType?: string;
  /** The sizes, such as `"48x48"` or `"any"`. */
  readonly sizes?: readonly string[];
  /** The background color scheme that the icon is made for. */
  readonly theme?: "light" | "dark";
}
