/**
 * Defines content blocks, resource contents, prompt messages and icons as they go on the wire
 * (2025-11-25, Schema Reference, Content).
 *
 * @module
 */
import type { JsonObject } from "./jsonrpc.ts";

/** Gives a client hints about the use of a piece of content. */
export interface Annotations {
  /** Lists the intended readers. */
  readonly audience?: readonly Role[];
  /** Gives the importance, from 0 (optional) to 1 (required). */
  readonly priority?: number;
  /** Gives the time of the last change, in ISO 8601 format. */
  readonly lastModified?: string;
}

/** Names the speaker of a message. */
export type Role = "user" | "assistant";

/** Holds what every content block may have. */
export interface BaseContent {
  /** Gives hints for the client. */
  readonly annotations?: Annotations;
  /** Holds additional metadata. */
  readonly _meta?: JsonObject;
}

/** Represents a piece of text. */
export interface TextContent extends BaseContent {
  /** Identifies the kind of content. */
  readonly type: "text";
  /** Holds the text. */
  readonly text: string;
}

/** Represents an image. */
export interface ImageContent extends BaseContent {
  /** Identifies the kind of content. */
  readonly type: "image";
  /** Holds the bytes as Base64. */
  readonly data: string;
  /** Gives the media type of the bytes. */
  readonly mimeType: string;
}

/** Represents a sound recording. */
export interface AudioContent extends BaseContent {
  /** Identifies the kind of content. */
  readonly type: "audio";
  /** Holds the bytes as Base64. */
  readonly data: string;
  /** Gives the media type of the bytes. */
  readonly mimeType: string;
}

/** Links to a resource that the client may read. */
export interface ResourceLink extends BaseContent {
  /** Identifies the kind of content. */
  readonly type: "resource_link";
  /** Gives the URI of the resource. */
  readonly uri: string;
  /** Names the resource, for programs. */
  readonly name: string;
  /** Names the resource, for people. */
  readonly title?: string;
  /** Describes the resource. */
  readonly description?: string;
  /** Gives the media type of the resource. */
  readonly mimeType?: string;
  /** Gives the size in bytes. */
  readonly size?: number;
  /** Lists icons for user interfaces. */
  readonly icons?: readonly Icon[];
}

/** Embeds a resource with its contents. */
export interface EmbeddedResource extends BaseContent {
  /** Identifies the kind of content. */
  readonly type: "resource";
  /** Holds the contents. */
  readonly resource: ResourceContents;
}

/** Represents one piece of a tool's result or of a prompt message. */
export type ContentBlock =
  | TextContent
  | ImageContent
  | AudioContent
  | ResourceLink
  | EmbeddedResource;

/** Holds the contents of a resource: text, or bytes as Base64. */
export type ResourceContents =
  & { readonly uri: string; readonly mimeType?: string; readonly _meta?: JsonObject }
  & ({ readonly text: string } | { readonly blob: string });

/** Represents one message of a prompt. */
export interface PromptMessage {
  /** Names the speaker. */
  readonly role: Role;
  /** Holds what is said. */
  readonly content: ContentBlock;
}

/** Represents an icon for user interfaces. */
export interface Icon {
  /** Gives the location of the image: an `https:` or `data:` URI. */
  readonly src: string;
  /** Gives the media type of the image. */
  readonly mimeType?: string;
  /** Lists the sizes, such as `"48x48"` or `"any"`. */
  readonly sizes?: readonly string[];
  /** Names the background color scheme that the icon is made for. */
  readonly theme?: "light" | "dark";
}
