/**
 * Registers tools, and answers `tools/list` and `tools/call` (2025-11-25, Tools).
 *
 * The next step of a call is in `calls/answer.ts`.
 *
 * @module
 */
import { booleanOption } from "../../internal/check.ts";
import { checkNames, type NamesOf } from "../../internal/known_names.ts";
import { ownLongCalls } from "../../long_calls/options.ts";
import { quote } from "../../internal/quote.ts";
import { isPromise, type MaybePromise, then } from "../../internal/types.ts";
import type { Icon } from "../../protocol/content.ts";
import { toolResultFor } from "../../protocol/downgrade.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import { wrapsOutput } from "../../protocol/output_schema.ts";
import { TASKS } from "../../protocol/task_store.ts";
import type { ToolAnnotations } from "../../protocol/shapes.ts";
import { errorResult } from "../../protocol/error_result.ts";
import { unknownTool } from "../../protocol/unknown.ts";
import { checkScopes } from "../../auth/scopes.ts";
import { type Approval, isApproved } from "../questions/approval.ts";
import { contextWith, ExchangeContext } from "../context.ts";
import { checkToolName, compact, makeHandle } from "./definition.ts";
import { fail, failedTool } from "../failure.ts";
import type { Feature, FeatureInit, FeatureMethod } from "./feature.ts";
import { headerParamsOf } from "../../protocol/header_params.ts";
import type { HandlerQuestions } from "../questions/questions.ts";
import { Registry } from "./registry.ts";
import type { FoundFeature } from "../route.ts";
import { toToolResult, withText } from "../results.ts";
import { type CompiledSchema, compileSchema } from "../schemas/schema.ts";
import type {
  InferInput,
  InferOutput,
  Schema,
  Shape,
  StandardIssue,
  StandardResult,
  StandardSchema,
} from "../schemas/standard_schema.ts";
import { type TaskSupport, type ToolTask, toolTaskOf } from "../tool_task.ts";
import type { ArgumentsOf, DataOf, Handle, RequestContext, ToolHandler } from "../types.ts";
import { describeIssues, validateArguments } from "../schemas/schema.ts";

/** Configures a tool. */
export interface ToolConfig<
  Input extends Schema | undefined = undefined,
  Output extends Schema | undefined = undefined,
> {
  /** The name of the tool, for people. */
  readonly title?: string;
  /** What the tool does, for the model. */
  readonly description?: string;
  /** Validates the arguments, an object. Without it the handler gets `{}`. */
  readonly inputSchema?: Input;
  /**
   * Validates the `structuredContent` of results, which may be of any type (2026-07-28, Tools, Output
   * Schema). Clients of the 2025 versions, which know only objects, get any other schema and its values
   * as the member `result` of an object.
   */
  readonly outputSchema?: Output;
  /** Gives hints for the client. */
  readonly annotations?: ToolAnnotations;
  /** Icons for user interfaces. */
  readonly icons?: readonly Icon[];
  /** Additional metadata for clients. */
  readonly _meta?: Record<string, unknown>;
  /**
   * Says whether to ask the user before the tool runs. Without an explicit yes, or without a way to
   * ask, the call ends as an error.
   *
   * @default {false}
   */
  readonly approval?: Approval<ArgumentsOf<Input>>;
  /**
   * Lists the scopes that a principal needs to call the tool. The tool is still listed: a
   * call without a scope is answered 403 with a challenge that names them all, so that the client
   * can ask the user for more (2025-11-25 and 2026-07-28, Runtime Insufficient Scope Errors). To
   * hide a tool use the handler's option `authorize`. Without it no scope is needed.
   */
  readonly scopes?: readonly string[];
  /**
   * Says whether a call of the tool is begun again, once, at another node if its node dies: a call of 2025
   * that is answered with a stream, or a task. The arguments of such a call, up to 64 KiB, are kept encrypted
   * in the store, those of a task as they are. The tool must say that this does no harm:
   * `annotations.idempotentHint` must be `true`. Without it such a call ends with an error.
   *
   * @default {false}
   */
  readonly retryOnNodeLoss?: boolean;
  /**
   * Says when a call is answered although the tool still runs, in milliseconds, or `false` for never; for
   * handlers with the option `longCalls`. Their own time when left out.
   */
  readonly longCalls?: false | { readonly afterMs?: number };
  /**
   * Says whether a call with the key `mooring/callKey` in its `_meta` is answered once: a repeat of it, such
   * as after a lost connection, waits for the first one, or gets the answer that this one had in the last 15
   * minutes. Keys belong to the principal. Without it the key is ignored.
   *
   * @default {false}
   */
  readonly answerOnce?: boolean;
  /**
   * Says whether clients that know tasks get a task instead of the result, while the handler runs
   * on (2026-07-28, Tasks extension). Call `server.use(tasks())`, of `@mooring/mcp/tasks`, first.
   */
  readonly task?: TaskSupport | ToolTask<ArgumentsOf<Input>>;
}

