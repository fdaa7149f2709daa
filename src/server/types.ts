/**
 * Defines what handlers get, what they may return, and the handles that registration returns.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { ContentBlock, PromptMessage } from "../protocol/content.ts";
import type {
  ClientFacts,
  Notification,
  Principal,
  SessionState,
  UserState,
} from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
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
import type { BinaryContent } from "./content.ts";
import type { Variables } from "./uris/template_variables.ts";
import type { JsonSchemaType } from "./schemas/json_schema_type.ts";
import type {
  InferInput,
  InferOutput,
  Schema,
  Shape,
  StandardSchema,
} from "./schemas/standard_schema.ts";

/** A handler access to the request that it answers. */
export interface RequestContext {
  /** Aborts when the request should stop, with a `StopError` as its reason. */
  readonly signal: AbortSignal;
  /** The principal that sent the request. */
  readonly principal: Principal;
  /**
   * Holds the session and its state; `undefined` in a request without a session, so always in
   * 2026-07-28.
   */
  readonly session: ContextSession | undefined;
  /** The user who sent the request, and what is kept for that user, with and without sessions. */
  readonly user: ContextUser;
  /** The HTTP request that carried the call. Its body has been read. */
  readonly request: Request;
  /** The protocol version of the request. */
  readonly protocolVersion: ProtocolVersion;
  /** The description of the client program. */
  readonly client: ClientFacts;
  /** The request's `_meta`: what the client adds to its params, such as trace ids. */
  readonly _meta: JsonObject;
  /**
   * Reports progress, if the client asked for it with a progress token. `value` must rise with
   * every call; `total`, if known, is the value at the end.
   *
   * @throws {RangeError} If a number is not finite
   */
  readonly progress: (value: number, total?: number, message?: string) => void;
  /**
   * Sends a log message, if the client wants messages of that level: from `"info"` on until it sets
   * a level, and in 2026-07-28 only where the request sets one. `data` is any JSON value.
   *
   * @throws {TypeError} If the level is unknown
   */
  readonly log: (level: LogLevel, data: unknown, logger?: string) => void;
  /** Asks the user. See {@linkcode Elicit}. */
  readonly elicit: Elicit;
  /**
   * Asks the client's model. Choose keys, and expect repeated runs, as {@linkcode Elicit} says.
   *
   * @throws {MissingCapabilityError} If the client doesn't support sampling, or not with tools
   * @throws {QuestionError} If the client answers with an error, not as asked, or not in time
   */
  readonly sample: (key: string, params: CreateMessageParams) => Promise<CreateMessageResult>;
  /**
   * Asks for the client's roots. Choose keys, which default to `"roots"`, and expect repeated runs,
   * as {@linkcode Elicit} says.
   *
   * @throws {MissingCapabilityError} If the client doesn't support roots
   * @throws {QuestionError} If the client answers with an error, not as asked, or not in time
   */
  readonly roots: (key?: string) => Promise<readonly Root[]>;
  /** Sends a notification to the client, on this call's own stream. */
  readonly notify: (notification: Notification) => void;
  /**
   * Closes the connection, not the call: the client reconnects for the rest after `retryMs`
   * milliseconds.
   */
  readonly closeStream: (options?: { readonly retryMs?: number }) => void;
}

/** A handler access to the session. */
export interface ContextSession {
  /**
   * Identifies the session. Keep it secret: with the owner's credentials it gives access to the
   * session.
   */
  readonly id: string;
  /** Holds values that live as long as the session. */
  readonly state: SessionState;
}

/** A handler access to the user: the principal's `issuer` and `id`, with any client. */
export interface ContextUser {
  /** Holds values that outlive sessions, until they are not used for `userState.idleMs`. */
  readonly state: UserState;
}

/**
 * Asks the user to fill in a form or to visit a web page (2025-11-25, Elicitation).
 *
 * Until 2025-11-25 the question is sent on the call's own stream, and the handler waits for the
 * answer. In 2026-07-28 the call ends here and the client calls again with the answer: the handler
 * runs again from its start, and every question that has been answered returns at once (Multi
 * Round-Trip Requests). So a handler must be safe to run again up to its last question: ask first,
 * act afterwards, and give every question of one call a different key, the same in every run.
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
   * Asks the user to fill in a form with flat fields: strings, numbers, booleans, choices.
   *
   * @returns What the user did and, if accepted, the fields, validated by the schema
   * @throws {TypeError} If the key is empty, or the schema is not that of a flat object
   * @throws {MissingCapabilityError} If the client can't show forms
   * @throws {QuestionError} With -32602 if the answer doesn't match the schema; or if the client
   * answers with an error, or not in time
   */
  <const S extends Schema>(
    key: string,
    form: { readonly message: string; readonly schema: S },
  ): Promise<FormAnswer<InferOutput<S>>>;
  /**
   * Asks the user to visit a web page (from 2025-11-25 on). `"accept"` means that the user agreed
   * to go there, not that anything has happened there.
   *
   * @throws {TypeError} If the key is empty, or the URL is not absolute
   * @throws {MissingCapabilityError} If the client can't open URLs
   * @throws {QuestionError} If the client answers with an error, or not in time
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

/** The arguments of a tool or prompt without a schema: an object without fields. */
export type NoArguments = Readonly<Record<never, never>>;

