/**
 * Answers `completion/complete`: completes arguments of prompts and variables of resource templates
 * (2025-11-25, Completion).
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { unknownPrompt, unknownResource } from "../../protocol/unknown.ts";
import { type ContextSettings, ExchangeContext } from "../context.ts";
import { fail } from "../failure.ts";
import type { Feature } from "./feature.ts";
import type { Prompts } from "./prompts.ts";
import type { FoundFeature } from "../route.ts";
import type { Resources } from "./resources.ts";
import type { Completer } from "../types.ts";
import { kindOf } from "../schemas/kind_of.ts";

/** The most values of one answer (2025-11-25, Completion). */
const MOST = 100;

/** What {@linkcode Completions} work with. */
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
  readonly unknown: Feature["unknown"] = { "completion/complete": failUnknown };
  readonly #init: CompletionInit;

  constructor(init: CompletionInit) {
    this.#init = init;
  }

  /** Returns the prompt or resource that a request refers to, if there is such a one. */
  find(ref: unknown): FoundFeature | undefined {
    if (!isObject(ref)) return undefined;
    const { prompts, resources } = this.#init;
    if (ref.type !== "ref/prompt") return resources.named(ref.uri);
    const found = prompts.find(ref.name);
    return found && { target: found.target };
  }

  #complete(exchange: Exchange): MaybePromise<JsonObject> {
    const argument = argumentOf(exchange);
    const { context } = exchange.params;
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
      throw unknownResource(exchange.protocolVersion, ref.uri);
    }
    throw new McpError(
      ErrorCode.InvalidParams,
      'Give "ref" the type "ref/prompt" and a "name", or "ref/resource" and a "uri"',
    );
  }
}

/** Fails a request as if what its `ref` names were unknown. */
function failUnknown(exchange: Exchange): never {
  argumentOf(exchange);
  const { ref } = exchange.params;
  const { type, name, uri } = isObject(ref) ? ref : {};
  throw type === "ref/prompt"
    ? unknownPrompt(name)
    : unknownResource(exchange.protocolVersion, uri);
}

/**
 * Returns the argument to complete.
 *
 * @throws {McpError} With -32602, if there is none
 */
function argumentOf(
  { params: { argument } }: Exchange,
): { readonly name: string; readonly value: string } {
  const { name, value } = isObject(argument) ? argument : {};
  if (typeof name === "string" && typeof value === "string") return { name, value };
  throw new McpError(ErrorCode.InvalidParams, 'Give "argument" a "name" and a "value"');
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
