/**
 * Defines what servers and clients say about themselves, and the results of the core methods
 * (2025-11-25, Schema Reference).
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

/** A client or server program. */
export interface Implementation {
  /** The name of the program, for programs. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** The name of the program, for people. */
  readonly title?: string;
  /** The description of the program. */
  readonly description?: string;
  /** The URL of its website. */
  readonly websiteUrl?: string;
  /** Icons for user interfaces. */
  readonly icons?: readonly Icon[];
}

/** The capabilities of a client. */
export interface ClientCapabilities {
  /** Says that the client can list its roots. */
  readonly roots?: { readonly listChanged?: boolean };
  /** Says that the client can sample from a model. */
  readonly sampling?: JsonObject;
  /** Says that the client can ask its user, by a form or by opening a URL. */
  readonly elicitation?: { readonly form?: JsonObject; readonly url?: JsonObject };
  /** Capabilities outside the protocol. */
  readonly experimental?: JsonObject;
  /** The settings of extensions, by their identifiers. */
  readonly extensions?: JsonObject;
}

/** The capabilities of a server. */
export interface ServerCapabilities {
  /** Says that the server offers tools. */
  readonly tools?: { readonly listChanged?: boolean };
  /** Says that the server offers resources. */
  readonly resources?: { readonly subscribe?: boolean; readonly listChanged?: boolean };
  /** Says that the server offers prompts. */
  readonly prompts?: { readonly listChanged?: boolean };
  /** Says that the server completes arguments. */
  readonly completions?: JsonObject;
  /** Says that the server sends log messages. */
  readonly logging?: JsonObject;
  /** Capabilities outside the protocol. */
  readonly experimental?: JsonObject;
  /** The settings of extensions, by their identifiers. */
  readonly extensions?: JsonObject;
}

/** The log levels, least severe first (RFC 5424 §6.2.1). */
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

/** The severity of a log message. */
export type LogLevel = (typeof LOG_LEVELS)[number];

const RANKS: ReadonlyMap<unknown, number> = new Map(LOG_LEVELS.map((level, rank) => [level, rank]));

/** Tells whether a value is a log level. */
export function isLogLevel(value: unknown): value is LogLevel {
  return RANKS.has(value);
}

/** Tells whether a level is at least as severe as another. */
export function isAtLeast(level: LogLevel, least: LogLevel): boolean {
  return (RANKS.get(level) ?? -1) >= (RANKS.get(least) ?? LOG_LEVELS.length);
}

/** Gives untrusted hints about what a tool does. */
export interface ToolAnnotations {
  /** The name of the tool, for people. */
  readonly title?: string;
  /** Says that the tool changes nothing. */
  readonly readOnlyHint?: boolean;
  /** Says that the tool may destroy something. */
  readonly destructiveHint?: boolean;
  /** Says that a repeated call with the same arguments has no further effect. */
  readonly idempotentHint?: boolean;
  /** Says that the tool interacts with an open world, such as the web. */
  readonly openWorldHint?: boolean;
}

/** The result of `tools/call`. */
export interface CallToolResult {
  /** The content for the model. */
  readonly content: readonly ContentBlock[];
  /** The data for programs. */
  readonly structuredContent?: JsonObject;
  /** Whether the tool failed. */
  readonly isError?: boolean;
  /** Additional metadata. */
  readonly _meta?: JsonObject;
}

/** The result of `resources/read`. */
export interface ReadResourceResult {
  /** The contents of the resource. */
  readonly contents: readonly ResourceContents[];
  /** Additional metadata. */
  readonly _meta?: JsonObject;
}

/** The result of `prompts/get`. */
export interface GetPromptResult {
  /** The description of the prompt. */
  readonly description?: string;
  /** The messages of the prompt. */
  readonly messages: readonly PromptMessage[];
  /** Additional metadata. */
  readonly _meta?: JsonObject;
}

/** The result of `elicitation/create`. */
export interface ElicitResult {
  /** What the user did. */
  readonly action: "accept" | "decline" | "cancel";
  /** The fields of the form, with `"accept"`. */
  readonly content?: JsonObject;
}

/** The parameters of `sampling/createMessage`. */
export interface CreateMessageParams {
  /** The conversation so far. */
  readonly messages: readonly { readonly role: Role; readonly content: unknown }[];
  /** Limits the answer, in tokens. */
  readonly maxTokens: number;
  /** Tells the model how to behave. */
  readonly systemPrompt?: string;
  /** Which context the client adds. */
  readonly includeContext?: "none" | "thisServer" | "allServers";
  /** Sets the randomness of the answer. */
  readonly temperature?: number;
  /** Lists strings that end the answer. */
  readonly stopSequences?: readonly string[];
  /** The description of the wanted model. */
  readonly modelPreferences?: JsonObject;
  /** Holds metadata for the provider of the model. */
  readonly metadata?: JsonObject;
  /** Lists tools that the model may call. */
  readonly tools?: readonly JsonObject[];
  /** Controls how the model uses tools. */
  readonly toolChoice?: JsonObject;
  /** Additional metadata for the client. */
  readonly _meta?: JsonObject;
}

/** The result of `sampling/createMessage`. */
export interface CreateMessageResult {
  /** The speaker. */
  readonly role: Role;
  /** The answer. */
  readonly content: TextContent | JsonObject | readonly JsonObject[];
  /** The name of the model. */
  readonly model: string;
  /** Why the answer ended. */
  readonly stopReason?: string;
}

/** A root: a directory or file that the client works on. */
export interface Root {
  /** The location as a `file:` URI. */
  readonly uri: string;
  /** The name of the root, for people. */
  readonly name?: string;
}