/** Infers the arguments from a schema; without a schema there are none. */
export type ArgumentsOf<S> = S extends Schema ? InferOutput<S> : NoArguments;

/**
 * Represents a result with structured data. Its text form is filled in when `content` is omitted.
 */
export interface StructuredResult<Data> {
  /** The data. */
  readonly structuredContent: Data;
  /** The content for the model; by default the data as JSON. */
  readonly content?: readonly ContentBlock[];
  /** Whether the tool failed. */
  readonly isError?: boolean;
  /** Additional metadata. */
  readonly _meta?: Record<string, unknown>;
}

/** A result that tells the model what went wrong. */
export interface ErrorResult {
  /** Marks the result as a failure. */
  readonly isError: true;
  /** What went wrong. */
  readonly content: readonly ContentBlock[];
  /** Holds data about the failure, which is not validated. */
  readonly structuredContent?: AnyData;
  /** Additional metadata. */
  readonly _meta?: Record<string, unknown>;
}

/** A JSON value whose type isn't known to the compiler. */
export type AnyData = object | string | number | boolean | null;

/**
 * Infers the data that matches an output schema; any JSON value for a plain JSON Schema that is not a
 * literal.
 */
export type DataOf<Output extends Schema> = Output extends StandardSchema | Shape
  ? InferInput<Output>
  : unknown extends JsonSchemaType<Output> ? AnyData
  : JsonSchemaType<Output>;

/**
 * Represents what a tool's handler may return: a full result, a string, one or more content blocks,
 * or data. With an output schema it is data that matches the schema, or an error.
 */
export type ToolReturn<Output> = Output extends Schema
  ? StructuredResult<DataOf<Output>> | ErrorResult
  : FreeToolReturn;

/** Represents what the handler of a tool without an output schema may return. */
export type FreeToolReturn =
  | string
  | ContentBlock
  | BinaryContent
  | readonly (ContentBlock | BinaryContent)[]
  | CallToolResult
  | StructuredResult<AnyData>;

/** Runs a tool. */
export type ToolHandler<Input = undefined, Output = undefined> = (
  args: ArgumentsOf<Input>,
  ctx: RequestContext,
) => MaybePromise<ToolReturn<Output>>;

/** One piece of a resource. The URI and the media type are filled in when omitted. */
export type Contents =
  & { readonly uri?: string; readonly mimeType?: string; readonly _meta?: Record<string, unknown> }
  & ({ readonly text: string } | { readonly blob: string });

/**
 * Represents what reading a resource may return: a full result, a string, bytes, or one or more
 * pieces.
 */
export type ReadReturn =
  | string
  | Uint8Array
  | Contents
  | readonly Contents[]
  | ReadResourceResult;

/** Reads a resource with a fixed URI. */
export type ReadHandler = (uri: URL, ctx: RequestContext) => MaybePromise<ReadReturn>;

/** Reads a resource whose URI matches a template. */
export type ReadTemplateHandler<Values = Variables> = (
  uri: URL,
  variables: Values,
  ctx: RequestContext,
) => MaybePromise<ReadReturn>;

/**
 * Represents what a prompt's handler may return: a full result, a string that the user says, or one
 * or more messages.
 */
export type PromptReturn = string | PromptMessage | readonly PromptMessage[] | GetPromptResult;

/** Creates the messages of a prompt. Without an `argsSchema` the arguments are always `{}`. */
export type PromptHandler<Args = undefined> = (
  args: ArgumentsOf<Args>,
  ctx: RequestContext,
) => MaybePromise<PromptReturn>;

/**
 * Completes an argument of a prompt or a variable of a template: returns the possible values, the
 * best first.
 */
export type Completer = (
  /** The text that the user has typed so far. */
  value: string,
  /** The arguments that already have values. */
  context: { readonly arguments: Readonly<Record<string, string>> },
  ctx: RequestContext,
) => MaybePromise<readonly string[]>;

/** Controls something that is registered. Clients are notified of every change. */
export interface Handle {
  /** Whether clients see it. */
  readonly enabled: boolean;
  /** Shows it to clients again. */
  enable(): void;
  /** Hides it from clients: it is not listed, and requests for it fail as if it did not exist. */
  disable(): void;
  /** Removes it for good; the other methods do nothing afterwards. */
  remove(): void;
}
