/**
 * Registers prompts, and answers `prompts/list` and `prompts/get` (2025-11-25, Prompts).
 *
 * @module
 */
import { checkNames, type NamesOf } from "../../internal/known_names.ts";
import { isPromise, type MaybePromise, then } from "../../internal/types.ts";
import type { Icon } from "../../protocol/content.ts";
import { promptResultFor } from "../../protocol/downgrade.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { unknownPrompt } from "../../protocol/unknown.ts";
import { completersOf } from "../schemas/completable.ts";
import { ExchangeContext } from "../context.ts";
import { checkName, compact, makeHandle } from "./definition.ts";
import { fail } from "../failure.ts";
import type { Feature, FeatureInit } from "./feature.ts";
import type { FoundFeature } from "../route.ts";
import { Registry } from "./registry.ts";
import { toPromptResult } from "../results.ts";
import { type CompiledSchema, compileSchema } from "../schemas/schema.ts";
import type { Schema } from "../schemas/standard_schema.ts";
import type { Completer, Handle, PromptHandler, RequestContext } from "../types.ts";
import { checkArguments } from "../schemas/schema.ts";

/** Configures a prompt. */
export interface PromptConfig<Args extends Schema | undefined = undefined> {
  /** The name of the prompt, for people. */
  readonly title?: string;
  /** What the prompt is for. */
  readonly description?: string;
  /** Validates the arguments: an object whose fields are strings, as clients send them. */
  readonly argsSchema?: Args;
  /** Completes arguments, by name. Adds to schemas that are `completable`. */
  readonly complete?: Readonly<Record<string, Completer>>;
  /** Icons for user interfaces. */
  readonly icons?: readonly Icon[];
  /** Additional metadata for clients. */
  readonly _meta?: Record<string, unknown>;
}

/** What to change about a prompt; omitted fields stay as they are. */
export type PromptChanges<Args extends Schema | undefined> = PromptConfig<Args> & {
  readonly callback?: PromptHandler<Args>;
  readonly enabled?: boolean;
};

/** Controls a registered prompt. */
export interface PromptHandle<Args extends Schema | undefined = undefined> extends Handle {
  /**
   * Changes the given fields and keeps the others. The prompt keeps its name and its place in
   * lists.
   *
   * @throws {TypeError} If the schema can't be used
   */
  update<const A extends Schema | undefined = Args>(changes: PromptChanges<A>): void;
}

type AnyConfig = PromptConfig<Schema>;
type AnyHandler = (args: unknown, ctx: RequestContext) => MaybePromise<unknown>;
type AnyChanges = AnyConfig & { readonly callback?: AnyHandler; readonly enabled?: boolean };

const CONFIG_NAMES: NamesOf<PromptConfig> = {
  title: true,
  description: true,
  argsSchema: true,
  complete: true,
  icons: true,
  _meta: true,
};

interface Prompt {
  readonly name: string;
  readonly config: AnyConfig;
  readonly listed: JsonObject;
  readonly args: CompiledSchema | undefined;
  readonly completers: ReadonlyMap<string, Completer>;
  readonly handler: AnyHandler;
}

/** The prompts of a server. */
export class Prompts implements Feature {
  readonly methods: Feature["methods"] = {
    "prompts/list": (exchange) => this.#registry.pageFor(exchange, "prompts/get"),
    // A prompt that there is answers itself.
    "prompts/get": failUnknown,
  };
  readonly unknown: Feature["unknown"] = {
    "prompts/get": failUnknown,
  };
  readonly #init: FeatureInit;
  readonly #registry: Registry<Prompt>;

