/**
 * Converts lists and results for clients of older versions: what a version doesn't know is replaced or left
 * out, so that its clients accept each list and each result as a whole.
 *
 * @module
 */
import { isObject, type JsonObject } from "./jsonrpc.ts";
import { objectOutputSchema, wrapData } from "./output_schema.ts";
import { type ProtocolVersion, VERSIONS } from "./versions.ts";

/** The version from which on data and output schemas may be of any type (SEP-2106). */
const ANY_DATA: ProtocolVersion = "2026-07-28";
/** The version that introduced `structuredContent`. */
const DATA: ProtocolVersion = "2025-06-18";

/**
 * The members that not all versions have, each with the version that introduced it; `undefined` for what no
 * client gets.
 */
const MEMBERS: Readonly<
  Record<string, Readonly<Record<string, ProtocolVersion | undefined>>>
> = {
  tools: {
    annotations: "2025-03-26",
    title: "2025-06-18",
    outputSchema: DATA,
    _meta: "2025-06-18",
    icons: "2025-11-25",
    // Tasks of 2025-11-25 are not served, and clients refuse to call a tool that needs them.
    execution: undefined,
  },
  resources: { title: "2025-06-18", _meta: "2025-06-18", icons: "2025-11-25" },
  resourceTemplates: { title: "2025-06-18", _meta: "2025-06-18", icons: "2025-11-25" },
  prompts: { title: "2025-06-18", _meta: "2025-06-18", icons: "2025-11-25" },
  promptArguments: { title: "2025-06-18" },
  serverInfo: {
    title: "2025-06-18",
    description: "2025-11-25",
    websiteUrl: "2025-11-25",
    icons: "2025-11-25",
  },
  resourceLink: { icons: "2025-11-25" },
};

/** The text in place of a content block. */
type TextOf = (block: JsonObject) => string;

/** The content blocks that not all versions have: the type, the version, and the text for older ones. */
const BLOCKS: readonly (readonly [type: string, since: ProtocolVersion, text: TextOf])[] = [
  ["audio", "2025-03-26", ({ mimeType }) => `[Audio: ${mimeType}]`],
  ["resource_link", "2025-06-18", ({ name, uri }) => `${name}: ${uri}`],
];

/** What one version doesn't know. */
interface Unknown {
  /** Whether data that isn't an object is unknown. */
  readonly anyData: boolean;
  /** Whether data is unknown. */
  readonly data: boolean;
  /** The unknown members of each kind of object. */
  readonly members: ReadonlyMap<string, readonly string[]>;
  /** The texts in place of unknown blocks, by the type of the block. */
  readonly blocks: ReadonlyMap<string, TextOf>;
  /** Whether a content block may have to be changed. */
  readonly content: boolean;
}

const UNKNOWN = Object.fromEntries(
  Object.keys(VERSIONS).map((version) => [version, unknownIn(version)]),
  // Both have the same keys.
) as Readonly<Record<ProtocolVersion, Unknown>>;

function unknownIn(version: string): Unknown {
  // Versions are dates, which are in order as texts.
  const lacks = (since: ProtocolVersion | undefined) => since === undefined || version < since;
  const members = new Map(
    Object.entries(MEMBERS).flatMap(([kind, since]) => {
      const unknown = Object.keys(since).filter((member) => lacks(since[member]));
      return unknown.length === 0 ? [] : [[kind, unknown] as const];
    }),
  );
  const blocks = new Map(
    BLOCKS.filter(([, since]) => lacks(since)).map(([type, , text]) => [type, text]),
  );
  const content = blocks.size > 0 || members.has("resourceLink");
  return { anyData: lacks(ANY_DATA), data: lacks(DATA), members, blocks, content };
}

/**
 * Converts an entry of a list. Returns the same object if the version knows all of it.
 *
 * @param list The member of the result that holds the list, such as `"tools"`
 */
export function entryFor(version: ProtocolVersion, list: string, entry: JsonObject): JsonObject {
  const known = without(entry, UNKNOWN[version].members.get(list));
  if (list === "tools") return UNKNOWN[version].anyData ? toolFor(known) : known;
  if (list !== "prompts" || !Array.isArray(known.arguments)) return known;
  const unknown = UNKNOWN[version].members.get("promptArguments");
  return mapped(
    known,
    "arguments",
    known.arguments,
    (each) => isObject(each) ? without(each, unknown) : each,
  );
}

