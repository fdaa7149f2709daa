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

/** Describes a client or server program. */
export interface Implementation {
  /** Names the program, for programs. */
  readonly name: string;
  /** Gives its version. */
  readonly version: string;
  /** Names the program, for people. */
  readonly title?: string;
  /** Describes the program. */
  readonly description?: string;
  /** Gives the URL of its website. */
  readonly websiteUrl?: string;
  /** Lists icons for user interfaces. */
  readonly icons?: readonly Icon[];
}

/** Lists the capabilities of a client. */
export interface ClientCapabilities {
  /** Says that the client can list its roots. */
  readonly roots?: { readonly listChanged?: boolean };
  /** Says that the client can sample from a model. */
  readonly sampling?: JsonObject;
  /** Says that the client can ask its user, by a form or by opening a URL. */
  readonly elicitation?: { readonly form?: JsonObject; readonly url?: JsonObject };
  /** Holds capabilities outside the protocol. */
  readonly experimental?: JsonObject;
  /** Holds the settings of extensions, by their identifiers. */
  readonly extensions?: JsonObject;
}

/** Lists the capabilities of a server. */
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
  /** Holds capabilities outside the protocol. */
  readonly experimental?: JsonObject;
  /** Holds the settings of extensions, by their identifiers. */
  readonly extensions?: JsonObject;
}

/** Lists the log levels, least severe first (RFC 5424 §6.2.1). */
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

/** Gives the severity of a log message. */
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
  /** Names the tool, for people. */
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

/** Represents the result of `tools/call`. */
export interface CallToolResult {
  /** Holds the content for the model. */
  readonly content: readonly ContentBlock[];
  /** Holds the data for programs. */
  readonly structuredContent?: JsonObject;
  /** Says whether the tool failed. */
  readonly isError?: boolean;
  /** Holds additional metadata. */
  readonly _meta?: JsonObject;
}

/** Represents the result of `resources/read`. */
export interface ReadResourceResult {
  /** Holds the contents of the resource. */
  readonly contents: readonly ResourceContents[];
  /** Holds additional metadata. */
  readonly _meta?: JsonObject;
}

/** Represents the result of `prompts/get`. */
export interface GetPromptResult {
  /** Describes the prompt. */
  readonly description?: string;
  /** Lists the messages of the prompt. */
  readonly messages: readonly PromptMessage[];
  /** Holds additional metadata. */
  readonly _meta?: JsonObject;
}

/** Represents the result of `elicitation/create`. */
export interface ElicitResult {
  /** Says what the user did. */
  readonly action: "accept" | "decline" | "cancel";
  /** Holds the fields of the form, with `"accept"`. */
  readonly content?: JsonObject;
}

/** Holds the parameters of `sampling/createMessage`. */
export interface CreateMessageParams {
  /** Holds the conversation so far. */
  readonly messages: readonly { readonly role: Role; readonly content: unknown }[];
  /** Limits the answer, in tokens. */
  readonly maxTokens: number;
  /** Tells the model how to behave. */
  readonly systemPrompt?: string;
  /** Says which context the client adds. */
  readonly includeContext?: "none" | "thisServer" | "allServers";
  /** Sets the randomness of the answer. */
  readonly temperature?: number;
  /** Lists strings that end the answer. */
  readonly stopSequences?: readonly string[];
  /** Describes the wanted model. */
  readonly modelPreferences?: JsonObject;
  /** Holds metadata for the provider of the model. */
  readonly metadata?: JsonObject;
  /** Lists tools that the model may call. */
  readonly tools?: readonly JsonObject[];
  /** Controls how the model uses tools. */
  readonly toolChoice?: JsonObject;
}

/** Represents the result of `sampling/createMessage`. */
export interface CreateMessageResult {
  /** Names the speaker. */
  readonly role: Role;
  /** Holds the answer. */
  readonly content: TextContent | JsonObject | readonly JsonObject[];
  /** Names the model. */
  readonly model: string;
  /** Says why the answer ended. */
  readonly stopReason?: string;
}

/** Represents a root: a directory or file that the client works on. */
export interface Root {
  /** Gives the location as a `file:` URI. */
  readonly uri: string;
  /** Names the root, for people. */
  readonly name?: string;
}
