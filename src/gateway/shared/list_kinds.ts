/**
 * Describes the four lists that a server offers.
 *
 * @module
 */

/** The name of a list. */
export type ListKind = "tools" | "prompts" | "resources" | "templates";

/** Names every list. */
export const LIST_KINDS: readonly ListKind[] = ["tools", "prompts", "resources", "templates"];

/** A list. */
export interface ListFacts {
  /** The name of the request that reads it. */
  readonly method: string;
  /** The server capability that it needs. */
  readonly capability: "tools" | "prompts" | "resources";
  /** Names the member of the result that holds its entries. */
  readonly key: string;
  /** The name of the member that identifies an entry. */
  readonly id: "name" | "uri" | "uriTemplate";
  /** Marks its cursors. */
  readonly letter: string;
  /** Whether the gateway prefixes entries with the name of their upstream. */
  readonly prefixed: boolean;
  /** Tells whether an entry's id is valid behind the gateway. */
  readonly valid: (id: string) => boolean;
}

/** 2026-07-28, Server, Tools, Tool Names. Some clients reject a whole list because of one bad name. */
const TOOL_NAME = /^[A-Za-z0-9_.-]{1,128}$/;
const MAX_ID_LENGTH = 2048;

/** Describes every list. */
export const LISTS: Readonly<Record<ListKind, ListFacts>> = {
  tools: {
    method: "tools/list",
    capability: "tools",
    key: "tools",
    id: "name",
    letter: "t",
    prefixed: true,
    valid: (name) => TOOL_NAME.test(name),
  },
  prompts: {
    method: "prompts/list",
    capability: "prompts",
    key: "prompts",
    id: "name",
    letter: "p",
    prefixed: true,
    valid: isPlainText,
  },
  resources: {
    method: "resources/list",
    capability: "resources",
    key: "resources",
    id: "uri",
    letter: "r",
    prefixed: false,
    valid: isPlainText,
  },
  templates: {
    method: "resources/templates/list",
    capability: "resources",
    key: "resourceTemplates",
    id: "uriTemplate",
    letter: "u",
    prefixed: false,
    valid: isPlainText,
  },
};

/** Maps each `list_changed` notification to the lists that it invalidates. */
export const CHANGED_LISTS: ReadonlyMap<string, readonly ListKind[]> = new Map([
  ["notifications/tools/list_changed", ["tools"]],
  ["notifications/prompts/list_changed", ["prompts"]],
  ["notifications/resources/list_changed", ["resources", "templates"]],
]);

function isPlainText(text: string): boolean {
  // deno-lint-ignore no-control-regex
  return text.length > 0 && text.length <= MAX_ID_LENGTH && !/[\u0000-\u001f\u007f]/.test(text);
}