/** What to change about a tool; omitted fields stay as they are. */
export type ToolChanges<
  Input extends Schema | undefined,
  Output extends Schema | undefined,
> = ToolConfig<Input, Output> & {
  readonly callback?: ToolHandler<Input, Output>;
  readonly enabled?: boolean;
};

/** The types of an input schema: what clients send, and what the handler gets. */
export type InputTypes<Input extends Schema | undefined> = Input extends Schema
  ? StandardSchema<InferInput<Input>, InferOutput<Input>>
  : undefined;

/** The types of an output schema: what the handler returns, and what clients get. */
export type OutputTypes<Output extends Schema | undefined> = Output extends Schema ? StandardSchema<
    DataOf<Output>,
    Output extends StandardSchema | Shape ? InferOutput<Output> : DataOf<Output>
  >
  : undefined;

/** Controls a registered tool. */
export interface ToolHandle<
  Input extends Schema | undefined = undefined,
  Output extends Schema | undefined = undefined,
  Name extends string = string,
> extends Handle {
  /** The name of the tool. */
  readonly name: Name;
  /**
   * Changes the given fields and keeps the others. The tool keeps its name and its place in lists.
   *
   * @throws {TypeError} If a schema can't be used
   */
  update<const I extends Schema | undefined = Input, const O extends Schema | undefined = Output>(
    changes: ToolChanges<I, O>,
  ): void;
}

type AnyConfig = Omit<ToolConfig<Schema, Schema>, "approval" | "task"> & {
  readonly approval?: Approval<unknown>;
  readonly task?: TaskSupport | ToolTask;
};
type AnyChanges = AnyConfig & { readonly callback?: AnyHandler; readonly enabled?: boolean };
type AnyHandler = (args: unknown, ctx: RequestContext) => MaybePromise<unknown>;

const CONFIG_NAMES: NamesOf<ToolConfig> = {
  title: true,
  description: true,
  inputSchema: true,
  outputSchema: true,
  annotations: true,
  icons: true,
  _meta: true,
  approval: true,
  scopes: true,
  retryOnNodeLoss: true,
  longCalls: true,
  answerOnce: true,
  task: true,
};

const ANNOTATION_NAMES: NamesOf<ToolAnnotations> = {
  title: true,
  readOnlyHint: true,
  destructiveHint: true,
  idempotentHint: true,
  openWorldHint: true,
};

interface Tool extends FoundFeature {
  readonly name: string;
  readonly answer: FeatureMethod;
  readonly retry: boolean;
  readonly outputSchema: boolean;
  readonly config: AnyConfig;
  readonly listed: JsonObject;
  readonly input: CompiledSchema | undefined;
  readonly output: CompiledSchema | undefined;
  /** Whether clients of the 2025 versions get the data wrapped. */
  readonly wraps: boolean;
  readonly approval: Approval<unknown>;
  readonly task: ToolTask | undefined;
  readonly handler: AnyHandler;
}

