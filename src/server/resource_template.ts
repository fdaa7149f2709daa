/**
 * A resource whose URI has variables, as it is registered.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Completer, RequestContext } from "./types.ts";
import { UriTemplate } from "./uri_template.ts";

/** One of the resources that a template lists. */
export interface ListedResource {
  /** Where it is. */
  readonly uri: string;
  /** Its name. */
  readonly name: string;
  /** Its name for people. */
  readonly title?: string;
  /** What it is, for the model. */
  readonly description?: string;
  /** Its media type. */
  readonly mimeType?: string;
  /** Bytes. */
  readonly size?: number;
}

/** What a {@linkcode ResourceTemplate} can do besides being read. */
export interface ResourceTemplateOptions {
  /** Lists the resources that there are; `resources/list` shows them after the fixed ones. */
  readonly list?:
    | ((ctx: RequestContext) => MaybePromise<{ readonly resources: readonly ListedResource[] }>)
    | undefined;
  /** Suggests values for variables. */
  readonly complete?: Readonly<Record<string, Completer>> | undefined;
}

/**
 * A URI template with what belongs to it. A plain text does where there is nothing to list or to
 * complete.
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
  /** The template. */
  readonly uriTemplate: UriTemplate;
  /** Lists the resources that there are. */
  readonly list: ResourceTemplateOptions["list"];
  /** Suggests values for variables, by their names. */
  readonly completers: ReadonlyMap<string, Completer>;

  /**
   * Makes a template.
   *
   * @param uriTemplate A template of RFC 6570, levels 1 to 3
   * @param options What it can list and complete
   * @throws {TypeError} If the template is malformed, or a variable to complete is none of its own
   */
  constructor(uriTemplate: string | UriTemplate, options: ResourceTemplateOptions = {}) {
    this.uriTemplate = typeof uriTemplate === "string" ? new UriTemplate(uriTemplate) : uriTemplate;
    this.list = options.list;
    this.completers = new Map(Object.entries(options.complete ?? {}));
    for (const name of this.completers.keys()) {
      if (!this.uriTemplate.variableNames.includes(name)) {
        throw new TypeError(`Complete a variable of "${this.uriTemplate}": "${name}"`);
      }
    }
  }
}
