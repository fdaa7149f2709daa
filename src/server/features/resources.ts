/**
 * Registers resources, and answers `resources/list`, `resources/templates/list` and
 * `resources/read` (2025-11-25, Resources).
 *
 * @module
 */
import { checkNames, type NamesOf } from "../../internal/known_names.ts";
import { quote } from "../../internal/quote.ts";
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import type { Annotations, Icon } from "../../protocol/content.ts";
import { entryFor } from "../../protocol/downgrade.ts";
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import { unknownResource } from "../../protocol/unknown.ts";
import { isModern } from "../../protocol/versions.ts";
import { type CacheHint, fullCacheHint } from "../cache_hint.ts";
import { type ContextSettings, ExchangeContext } from "../context.ts";
import { checkName, compact, makeHandle } from "./definition.ts";
import { fail } from "../failure.ts";
import type { Feature, FeatureInit } from "./feature.ts";
import { decodeCursor, encodeCursor, invalidCursor, type PagePosition } from "./pagination.ts";
import { Registry, type RegistryEntry } from "./registry.ts";
import type { ResourceTemplate } from "../uris/resource_template.ts";
import { toReadResult } from "../results.ts";
import type { FoundFeature } from "../route.ts";
import type { Handle, ReadHandler, ReadTemplateHandler, RequestContext } from "../types.ts";

/** Configures a resource, or the resources of a template. */
export interface ResourceConfig {
  /** The name of the resource, for people. */
  readonly title?: string;
  /** The description of the resource, for the model. */
  readonly description?: string;
  /** The media type, also of returned contents that name none. */
  readonly mimeType?: string;
  /** The size in bytes. */
  readonly size?: number;
  /** Gives hints about audience and importance. */
  readonly annotations?: Annotations;
  /** Icons for user interfaces. */
  readonly icons?: readonly Icon[];
  /** Additional metadata for clients. */
  readonly _meta?: Record<string, unknown>;
  /**
   * Says how long clients of the 2026 era may cache the contents; by default as
   * `McpServerOptions.cache` says.
   */
  readonly cache?: CacheHint;
}

/** What to change about a resource; omitted fields stay as they are. */
export type ResourceChanges<Callback> = ResourceConfig & {
  readonly callback?: Callback;
  readonly enabled?: boolean;
};

/** Controls a registered resource or template. */
export interface ResourceHandle<Callback = ReadHandler> extends Handle {
  /**
   * Changes the given fields and keeps the others. The resource keeps its name, URI and place in
   * lists.
   */
  update(changes: ResourceChanges<Callback>): void;
}

const CONFIG_NAMES: NamesOf<ResourceConfig> = {
  title: true,
  description: true,
  mimeType: true,
  size: true,
  annotations: true,
  icons: true,
  _meta: true,
  cache: true,
};

interface Definition<Callback> {
  readonly name: string;
  readonly config: ResourceConfig;
  readonly listed: JsonObject;
  readonly callback: Callback;
}

/** Defines a resource with a fixed URI. */
type FixedResource = Definition<ReadHandler>;

/** Defines the resources whose URIs match a template. */
type TemplateResource = Definition<ReadTemplateHandler> & {
  readonly template: ResourceTemplate;
};

/** Pairs a resource with the function that reads it. */
interface Readable {
  /** The URI as it is registered, or the template. */
  readonly key: string;
  readonly name: string;
  readonly config: ResourceConfig;
  read(uri: URL, ctx: RequestContext): MaybePromise<unknown>;
}

