/**
 * What handlers are given, what they may return, and the handles that registration returns.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { ContentBlock, PromptMessage } from "../protocol/content.ts";
import type { ClientFacts, Notification, Principal, SessionState } from "../protocol/exchange.ts";
import type {
  CallToolResult,
  CreateMessageParams,
  CreateMessageResult,
  ElicitResult,
  GetPromptResult,
  LogLevel,
  ReadResourceResult,
  Root,
} from "../protocol/shapes.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import type { InferInput, InferOutput, Schema } from "./standard_schema.ts";

/** What a tool, a resource or a prompt knows of the request that it answers, and can do for it. */
export interface RequestContext {
  /** Aborts when the request should stop, with a `StopError` as its reason. */
  readonly signal: AbortSignal;
  /** Who asks. */
  readonly principal: Principal;
  /** The session and the values kept for it. There is none in 2026-07-28. */
  readonly session: ContextSession | undefined;
  /** The HTTP request that carried the call. Its body has been read. */
  readonly request: Request;
  /** The version that the client speaks. */
  readonly protocolVersion: ProtocolVersion;
  /** The client program. */
  readonly client: ClientFacts;
  /**
   * Tells how far the work is, if the client asked to know (it gave a progress token). `value` must
   * rise with every call; `total`, if it is known, is what it rises to.
   *
   * @throws {RangeError} If a number is not finite
   */
  readonly progress: (value: number, total?: number, message?: string) => void;
  /**
   * Sends a log message, if the client wants messages of that level: from `"info"` on until it says
   * otherwise. `data` is any JSON value.
   *
   * @throws {TypeError} If the level is none
   */
  readonly log: (level: LogLevel, data: unknown, logger?: string) => void;
  /** Asks the user something. See {@linkcode Elicit}. */
  readonly elicit: Elicit;
  /**
   * Asks the client's model. What {@linkcode Elicit} says about keys and being run again holds here.
   *
   * @throws {MissingCapabilityError} If the client can't be asked, or not with tools
   * @throws {McpError} If the client answers with an error or not in time
   */
  readonly sample: (key: string, params: CreateMessageParams) => Promise<CreateMessageResult>;
  /**
   * Asks the client for the folders and files that it works on. What {@linkcode Elicit} says about
   * keys (`"roots"` when left out) and being run again holds here.
   *
   * @throws {MissingCapabilityError} If the client can't be asked
   * @throws {McpError} If the client answers with an error or not in time
   */
  readonly roots: (key?: string) => Promise<readonly Root[]>;
  /** Sends a notification to the client, on this call's own stream. */
  readonly notify: (notification: Notification) => void;
  /** Ends the connection, not the call: the client comes back for the rest after `retryMs`. */
  readonly closeStream: (options?: { readonly retryMs?: number }) => void;
}

/** What a handler sees of a session. */
export interface ContextSession {
  /** The session's id: a secret, as good as a password together with the owner's credentials. */
  readonly id: string;
  /** Values kept for the session. */
  readonly state: SessionState;
}

/**
 * Asks the user something: a form, or a visit to a web page.
 *
 * Until 2025-11-25 the question travels on the call's own stream and the handler waits for the
 * answer. From 2026-07-28 on the call ends here and the client calls again with the answer, so the
 * handler is run again from its start, and every question that has been answered returns at once. So a
 * handler must be safe to run again up to its last question: ask first, act afterwards, and give every
 * question of one call a key of its own, the same in every run.
 *
 * @example
 * ```ts
 * import { McpServer } from "@mooring/mcp";
 * import { z } from "zod";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("book", { description: "Books a table." }, async (_args, ctx) => {
 *   const answer = await ctx.elicit("guests", {
 *     message: "For how many?",
 *     schema: z.object({ guests: z.number().int() }),
 *   });
 *   if (answer.action !== "accept") return "Nothing was booked";
 *   return `Booked for ${answer.content.guests}`; // Only here something may happen
 * });
 * ```
 */
