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
  /** Its name, for programs. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** Its name for people. */
  readonly title?: string;
  /** What it is. */
  readonly description?: string;
  /** Where there is more about it. */
  readonly websiteUrl?: string;
  /** Pictures that stand for it. */
  readonly icons?: readonly Icon[];
}

/** What a client can do. */
export interface ClientCapabilities {
  /** It has folders to work on. */
  readonly roots?: { readonly listChanged?: boolean };
  /** It has a model that can be asked. */
  readonly sampling?: JsonObject;
  /** It has a user who can be asked: by a form, or by being sent to a page. */
  readonly elicitation?: { readonly form?: JsonObject; readonly url?: JsonObject };
  /** What is not in the protocol. */
  readonly experimental?: JsonObject;
  /** Extensions of the protocol, with their settings. */
  readonly extensions?: JsonObject;
}

/** What a server can do. */
export interface ServerCapabilities {
  /** It has tools. */
  readonly tools?: { readonly listChanged?: boolean };
  /** It has resources. */
  readonly resources?: { readonly subscribe?: boolean; readonly listChanged?: boolean };
  /** It has prompts. */
  readonly prompts?: { readonly listChanged?: boolean };
  /** It suggests values of arguments. */
  readonly completions?: JsonObject;
  /** It sends log messages. */
  readonly logging?: JsonObject;
  /** What is not in the protocol. */
  readonly experimental?: JsonObject;
  /** Extensions of the protocol, with their settings. */
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

const RANKS: ReadonlyMap<unknown, number> = new Map(LOG_LEVELS.map((level, rank) => [level, rank]));

/** Tells whether a value is a log level. */
export function isLogLevel(value: unknown): value is LogLevel {
  return RANKS.has(value);
}

/** Tells whether a level is at least as severe as another. */
export function isAtLeast(level: LogLevel, least: LogLevel): boolean {
  return (RANKS.get(level) ?? -1) >= (RANKS.get(least) ?? LOG_LEVELS.length);
}

/** What a tool is like, as a hint that nobody must rely on. */
export interface ToolAnnotations {
  /** Its name for people. */
  readonly title?: string;
  /** It changes nothing. */
  readonly readOnlyHint?: boolean;
  /** It may destroy something. */
  readonly destructiveHint?: boolean;
  /** Doing it again changes nothing more. */
  readonly idempotentHint?: boolean;
  /** It reaches beyond a closed set of things. */
  readonly openWorldHint?: boolean;
}

/** What a tool call results in. */
export interface CallToolResult {
  /** What it says, for the model. */
  readonly content: readonly ContentBlock[];
  /** What it says, for programs. */
  readonly structuredContent?: JsonObject;
  /** Whether the tool failed. */
  readonly isError?: boolean;
  /** Anything else. */
  readonly _meta?: JsonObject;
}

/** What reading a resource results in. */
export interface ReadResourceResult {
  /** What the resource holds. */
  readonly contents: readonly ResourceContents[];
  /** Anything else. */
  readonly _meta?: JsonObject;
}

/** What a prompt results in. */
export interface GetPromptResult {
  /** What it is. */
  readonly description?: string;
  /** Its messages. */
  readonly messages: readonly PromptMessage[];
  /** Anything else. */
  readonly _meta?: JsonObject;
}

/** What the user answered. */
export interface ElicitResult {
  /** What the user did. */
  readonly action: "accept" | "decline" | "cancel";
  /** With `"accept"`, the form's fields. */
  readonly content?: JsonObject;
}

/** What the client's model is asked. */
export interface CreateMessageParams {
  /** The conversation so far. */
  readonly messages: readonly { readonly role: Role; readonly content: unknown }[];
  /** How many tokens the answer may have. */
  readonly maxTokens: number;
  /** How the model is to behave. */
  readonly systemPrompt?: string;
  /** Which context of the client is added. */
  readonly includeContext?: "none" | "thisServer" | "allServers";
  /** How freely the model answers. */
  readonly temperature?: number;
  /** Texts at which the answer stops. */
  readonly stopSequences?: readonly string[];
  /** Which model is wanted. */
  readonly modelPreferences?: JsonObject;
  /** What is handed on to the provider of the model. */
  readonly metadata?: JsonObject;
  /** Tools that the model may use. */
  readonly tools?: readonly JsonObject[];
  /** How the model uses tools. */
  readonly toolChoice?: JsonObject;
}

/** What the client's model said. */
export interface CreateMessageResult {
  /** Who says it. */
  readonly role: Role;
  /** What is said. */
  readonly content: TextContent | JsonObject | readonly JsonObject[];
  /** The model that said it. */
  readonly model: string;
  /** Why it stopped. */
  readonly stopReason?: string;
}

/** A folder or file that the client works on. */
export interface Root {
  /** A `file:` URI. */
  readonly uri: string;
  /** Its name for people. */
  readonly name?: string;
}
