/**
 * Answers `completion/complete`: completes arguments of prompts and variables of resource templates
 * (2025-11-25, Completion).
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { type ContextSettings, ExchangeContext } from "./context.ts";
import { fail } from "./failure.ts";
import type { Feature } from "./feature.ts";
import { type Prompts, unknownPrompt } from "./prompts.ts";
import { resourceNotFound, type Resources } from "./resources.ts";
import type { Completer } from "./types.ts";
import { kindOf } from "./validation.ts";

/** Limits the values of one answer (2025-11-25, Completion). */
const MOST = 100;

/** Holds what {@linkcode Completions} work with. */
export interface CompletionInit {
  readonly context: ContextSettings;
  readonly prompts: Prompts;
  readonly resources: Resources;
}

/** Answers the completion requests of a server. */
export class Completions implements Feature {
  readonly methods: Feature["methods"] = {
    "completion/complete": (exchange) => this.#complete(exchange),
  };
  readonly #init: CompletionInit;

  constructor(init: CompletionInit) {
    this.#init = init;
  }

  #complete(exchange: Exchange): MaybePromise<JsonObject> {
    const { argument, context } = exchange.params;
    if (
      !isObject(argument) || typeof argument.name !== "string" || typeof argument.value !== "string"
    ) {
      throw new McpError(ErrorCode.InvalidParams, 'Give "argument" a "name" and a "value"');
    }
    const completer = this.#completers(exchange).get(argument.name);
    if (completer === undefined) return toResult([]);
    const during = `completion/complete ${argument.name}`;
    const given = { arguments: stringsOf(context) };
    const ctx = new ExchangeContext(exchange, this.#init.context);
    try {
      const values: MaybePromise<unknown> = completer(argument.value, given, ctx);
      return isPromise(values)
        ? values.then(toResult).catch((error) => fail(exchange, during, error))
        : toResult(values);
    } catch (error) {
      return fail(exchange, during, error);
    }
  }

  #completers(exchange: Exchange): ReadonlyMap<string, Completer> {
    const { ref } = exchange.params;
    if (isObject(ref) && ref.type === "ref/prompt") {
      const { name } = ref;
      const found = typeof name === "string" ? this.#init.prompts.completers(name) : undefined;
      if (found === undefined) throw unknownPrompt(name);
      return found;
    }
    if (isObject(ref) && ref.type === "ref/resource" && typeof ref.uri === "string") {
      const { resources } = this.#init;
      const template = resources.template(ref.uri);
      if (template !== undefined) return template.completers;
      // A resource with a fixed URI has nothing to complete
      if (resources.has(ref.uri)) return new Map();
      throw resourceNotFound(exchange, ref.uri);
    }
    throw new McpError(
      ErrorCode.InvalidParams,
      'Give "ref" the type "ref/prompt" and a "name", or "ref/resource" and a "uri"',
    );
  }
}

function toResult(values: unknown): JsonObject {
  if (!Array.isArray(values) || !values.every((value) => typeof value === "string")) {
    throw new TypeError(`Return an array of strings from the completer: ${kindOf(values)}`);
  }
  const total = values.length;
  return { completion: { values: values.slice(0, MOST), total, hasMore: total > MOST } };
}

function stringsOf(context: unknown): Record<string, string> {
  const given = isObject(context) && isObject(context.arguments) ? context.arguments : {};
  const strings = Object.entries(given).filter((pair): pair is [string, string] => {
    return typeof pair[1] === "string";
  });
  return Object.fromEntries(strings);
}
