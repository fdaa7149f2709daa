/**
 * Replaces the addresses of resources in what an upstream defines and answers.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject } from "../../kit.ts";
import { isAlwaysQualified } from "./addresses.ts";

/** Returns the address that a client gets for one that an upstream gave. */
export type Refer = (uri: string) => string;

/** Returns a tool's definition with the address of its app's page replaced. */
export function toolWithReferences(tool: JsonObject, refer: Refer): JsonObject {
  return withMeta(tool, refer);
}

/** Returns the result of a tool with the addresses replaced that its content and its `_meta` refer to. */
export function toolResultWithReferences(result: JsonObject, refer: Refer): JsonObject {
  const { content } = result;
  const own = withMeta(result, refer);
  if (!Array.isArray(content)) return own;
  return replaced(own, "content", mapped(content, (block) => withBlock(block, refer)));
}

/** Returns the result of a prompt with the addresses replaced that its messages refer to. */
export function promptResultWithReferences(result: JsonObject, refer: Refer): JsonObject {
  const { messages } = result;
  if (!Array.isArray(messages)) return result;
  return replaced(
    result,
    "messages",
    mapped(
      messages,
      (message) =>
        isObject(message)
          ? replaced(message, "content", withBlock(message.content, refer))
          : message,
    ),
  );
}

/** Returns the contents of a resource with their addresses replaced. */
export function readResultWithReferences(result: JsonObject, refer: Refer): JsonObject {
  const { contents } = result;
  if (!Array.isArray(contents)) return result;
  return replaced(result, "contents", mapped(contents, (each) => withUri(each, refer)));
}

function withBlock(block: unknown, refer: Refer): unknown {
  if (!isObject(block)) return block;
  if (block.type === "resource_link") return withUri(block, refer);
  if (block.type !== "resource") return block;
  return replaced(block, "resource", withUri(block.resource, refer));
}

function withUri(value: unknown, refer: Refer): unknown {
  if (!isObject(value) || typeof value.uri !== "string") return value;
  return replaced(value, "uri", refer(value.uri));
}

/**
 * Names the members of `_meta` that hold the address of an app's page, beside `ui.resourceUri`: that of
 * earlier MCP Apps, and that of ChatGPT's apps.
 */
const PAGE_KEYS: readonly string[] = ["ui/resourceUri", "openai/outputTemplate"];

function withMeta(value: JsonObject, refer: Refer): JsonObject {
  const { _meta: meta } = value;
  if (!isObject(meta)) return value;
  let own = meta;
  if (isObject(own.ui)) {
    const { ui } = own;
    own = replaced(own, "ui", replaced(ui, "resourceUri", page(ui.resourceUri, refer)));
  }
  for (const key of PAGE_KEYS) own = replaced(own, key, page(own[key], refer));
  return replaced(value, "_meta", own);
}

function page(uri: unknown, refer: Refer): unknown {
  return typeof uri === "string" && isAlwaysQualified(uri) ? refer(uri) : uri;
}

/** Returns an object with a member replaced; the same object if the member has that value already. */
function replaced(object: JsonObject, member: string, value: unknown): JsonObject {
  return object[member] === value ? object : { ...object, [member]: value };
}

/** Returns an array with each item replaced; the same array if none changes. */
function mapped(
  items: readonly unknown[],
  replace: (item: unknown) => unknown,
): readonly unknown[] {
  let changed: unknown[] | undefined;
  for (let index = 0; index < items.length; index++) {
    const item = replace(items[index]);
    if (item !== items[index]) (changed ??= [...items])[index] = item;
  }
  return changed ?? items;
}
