/**
 * What servers and clients say of themselves, and the results of the core methods.
 *
 * @module
 */
import type {
  ContentBlock,
  Icon,
  PromptMessage,
  ResourceContents,
  Role,
  TextContent,
} from "./content.ts";
import type { JsonObject } from "./jsonrpc.ts";

/** A program: its name and version. */
export interface Implementation {
  readonly name: string;
  readonly version: string;
  readonly title?: string;
  readonly description?: string;
  readonly websiteUrl?: string;
  readonly icons?: readonly Icon[];
}

/** What a client can do. */
export interface ClientCapabilities {
  readonly roots?: { readonly listChanged?: boolean };
  readonly sampling?: JsonObject;
  readonly elicitation?: { readonly form?: JsonObject; readonly url?: JsonObject };
  readonly experimental?: JsonObject;
  readonly extensions?: JsonObject;
}

/** What a server can do. */
export interface ServerCapabilities {
  readonly tools?: { readonly listChanged?: boolean };
  readonly resources?: { readonly subscribe?: boolean; readonly listChanged?: boolean };
  readonly prompts?: { readonly listChanged?: boolean };
  readonly completions?: JsonObject;
  readonly logging?: JsonObject;
  readonly experimental?: JsonObject;
  readonly extensions?: JsonObject;
}

/** How severe log messages are, least severe first (RFC 5424 §6.2.1). */
export const LOG_LEVELS = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
] as const;

/** How severe a log message is. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What a tool is like, as a hint that nobody must rely on. */
export interface ToolAnnotations {
  readonly title?: string;
  readonly readOnlyHint?: boolean;
  readonly destructiveHint?: boolean;
  readonly idempotentHint?: boolean;
  readonly openWorldHint?: boolean;
}

/** What a tool call results in. */
export interface CallToolResult {
  readonly content: readonly ContentBlock[];
  readonly structuredContent?: JsonObject;
  readonly isError?: boolean;
  readonly _meta?: JsonObject;
}

/** What reading a resource results in. */
export interface ReadResourceResult {
  readonly contents: readonly ResourceContents[];
  readonly _meta?: JsonObject;
}

/** What a prompt results in. */
export interface GetPromptResult {
  readonly description?: string;
  readonly messages: readonly PromptMessage[];
  readonly _meta?: JsonObject;
}

/** What the user answered. */
export interface ElicitResult {
  readonly action: "accept" | "decline" | "cancel";
  /** With `"accept"`, the form's fields. */
  readonly content?: JsonObject;
}

/** What the client's model is asked. */
export interface CreateMessageParams {
  readonly messages: readonly { readonly role: Role; readonly content: unknown }[];
  readonly maxTokens: number;
  readonly systemPrompt?: string;
  readonly includeContext?: "none" | "thisServer" | "allServers";
  readonly temperature?: number;
  readonly stopSequences?: readonly string[];
  readonly modelPreferences?: JsonObject;
  readonly metadata?: JsonObject;
  readonly tools?: readonly JsonObject[];
  readonly toolChoice?: JsonObject;
}

/** What the client's model said. */
export interface CreateMessageResult {
  readonly role: Role;
  readonly content: TextContent | JsonObject | readonly JsonObject[];
  readonly model: string;
  readonly stopReason?: string;
}

/** A folder or file that the client works on. */
export interface Root {
  /** A `file:` URI. */
  readonly uri: string;
  readonly name?: string;
}