/** Converts the schemas of a tool for the 2025 versions. */
function toolFor(tool: JsonObject): JsonObject {
  const { inputSchema, outputSchema } = tool;
  const input = isObject(inputSchema) ? withObjectProperties(inputSchema) : inputSchema;
  const output = isObject(outputSchema)
    ? withObjectProperties(objectOutputSchema(outputSchema))
    : outputSchema;
  if (input === inputSchema && output === outputSchema) return tool;
  return { ...tool, inputSchema: input, ...output !== undefined && { outputSchema: output } };
}

/** Replaces `true` and `false` as schemas of properties, which the 2025 versions don't allow. */
function withObjectProperties(schema: JsonObject): JsonObject {
  const { properties } = schema;
  if (!isObject(properties)) return schema;
  const entries = Object.entries(properties);
  if (!entries.some(([, property]) => typeof property === "boolean")) return schema;
  const replaced = entries.map(([name, property]) =>
    typeof property === "boolean" ? [name, property ? {} : { not: {} }] : [name, property]
  );
  return { ...schema, properties: Object.fromEntries(replaced) };
}

/**
 * Converts the result of a tool. Returns the same object if the version knows all of it.
 *
 * @param wraps Whether the client knows the tool's output schema wrapped, as `wrapsOutput` tells
 */
export function toolResultFor(
  version: ProtocolVersion,
  result: JsonObject,
  wraps: boolean,
): JsonObject {
  const unknown = UNKNOWN[version];
  const { structuredContent: data } = result;
  if (!unknown.anyData || data === undefined) return withKnownBlocks(unknown, result);
  if (unknown.data) {
    const { structuredContent: _, ...rest } = withDataText(result);
    return withKnownBlocks(unknown, rest);
  }
  if (!wraps && isObject(data)) return withKnownBlocks(unknown, result);
  return withKnownBlocks(unknown, { ...withDataText(result), structuredContent: wrapData(data) });
}

/** Adds the data as a text to a result that has no text. */
function withDataText(result: JsonObject): JsonObject {
  const content = Array.isArray(result.content) ? result.content : [];
  if (content.some((block) => isObject(block) && block.type === "text")) return result;
  const text = JSON.stringify(result.structuredContent);
  return { ...result, content: [...content, { type: "text", text }] };
}

function withKnownBlocks(unknown: Unknown, result: JsonObject): JsonObject {
  const { content } = result;
  if (!unknown.content || !Array.isArray(content)) return result;
  return mapped(result, "content", content, (block) => knownBlock(unknown, block));
}

/** Converts the result of a prompt. Returns the same object if the version knows all of it. */
export function promptResultFor(version: ProtocolVersion, result: JsonObject): JsonObject {
  const unknown = UNKNOWN[version];
  const { messages } = result;
  if (!unknown.content || !Array.isArray(messages)) return result;
  return mapped(result, "messages", messages, (message) => {
    if (!isObject(message)) return message;
    const content = knownBlock(unknown, message.content);
    return content === message.content ? message : { ...message, content };
  });
}

function knownBlock({ blocks, members }: Unknown, block: unknown): unknown {
  if (!isObject(block) || typeof block.type !== "string") return block;
  const textOf = blocks.get(block.type);
  if (textOf === undefined) {
    return block.type === "resource_link" ? without(block, members.get("resourceLink")) : block;
  }
  const { annotations } = block;
  return { type: "text", text: textOf(block), ...annotations !== undefined && { annotations } };
}

/** Converts what a server says about itself. Returns the same object if the version knows all of it. */
export function serverInfoFor<Info extends object>(version: ProtocolVersion, info: Info): Info {
  return without(info, UNKNOWN[version].members.get("serverInfo"));
}

/** Returns an object with each item of one of its arrays converted; the same if none changes. */
function mapped(
  value: JsonObject,
  member: string,
  items: readonly unknown[],
  convert: (item: unknown) => unknown,
): JsonObject {
  const converted = items.map(convert);
  if (converted.every((item, at) => item === items[at])) return value;
  return { ...value, [member]: converted };
}

/** Returns the object without some members, of which all are optional; the same if it has none of them. */
function without<T extends object>(value: T, members: readonly string[] | undefined): T {
  if (!members?.some((member) => Object.hasOwn(value, member))) return value;
  const kept = Object.entries(value).filter(([key]) => !members.includes(key));
  // No required member is ever left out.
  return Object.fromEntries(kept) as T;
}