export interface Elicit {
  /**
   * Has the user fill in a form. Its fields are flat: texts, numbers, booleans, choices.
   *
   * @returns What the user did and, if accepted, the fields, checked against the schema
   * @throws {TypeError} If the key is empty, or the schema is not one of a flat object
   * @throws {MissingCapabilityError} If the client can't show forms
   * @throws {McpError} With -32602 if the answer doesn't fit the schema; or if the client answers with
   * an error or not in time
   */
  <S extends Schema>(
    key: string,
    form: { readonly message: string; readonly schema: S },
  ): Promise<FormAnswer<InferOutput<S>>>;
  /**
   * Has the user visit a web page (2025-11-25 on). `"accept"` means that the user agreed to go there,
   * not that anything has happened there.
   *
   * @throws {TypeError} If the key is empty, or the URL is none
   * @throws {MissingCapabilityError} If the client can't open pages
   * @throws {McpError} If the client answers with an error or not in time
   */
  (
    key: string,
    visit: { readonly message: string; readonly url: string | URL },
  ): Promise<{ readonly action: ElicitResult["action"] }>;
}

/** What the user did with a form. */
export type FormAnswer<Content> =
  | { readonly action: "accept"; readonly content: Content }
  | { readonly action: "decline" | "cancel"; readonly content?: undefined };

/** The arguments that fit a schema; none without one. */
export type ArgumentsOf<S> = S extends Schema ? InferOutput<S> : Record<string, never>;

/** A result that is data. Its text form is filled in when `content` is left out. */
export interface StructuredResult<Data> {
  /** The data. */
  readonly structuredContent: Data;
  /** What is said to the model; the data as JSON when left out. */
  readonly content?: readonly ContentBlock[];
  /** Whether the tool failed. */
  readonly isError?: boolean;
  /** Anything else. */
  readonly _meta?: Record<string, unknown>;
}

/** A result that says what went wrong, to the model. */
export interface ErrorResult {
  /** The tool failed. */
  readonly isError: true;
  /** What went wrong. */
  readonly content: readonly ContentBlock[];
  /** Data about it, unchecked. */
  readonly structuredContent?: object;
  /** Anything else. */
  readonly _meta?: Record<string, unknown>;
}

/**
 * What a tool's handler may return: a full result, or just a text, a block or blocks of content, or
 * data. With an output schema it is data that fits the schema, or an error.
 */
export type ToolReturn<Output> = Output extends Schema
  ? StructuredResult<InferInput<Output>> | ErrorResult
  : string | ContentBlock | readonly ContentBlock[] | CallToolResult | StructuredResult<object>;

/** Does what a tool is for. */
export type ToolHandler<Input = undefined, Output = undefined> = (
  args: ArgumentsOf<Input>,
  ctx: RequestContext,
) => MaybePromise<ToolReturn<Output>>;

/** One piece of a resource. The URI and the media type are filled in when they are left out. */
export type Contents =
  & { readonly uri?: string; readonly mimeType?: string; readonly _meta?: Record<string, unknown> }
  & ({ readonly text: string } | { readonly blob: string });

/** What reading a resource may return: a full result, a text, bytes, or pieces. */
export type ReadReturn =
  | string
  | Uint8Array
  | Contents
  | readonly Contents[]
  | ReadResourceResult;

/** Reads a resource that has a fixed URI. */
export type ReadHandler = (uri: URL, ctx: RequestContext) => MaybePromise<ReadReturn>;

/** Reads a resource whose URI fits a template. */
export type ReadTemplateHandler = (
  uri: URL,
  variables: Record<string, string>,
  ctx: RequestContext,
) => MaybePromise<ReadReturn>;

/** What a prompt may return: a full result, a text that the user says, or messages. */
export type PromptReturn = string | PromptMessage | readonly PromptMessage[] | GetPromptResult;

/** Makes a prompt's messages. Without an `argsSchema` the arguments are always `{}`. */
export type PromptHandler<Args = undefined> = (
  args: ArgumentsOf<Args>,
  ctx: RequestContext,
) => MaybePromise<PromptReturn>;

/** Suggests values for an argument of a prompt or a variable of a template, the best first. */
export type Completer = (
  /** What the user has typed so far. */
  value: string,
  /** The arguments that have values already. */
  context: { readonly arguments: Readonly<Record<string, string>> },
  ctx: RequestContext,
) => MaybePromise<readonly string[]>;

/** What every registration returns. Clients are told of every change. */
export interface Handle {
  /** Whether clients see it. */
  readonly enabled: boolean;
  /** Shows it to clients again. */
  enable(): void;
  /** Hides it from clients: it is not listed, and to them it doesn't exist. */
  disable(): void;
  /** Takes it away for good; the other methods do nothing afterwards. */
  remove(): void;
}
