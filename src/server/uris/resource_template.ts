/**
 * Defines resources whose URIs have variables.
 *
 * @module
 */
import { checkNames } from "../../internal/known_names.ts";
import type { MaybePromise } from "../../internal/types.ts";
import type { Completer, RequestContext } from "../types.ts";
import type { TemplateVariables } from "./template_variables.ts";
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

/** The names of a template's variables: any, where the compiler doesn't know its text. */
export type VariableName<Template extends string> = keyof TemplateVariables<Template>;

/** Configures a {@linkcode ResourceTemplate}. */
export interface ResourceTemplateOptions<Template extends string = string> {
  /** The existing resources; `resources/list` shows them after those with fixed URIs. */
  readonly list?:
    | ((
      ctx: RequestContext,
    ) => MaybePromise<{ readonly resources: readonly ListedTemplateResource[] }>)
    | undefined;
  /** Completes variables, by name: those of the template, and no others. */
  readonly complete?:
    | { readonly [Name in VariableName<Template>]?: Completer | undefined }
    | undefined;
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
 *
 * @typeParam Template The text of the template, where the compiler knows it: the function that reads gets
 * its variables
 */
export class ResourceTemplate<Template extends string = string> {
  /** The URI template. */
  readonly uriTemplate: UriTemplate<Template>;
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
  constructor(
    uriTemplate: Template | UriTemplate<Template>,
    options: ResourceTemplateOptions<Template> = {},
  ) {
    checkNames("ResourceTemplate", options, { list: true, complete: true });
    this.uriTemplate = typeof uriTemplate === "string" ? new UriTemplate(uriTemplate) : uriTemplate;
    this.list = options.list;
    // The type says the same by name: a completer, or nothing
    const given: Readonly<Record<string, Completer | undefined>> = options.complete ?? {};
    const completers = new Map<string, Completer>();
    for (const [name, completer] of Object.entries(given)) {
      if (completer !== undefined) completers.set(name, completer);
    }
    this.completers = completers;
    for (const name of this.completers.keys()) {
      if (!this.uriTemplate.variableNames.includes(name)) {
        throw new TypeError(`Complete only variables of "${this.uriTemplate}": "${name}"`);
      }
    }
  }
}