/** A tool call whose arguments have been validated. */
export interface ToolCall {
  /** The name of the tool. */
  readonly name: string;
  /** How the tool runs as a task; `undefined` when it doesn't. */
  readonly task: ToolTask | undefined;
  /** Whether the tool may run again when the node that runs it dies. */
  readonly retryOnNodeLoss: boolean;
  /** The validated arguments. */
  readonly args: unknown;
  /** The request. It MUST NOT be kept after its answer. */
  readonly exchange: Exchange;
  /** Returns the {@linkcode HandlerQuestions} of the call. */
  questions(): HandlerQuestions;
  /**
   * Creates the context for a handler that runs for an exchange and asks by the given questions.
   */
  context(exchange: Exchange, questions: HandlerQuestions): RequestContext;
  /**
   * Asks for approval where it is needed, runs the tool and completes its result: for the call's
   * own exchange and context, unless others are given.
   */
  run(exchange?: Exchange, ctx?: RequestContext): MaybePromise<JsonObject>;
}

/** What {@linkcode Tools} get from the server. */
export interface ToolsInit extends FeatureInit {
  /** Tells whether the server uses an extension. */
  readonly uses: (extension: string) => boolean;
  /** Returns the function that answers calls in place of the tools, if an extension has one. */
  readonly callTool: () => ((call: ToolCall) => MaybePromise<JsonObject>) | undefined;
}

/** The tools of a server. */
export class Tools implements Feature {
  readonly methods: Feature["methods"] = {
    "tools/list": (exchange) => this.#registry.pageFor(exchange, "tools/call"),
    // A tool that there is answers itself.
    "tools/call": failUnknown,
  };
  readonly unknown: Feature["unknown"] = { "tools/call": failUnknown };
  readonly #init: ToolsInit;
  readonly #registry: Registry<Tool>;
  /** The endpoints that answer no call early. */
  #endpointsWithoutLongCalls = 0;
  /** The endpoints that keep no answers. */
  #endpointsWithoutAnswers = 0;