/** The resources of a server. */
export class Resources implements Feature {
  readonly methods: Feature["methods"] = {
    "resources/list": (exchange) =>
      listResources(exchange, this.#fixed, this.#templates, this.#init.context),
    "resources/templates/list": (exchange) => this.#templates.pageFor(exchange, "resources/read"),
    // A resource that there is answers itself.
    "resources/read": failUnknown,
  };
  readonly unknown: Feature["unknown"] = { "resources/read": failUnknown };
  readonly #init: FeatureInit;
  readonly #fixed: Registry<FixedResource>;
  readonly #templates: Registry<TemplateResource>;

  constructor(init: FeatureInit) {
    this.#init = init;
    const changed = () => init.changed("notifications/resources/list_changed");
    this.#fixed = new Registry({ field: "resources", noun: "resource", letter: "r", changed });
    this.#templates = new Registry({
      field: "resourceTemplates",
      noun: "resource template",
      letter: "x",
      changed,
    });
  }

  /**
   * Registers a resource under its URI.
   *
   * @throws {TypeError} If the URI is not absolute or is taken
   */
  register(
    name: string,
    uri: string,
    config: ResourceConfig,
    callback: ReadHandler,
  ): ResourceHandle<ReadHandler> {
    const define = (config: ResourceConfig, callback: ReadHandler): FixedResource => {
      checkConfig(name, config);
      return { name, config, callback, listed: listedAs({ uri, name }, config) };
    };
    check(name, callback);
    if (!URL.canParse(uri)) throw new TypeError(`Give an absolute URI for "${name}": ${uri}`);
    const entry = this.#fixed.add(uri, define(config, callback));
    return makeHandle(this.#fixed, entry, (changes: ResourceChanges<ReadHandler>) => {
      const { callback, config } = split(changes);
      const { definition } = entry;
      return define({ ...definition.config, ...config }, callback ?? definition.callback);
    });
  }

  /**
   * Registers a template.
   *
   * @throws {TypeError} If the template is registered already
   */
  registerTemplate(
    name: string,
    template: ResourceTemplate,
    config: ResourceConfig,
    callback: ReadTemplateHandler,
  ): ResourceHandle<ReadTemplateHandler> {
    const uriTemplate = template.uriTemplate.toString();
    const define = (config: ResourceConfig, callback: ReadTemplateHandler): TemplateResource => {
      checkConfig(name, config);
      const listed = listedAs({ uriTemplate, name }, config);
      return { name, config, callback, template, listed };
    };
    check(name, callback);
    const entry = this.#templates.add(uriTemplate, define(config, callback));
    if (template.completers.size > 0) this.#init.completable();
    return makeHandle(this.#templates, entry, (changes: ResourceChanges<ReadTemplateHandler>) => {
      const { callback, config } = split(changes);
      const { definition } = entry;
      return define({ ...definition.config, ...config }, callback ?? definition.callback);
    });
  }

  /** Returns the template that was registered as a string. */
  template(uriTemplate: string): ResourceTemplate | undefined {
    return this.#templates.get(uriTemplate)?.template;
  }

  /** Tells whether a resource has the URI, or a template matches it. */
  has(uri: string): boolean {
    return this.#find(uri) !== undefined;
  }

  /** Tells whether a resource, or a template as it is written, is registered under exactly this text. */
  isRegistered(uri: string): boolean {
    return this.#fixed.get(uri) !== undefined || this.template(uri) !== undefined;
  }

  /** Returns a resource with all that reading it needs. */
  find(uri: unknown): FoundFeature | undefined {
    const resource = typeof uri === "string" ? this.#find(uri) : undefined;
    if (resource === undefined) return undefined;
    return {
      target: { resource: resource.key },
      answer: (exchange) => this.#read(resource, exchange),
    };
  }

  /** Returns the resource or template that a URI names, or that is named as it is written. */
  named(uri: unknown): FoundFeature | undefined {
    if (typeof uri !== "string") return undefined;
    const key = this.template(uri) === undefined ? this.#find(uri)?.key : uri;
    return key === undefined ? undefined : { target: { resource: key } };
  }

  #read(resource: Readable, exchange: Exchange): MaybePromise<JsonObject> {
    const uri = uriOf(exchange);
    if (!URL.canParse(uri)) {
      throw new McpError(ErrorCode.InvalidParams, `Give an absolute URI: ${quote(uri)}`, { uri });
    }
    const during = `resources/read ${resource.name}`;
    try {
      const returned = resource.read(
        new URL(uri),
        new ExchangeContext(exchange, this.#init.context),
      );
      const { mimeType, cache } = resource.config;
      const finish = (value: unknown) =>
        hinted(exchange, toReadResult(value, uri, mimeType), cache);
      return isPromise(returned)
        ? returned.then(finish).catch((error) => fail(exchange, during, error))
        : finish(returned);
    } catch (error) {
      return fail(exchange, during, error);
    }
  }

  #find(uri: string): Readable | undefined {
    const fixed = this.#fixed.get(uri);
    if (fixed !== undefined) {
      const { name, config, callback } = fixed;
      return { key: uri, name, config, read: (url, ctx) => callback(url, ctx) };
    }
    for (const { key, definition } of this.#templates.enabled) {
      const variables = definition.template.uriTemplate.match(uri);
      if (variables === undefined) continue;
      const { name, config, callback } = definition;
      return { key, name, config, read: (url, ctx) => callback(url, variables, ctx) };
    }
    return undefined;
  }
}