  constructor(init: FeatureInit) {
    this.#init = init;
    this.#registry = new Registry({
      field: "prompts",
      noun: "prompt",
      letter: "p",
      changed: () => init.changed("notifications/prompts/list_changed"),
    });
  }

  /**
   * Registers a prompt.
   *
   * @throws {TypeError} If the name is taken or the schema can't be used
   */
  register<A extends Schema | undefined>(
    name: string,
    config: PromptConfig<A>,
    handler: PromptHandler<A>,
  ): PromptHandle<A> {
    // The schema validates what these types promise
    const prompt = definePrompt(name, config as AnyConfig, handler as AnyHandler);
    const entry = this.#registry.add(name, prompt);
    this.#offerCompletion(prompt);
    const redefine = ({ callback, enabled: _, ...changes }: AnyChanges): Prompt => {
      const { config, handler } = entry.definition;
      const changed = definePrompt(name, { ...config, ...compact(changes) }, callback ?? handler);
      this.#offerCompletion(changed);
      return changed;
    };
    // The schemas validate what these types promise
    return makeHandle(this.#registry, entry, redefine) as PromptHandle<A>;
  }

  /** Returns the completers of a prompt by argument, or `undefined` for an unknown prompt. */
  completers(name: string): ReadonlyMap<string, Completer> | undefined {
    return this.#registry.get(name)?.completers;
  }

  /** Returns a prompt with all that its requests need. */
  find(name: unknown): FoundFeature | undefined {
    const prompt = typeof name === "string" ? this.#registry.get(name) : undefined;
    if (prompt === undefined) return undefined;
    return {
      target: { prompt: prompt.name },
      answer: (exchange) =>
        then(
          checkArguments(prompt.args, exchange.params.arguments),
          (args) => this.#run(prompt, args, exchange),
        ),
    };
  }

  #offerCompletion({ completers }: Prompt): void {
    if (completers.size > 0) this.#init.completable();
  }

  #run(prompt: Prompt, args: unknown, exchange: Exchange): MaybePromise<JsonObject> {
    const during = `prompts/get ${prompt.name}`;
    const { protocolVersion } = exchange;
    try {
      const returned = prompt.handler(args, new ExchangeContext(exchange, this.#init.context));
      return isPromise(returned)
        ? returned.then((value) => promptResultFor(protocolVersion, toPromptResult(value)))
          .catch((error) => fail(exchange, during, error))
        : promptResultFor(protocolVersion, toPromptResult(returned));
    } catch (error) {
      return fail(exchange, during, error);
    }
  }
}

function failUnknown({ params }: Exchange): never {
  throw unknownPrompt(params.name);
}

function definePrompt(name: string, config: AnyConfig, handler: AnyHandler): Prompt {
  checkName("prompt", name);
  checkNames(`the prompt "${name}"`, config, CONFIG_NAMES);
  if (typeof handler !== "function") {
    throw new TypeError(`Give the prompt "${name}" a handler: ${typeof handler}`);
  }
  const { title, description, argsSchema, complete = {}, icons, _meta } = config;
  const args = argsSchema && compileSchema(argsSchema, "input", `argsSchema of "${name}"`);
  if (args !== undefined) checkTexts(name, args);
  const completers = new Map([...completersOf(argsSchema), ...Object.entries(complete)]);
  const listed = compact({
    name,
    title,
    description,
    arguments: args && listArguments(args.json),
    icons,
    _meta,
  });
  return { name, config, listed, args, completers, handler };
}

/** Texts of which a schema that converts them takes at least one. */
const PROBES = ["1", "true", "2026-01-01", "a", "", "[]", "{}"];

/**
 * Checks that no argument refuses every text: clients send nothing else (2025-11-25, Prompts).
 *
 * @throws {TypeError} If one does, with what to do
 */
function checkTexts(prompt: string, { json, validate }: CompiledSchema): void {
  for (const [name, schema] of Object.entries(isObject(json.properties) ? json.properties : {})) {
    const { type } = isObject(schema) ? schema : {};
    if (typeof type !== "string" || type === "string") continue;
    const refused = PROBES.every((text) => {
      const checked = validate({ [name]: text });
      if (isPromise(checked)) {
        checked.then(undefined, () => {});
        return false;
      }
      return checked.issues?.some(({ path: [first] = [] }) =>
        (typeof first === "object" ? first.key : first) === name
      ) ?? false;
    });
    if (!refused) continue;
    throw new TypeError(
      `Give a schema of a text as "${name}" of the prompt "${prompt}", such as z.string() or ` +
        `z.coerce.number(): clients send arguments of prompts as strings, not as ${type}`,
    );
  }
}

/** Lists a prompt's arguments by name, as the protocol has no schema for them. */
function listArguments({ properties, required }: JsonObject): JsonObject[] {
  const needed = new Set(Array.isArray(required) ? required : []);
  return Object.entries(isObject(properties) ? properties : {}).map(([name, schema]) => {
    const { title, description } = isObject(schema) ? schema : {};
    return compact({ name, title, description, required: needed.has(name) });
  });
}
