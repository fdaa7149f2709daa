/**
 * The four lists that a server has.
 *
 * @module
 */
import { isPlainText, isToolName } from "./names.ts";

/** Which of the lists. */
export type ListKind = "tools" | "prompts" | "resources" | "templates";

/** All of them. */
export const LIST_KINDS: readonly ListKind[] = ["tools", "prompts", "resources", "templates"];

/** What is to be known about a list. */
export interface ListFacts {
  readonly method: string;
  /** The capability of servers that have it. */
  readonly capability: "tools" | "prompts" | "resources";
  /** The member of the result that holds it. */
  readonly key: string;
  /** The member of an entry that tells it from the others. */
  readonly id: "name" | "uri" | "uriTemplate";
  /** Its letter in cursors. */
  readonly letter: string;
  /** Whether entries of several upstreams are told apart by a prefix. */
  readonly prefixed: boolean;
  /** Whether an entry may be called so. */
  readonly valid: (id: string) => boolean;
}

/** What is to be known about each list. */
export const LISTS: Readonly<Record<ListKind, ListFacts>> = {
  tools: {
    method: "tools/list",
    capability: "tools",
    key: "tools",
    id: "name",
    letter: "t",
    prefixed: true,
    valid: isToolName,
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

/** The lists that a notification says have changed. */
export const CHANGED: ReadonlyMap<string, readonly ListKind[]> = new Map([
  ["notifications/tools/list_changed", ["tools"]],
  ["notifications/prompts/list_changed", ["prompts"]],
  ["notifications/resources/list_changed", ["resources", "templates"]],
]);