function failUnknown({ params, protocolVersion }: Exchange): never {
  throw unknownResource(protocolVersion, params.uri);
}

/** The names of the resources that templates list in cursors; `r` names those with fixed URIs. */
const LISTED = "l";

/**
 * Answers `resources/list`: first the resources with fixed URIs, then those that templates list.
 */
function listResources(
  exchange: Exchange,
  fixed: Registry<FixedResource>,
  templates: Registry<TemplateResource>,
  context: ContextSettings,
): MaybePromise<JsonObject> {
  const position = decodeCursor(exchange.params, `r${LISTED}`);
  const lists = templates.enabled.filter(({ definition }) =>
    definition.template.list !== undefined
  );
  if (position?.list === LISTED) {
    if (position.serial > templates.lastSerial) throw invalidCursor();
    return gather(exchange, [], position, lists, context);
  }
  const fill = (page: JsonObject): MaybePromise<JsonObject> => {
    if (lists.length === 0 || page.nextCursor !== undefined) return page;
    const resources = Array.isArray(page.resources) ? [...page.resources] : [];
    return gather(exchange, resources, { list: LISTED, serial: 0, offset: 0 }, lists, context);
  };
  const page = fixed.pageFor(exchange, "resources/read");
  return isPromise(page) ? page.then(fill) : fill(page);
}

/** Fills up a page with the resources that templates list, from a position on. */
async function gather(
  exchange: Exchange,
  resources: JsonObject[],
  start: PagePosition,
  lists: readonly RegistryEntry<TemplateResource>[],
  context: ContextSettings,
): Promise<JsonObject> {
  const rest = lists.filter(({ serial }) => serial >= start.serial);
  for (const { serial, definition } of rest) {
    const offset = serial === start.serial ? start.offset : 0;
    const room = exchange.pageSize - resources.length;
    if (room === 0) {
      return { resources, nextCursor: encodeCursor({ list: LISTED, serial, offset }) };
    }
    const listed = await listOf(exchange, definition, context);
    const end = offset + room;
    resources.push(...listed.slice(offset, end));
    if (listed.length > end) {
      return { resources, nextCursor: encodeCursor({ list: LISTED, serial, offset: end }) };
    }
  }
  return { resources };
}

async function listOf(
  exchange: Exchange,
  { name, config, template }: TemplateResource,
  context: ContextSettings,
): Promise<JsonObject[]> {
  const { mayUse } = exchange;
  let listed: { readonly uri: string }[];
  try {
    const result = await template.list?.(new ExchangeContext(exchange, context));
    listed = (result?.resources ?? []).map((resource) => ({ ...config, ...resource }));
  } catch (error) {
    return fail(exchange, `resources/list ${name}`, error);
  }
  const verdicts = mayUse &&
    await Promise.all(listed.map(({ uri }) => mayUse("resources/read", uri)));
  return listed.filter((_, index) => verdicts?.[index] ?? true)
    .map((entry) => entryFor(exchange.protocolVersion, "resources", entry));
}

/**
 * Returns the URI that a request names.
 *
 * @throws {McpError} With -32602, if it names none
 */
export function uriOf({ params: { uri }, protocolVersion }: Exchange): string {
  if (typeof uri === "string") return uri;
  throw unknownResource(protocolVersion, uri);
}

function listedAs(identity: JsonObject, { cache, ...config }: ResourceConfig): JsonObject {
  if (cache !== undefined) fullCacheHint(cache);
  return compact({ ...identity, ...config });
}

/** Adds a resource's own cache hint, which only the 2026 era has. */
function hinted(exchange: Exchange, result: JsonObject, cache: CacheHint | undefined): JsonObject {
  if (cache === undefined || !isModern(exchange.protocolVersion)) return result;
  return { ...cache, ...result };
}

const ANNOTATION_NAMES: NamesOf<Annotations> = {
  audience: true,
  priority: true,
  lastModified: true,
};

function checkConfig(name: string, config: ResourceConfig): void {
  checkNames(`the resource "${name}"`, config, CONFIG_NAMES);
  checkNames(`the resource "${name}"`, config.annotations, ANNOTATION_NAMES, "annotations.");
}

function check(name: string, callback: unknown): void {
  checkName("resource", name);
  if (typeof callback !== "function") {
    throw new TypeError(`Give the resource "${name}" a function that reads it: ${typeof callback}`);
  }
}

function split<Callback>({ callback, enabled: _, ...config }: ResourceChanges<Callback>) {
  return { callback, config: compact(config) };
}
