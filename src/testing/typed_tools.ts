/**
 * Infers what a client can call from the handles that registration returned.
 *
 * @module
 */
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { CallToolResult } from "../protocol/shapes.ts";
import type { ToolHandle } from "../server/features/tools.ts";
import type { InferInput, InferOutput, Schema } from "../server/schemas/standard_schema.ts";
import type { NoArguments } from "../server/types.ts";
import type { TestRequestOptions } from "./types.ts";

/**
 * The handles among the members of a type, by the name of the tool: of an object, a tuple, or a module
 * (`typeof import("./server.ts")`).
 */
export type ToolsOf<Source> = {
  [
    Key in keyof Source as Source[Key] extends ToolHandle<
      infer _Input,
      infer _Output,
      infer Name
    > ? string extends Name ? never : Name
      : never
  ]: Source[Key];
};

/** The names of the tools that a client knows by its type. */
export type ToolName<Source> = keyof ToolsOf<Source> & string;

/**
 * A name that isn't checked: any, for a client that knows no tools by its type; otherwise a variable of
 * type `string`.
 */
export type UncheckedName<Source, Name extends string> = unknown extends Source ? Name
  : string extends Name ? Name
  : never;

/** The arguments that a tool takes, and the options of the call. */
export type CallParameters<Source, Name extends ToolName<Source>> = NoArguments extends
  SentTo<ToolsOf<Source>[Name]>
  ? [args?: SentTo<ToolsOf<Source>[Name]>, options?: TestRequestOptions]
  : [args: SentTo<ToolsOf<Source>[Name]>, options?: TestRequestOptions];

type SentTo<Tool> = Tool extends ToolHandle<infer Input, infer _Output, infer _Name>
  ? Input extends Schema ? InferInput<Input> : { readonly [name: string]: never }
  : never;

/** The result of a tool. */
export type ResultOf<Tool> = Tool extends ToolHandle<infer _Input, infer Output, infer _Name>
  ? Output extends Schema ? TypedToolResult<Received<InferOutput<Output>>> : CallToolResult
  : never;

/** Data as a client gets it: until 2025-11-25 it is an object, and other values are its member `result`. */
type Received<Data> = Data extends readonly unknown[] ? Data | { readonly result: Data }
  : Data extends object ? Data
  : Data | { readonly result: Data };

/** The result of a tool with an output schema. */
export interface TypedToolResult<Data> {
  /** The content for the model. */
  readonly content: CallToolResult["content"];
  /** The data. A tool that failed need not have any. */
  readonly structuredContent?: Data;
  /** Whether the tool failed. */
  readonly isError?: boolean;
  /** Additional metadata. */
  readonly _meta?: JsonObject;
}
