/**
 * Defines resources whose URIs have variables.
 *
 * @module
 */
import { checkNames } from "../../internal/known_names.ts";
import type { MaybePromise } from "../../internal/types.ts";
import type { Completer, RequestContext } from "../types.ts";
import { UriTemplate } from "./uri_template.ts";

/** One of the resources that a template lists. */
export interface ListedTemplateResource {
  /** The URI. */
  readonly uri: string;
  /** The name of the resource, for programs. */
  readonly name: string;
  /** The name of the resource, for people. */
  readonly title?: string;
  /** The description of the resource, for the model. */
  readonly description?: string;
  /** The media type. */
  readonly mimeType?: string;
  /** The size in bytes. */
  readonly size?: number;
}

/** Configures a {@linkcode ResourceTemplate}. */
export interface ResourceTemplateOptions {
  /** The existing resources; `resources/list` shows them after those with fixed URIs. */
  readonly list?:
    | ((
      ctx: RequestContext,
    ) => MaybePromise<{ readonly resources: readonly ListedTemplateResource[] }>)
    | undefined;
  /** Completes variables, by name. */
  readonly complete?: Readonly<Record<string, Completer>> | undefined;
}

/**
 * Combines a URI template with functions that list its resources and complete its variables. A
 * plain string does where neither is needed.
 *
 * @example
 * ```ts
 * import { McpServer, ResourceTemplate } from "@mooring/mcp";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * const template = new ResourceTemplate("user://{id}", {
 *   list: () => ({ resources: [{ uri: "user://1", name: "Ada" }] }),
 *   complete: { id: (typed) => ["1", "2"].filter((id) => id.startsWith(typed)) },
 * });
 * server.registerResource("users", template, {}, (_uri, { id }) => `This is user ${id}`);
 * ```
 */
export class ResourceTemplate {
  /** The URI template. */
  readonly uriTemplate: UriTemplate;
  /** The existing resources, if given. */
  readonly list: ResourceTemplateOptions["list"];
  /** The completers of variables, by name. */
  readonly completers: ReadonlyMap<string, Completer>;

  /**
   * Creates a template.
   *
   * @param uriTemplate A template of RFC 6570, levels 1 to 3
   * @param options The functions that list and complete
   * @throws {TypeError} If the template is malformed, or has no variable of a completer's name
   */
  constructor(uriTemplate: string | UriTemplate, options: ResourceTemplateOptions = {}) {
    checkNames("ResourceTemplate", options, { list: true, complete: true });
    this.uriTemplate = typeof uriTemplate === "string" ? new UriTemplate(uriTemplate) : uriTemplate;
    this.list = options.list;
    this.completers = new Map(Object.entries(options.complete ?? {}));
    for (const name of this.completers.keys()) {
      if (!this.uriTemplate.variableNames.includes(name)) {
        throw new TypeError(`Complete only variables of "${this.uriTemplate}": "${name}"`);
      }
    }
  }
}