  constructor(init: ToolsInit) {
    this.#init = init;
    this.#registry = new Registry({
      field: "tools",
      noun: "tool",
      letter: "t",
      changed: () => init.changed("notifications/tools/list_changed"),
    });
  }

  /**
   * Registers a tool.
   *
   * @throws {TypeError} If the name is taken or a schema can't be used
   */
  register<I extends Schema | undefined, O extends Schema | undefined>(
    name: string,
    config: ToolConfig<I, O>,
    handler: ToolHandler<I, O>,
  ): ToolHandle<I, O> {
    // The schemas validate what these types promise
    const tool = this.#define(name, config as AnyConfig, handler as AnyHandler);
    const entry = this.#registry.add(name, tool);
    const redefine = ({ callback, enabled: _, ...changes }: AnyChanges): Tool => {
      const { config, handler } = entry.definition;
      return this.#define(name, { ...config, ...compact(changes) }, callback ?? handler);
    };
    const handle = Object.assign(makeHandle(this.#registry, entry, redefine), { name });
    // The schemas validate what these types promise
    return handle as ToolHandle<I, O>;
  }

  /**
   * Refuses tools that have a time of their own to be answered after, for an endpoint that answers no call
   * early.
   *
   * @returns A function that is called when the endpoint closes
   * @throws {TypeError} If there is such a tool
   */
  refuseLongCalls(): () => void {
    for (const { name, longCalls } of this.#registry.all) checkAnsweredEarly(name, longCalls);
    this.#endpointsWithoutLongCalls++;
    let refuses = true;
    return () => {
      if (refuses) this.#endpointsWithoutLongCalls--;
      refuses = false;
    };
  }

  /**
   * Refuses tools that answer once, for an endpoint that keeps no answers.
   *
   * @returns A function that is called when the endpoint closes
   * @throws {TypeError} If there is such a tool
   */
  refuseAnswersOnce(): () => void {
    for (const { name, answerOnce } of this.#registry.all) checkAnswersKept(name, answerOnce);
    this.#endpointsWithoutAnswers++;
    let refuses = true;
    return () => {
      if (refuses) this.#endpointsWithoutAnswers--;
      refuses = false;
    };
  }

  /** Returns a tool with all that its calls need. */
  find(name: unknown): FoundFeature | undefined {
    return typeof name === "string" ? this.#registry.get(name) : undefined;
  }

  #define(name: string, config: AnyConfig, handler: AnyHandler): Tool {
    checkToolName(name);
    checkNames(`the tool "${name}"`, config, CONFIG_NAMES);
    if (config.scopes !== undefined) checkScopes(`scopes of "${name}"`, config.scopes);
    if (typeof handler !== "function") {
      throw new TypeError(`Give the tool "${name}" a handler: ${typeof handler}`);
    }
    checkRetry(name, config);
    const { title, description, inputSchema, outputSchema, annotations, icons, _meta } = config;
    checkNames(`the tool "${name}"`, annotations, ANNOTATION_NAMES, "annotations.");
    const input = inputSchema && compileSchema(inputSchema, "input", `inputSchema of "${name}"`);
    const output = outputSchema &&
      compileSchema(outputSchema, "output", `outputSchema of "${name}"`);
    const longCalls = ownLongCalls(`the tool "${name}"`, config.longCalls);
    if (this.#endpointsWithoutLongCalls > 0) checkAnsweredEarly(name, longCalls);
    const answerOnce = booleanOption(`answerOnce of "${name}"`, config.answerOnce, false)
      ? name
      : undefined;
    if (this.#endpointsWithoutAnswers > 0) checkAnswersKept(name, answerOnce);
    const headerParams = headerParamsOf(input?.json);
    const listed = compact({
      name,
      title,
      description,
      inputSchema: input?.json ?? { type: "object", properties: {} },
      outputSchema: output?.json,
      annotations,
      icons,
      _meta,
    });
    const approval = config.approval ?? false;
    const task = toolTaskOf(name, config.task, this.#init.uses(TASKS));
    const wraps = wrapsOutput(output?.json);
    const tool: Tool = {
      name,
      target: { tool: name },
      answer: (exchange) => this.#call(tool, exchange),
      scopes: config.scopes,
      retry: config.retryOnNodeLoss === true,
      longCalls,
      answerOnce,
      outputSchema: output !== undefined,
      config,
      listed,
      input,
      output,
      wraps,
      headerParams,
      approval,
      task,
      handler,
    };
    return tool;
  }

  #call(tool: Tool, exchange: Exchange): MaybePromise<JsonObject> {
    return then(
      validateArguments(tool.input, exchange.params.arguments),
      (checked) => this.#answer(tool, checked, exchange),
    );
  }

  #answer(
    tool: Tool,
    checked: StandardResult<unknown>,
    exchange: Exchange,
  ): MaybePromise<JsonObject> {
    if (checked.issues !== undefined) return invalidArguments(tool, checked.issues);
    const args = checked.value;
    const { context } = this.#init;
    const callTool = this.#init.callTool();
    if (callTool === undefined) {
      return approveAndRun(tool, args, exchange, new ExchangeContext(exchange, context));
    }
    return callTool({
      name: tool.name,
      task: tool.task,
      retryOnNodeLoss: tool.retry,
      args,
      exchange,
      questions: () => context.questions(exchange),
      context: (exchange, questions) => contextWith(exchange, context, questions),
      run: (own = exchange, ctx = new ExchangeContext(own, context)) =>
        approveAndRun(tool, args, own, ctx),
    });
  }
}

function failUnknown({ params }: Exchange): never {
  throw unknownTool(params.name);
}

/** Checks that only a tool that says so is called again. */
function checkRetry(name: string, { retryOnNodeLoss = false, annotations }: AnyConfig): void {
  if (typeof retryOnNodeLoss !== "boolean") {
    throw new TypeError(
      `Give a boolean as "retryOnNodeLoss" of "${name}": ${typeof retryOnNodeLoss}`,
    );
  }
  if (!retryOnNodeLoss || annotations?.idempotentHint === true) return;
  throw new TypeError(
    `Give the tool "${name}" annotations with "idempotentHint: true", or no "retryOnNodeLoss"`,
  );
}

function checkAnsweredEarly(name: string, longCalls: Tool["longCalls"]): void {
  if (longCalls === undefined || longCalls === false) return;
  throw new TypeError(
    `Give the handler the option "longCalls", or leave it out of the tool "${name}": its calls would not be ` +
      "answered early",
  );
}

function checkAnswersKept(name: string, answerOnce: Tool["answerOnce"]): void {
  if (answerOnce === undefined) return;
  throw new TypeError(
    `Use a store with "answers", or leave "answerOnce" out of the tool "${name}": its answers would not be kept`,
  );
}

/**
 * Returns a result from which the model can correct its call (2025-11-25 and 2026-07-28, Tools, Error
 * Handling).
 */
function invalidArguments({ name }: Tool, issues: readonly StandardIssue[]): JsonObject {
  const what = describeIssues(issues, "the arguments");
  return errorResult(`Invalid arguments for the tool ${quote(name)}. ${what}`);
}

function approveAndRun(
  tool: Tool,
  args: unknown,
  exchange: Exchange,
  ctx: RequestContext,
): MaybePromise<JsonObject> {
  const { approval, config, name } = tool;
  if (approval === false) return run(tool, args, exchange, ctx);
  const label = config.title ?? name;
  return isApproved(exchange, { name, label, approval, args, ctx }).then((approved) => {
    if (approved) return run(tool, args, exchange, ctx);
    return errorResult(`The tool ${quote(name)} was not approved`);
  });
}

function run(
  tool: Tool,
  args: unknown,
  exchange: Exchange,
  ctx: RequestContext,
): MaybePromise<JsonObject> {
  let returned: MaybePromise<unknown>;
  try {
    returned = tool.handler(args, ctx);
  } catch (error) {
    return failedTool(exchange, tool.name, error);
  }
  return isPromise(returned)
    ? returned.then(
      (value) => completeResult(tool, value, exchange),
      (error) => failedTool(exchange, tool.name, error),
    )
    : completeResult(tool, returned, exchange);
}

function completeResult(
  tool: Tool,
  returned: unknown,
  exchange: Exchange,
): MaybePromise<JsonObject> {
  let result: JsonObject;
  try {
    result = toToolResult(returned);
    if (tool.output === undefined || result.isError === true) {
      return finished(tool, result, exchange);
    }
  } catch (error) {
    return failedTool(exchange, tool.name, error);
  }
  if (result.structuredContent === undefined) {
    return failValidation(tool, 'Return "structuredContent"', exchange);
  }
  const checked = tool.output.validate(result.structuredContent);
  return isPromise(checked)
    ? checked.then((outcome) => validated(tool, result, outcome, exchange))
    : validated(tool, result, checked, exchange);
}

function validated(
  tool: Tool,
  result: JsonObject,
  checked: StandardResult<unknown>,
  exchange: Exchange,
): JsonObject {
  if (checked.issues !== undefined) {
    return failValidation(tool, describeIssues(checked.issues, "the result"), exchange);
  }
  return finished(tool, { ...result, structuredContent: checked.value }, exchange);
}

function finished(tool: Tool, result: JsonObject, exchange: Exchange): JsonObject {
  return toolResultFor(exchange.protocolVersion, withText(result), tool.wraps);
}

function failValidation(tool: Tool, what: string, exchange: Exchange): never {
  const message = `The result of the tool ${quote(tool.name)} doesn't fit its output schema`;
  return fail(exchange, `tools/call ${tool.name}`, new TypeError(what), message);
}
