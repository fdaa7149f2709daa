/**
 * Messages on the wire against the JSON Schemas that the protocol's own project publishes.
 *
 * @module
 */
import { AssertionError } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type OutputUnit, type Schema, Validator } from "@cfworker/json-schema";

/** The versions that have a published schema. */
export const SCHEMA_VERSIONS = [
  "2024-11-05",
  "2025-03-26",
  "2025-06-18",
  "2025-11-25",
  "2026-07-28",
] as const;

/** A version that has a published schema. */
export type SchemaVersion = (typeof SCHEMA_VERSIONS)[number];

type Definitions = Readonly<Record<string, Schema>>;

/** Until 2025-06-18 the schemas are draft 7 and call these two otherwise. */
const FORMER_NAMES: Readonly<Record<string, string>> = {
  JSONRPCResultResponse: "JSONRPCResponse",
  JSONRPCErrorResponse: "JSONRPCError",
};

/** What answers a request. */
const RESULTS: Readonly<Record<string, string>> = {
  "initialize": "InitializeResult",
  "ping": "EmptyResult",
  "server/discover": "DiscoverResult",
  "tools/list": "ListToolsResult",
  "tools/call": "CallToolResult",
  "resources/list": "ListResourcesResult",
  "resources/templates/list": "ListResourceTemplatesResult",
  "resources/read": "ReadResourceResult",
  "resources/subscribe": "EmptyResult",
  "resources/unsubscribe": "EmptyResult",
  "prompts/list": "ListPromptsResult",
  "prompts/get": "GetPromptResult",
  "completion/complete": "CompleteResult",
  "logging/setLevel": "EmptyResult",
  "subscriptions/listen": "SubscriptionsListenResult",
};

const schemas = new Map<SchemaVersion, Schema>();
const validators = new Map<string, Validator>();

/**
 * Checks a value against one definition of a version's schema.
 *
 * @param version Whose schema
 * @param definition The definition's name, such as `"CallToolResult"`. `"JSONRPCResultResponse"` and
 * `"JSONRPCErrorResponse"` work for every version
 * @param value What goes on the wire, parsed
 * @throws {AssertionError} If the value doesn't fit
 * @throws {RangeError} If the version's schema has no such definition
 */
export function assertValid(version: SchemaVersion, definition: string, value: unknown): void {
  const { valid, errors } = validator(version, definition).validate(value);
  if (valid) return;
  throw new AssertionError({
    message: `Not a valid ${definition} of ${version}:\n${explain(errors)}\n${show(value)}`,
    actual: value,
    operator: "assertValid",
    stackStartFn: assertValid,
  });
}

/**
 * Checks a message that a server sent: its envelope, and everything in it that the version's schema
 * says about a message of its kind.
 *
 * @param version The version that the server speaks to this client
 * @param message The message, parsed
 * @param requestMethod For a response: the method of the request that it answers. Without it only
 * the envelope is checked
 * @throws {AssertionError} If the message doesn't fit
 * @throws {RangeError} If the version knows nothing of such a message
 */
export function assertServerMessage(
  version: SchemaVersion,
  message: unknown,
  requestMethod?: string,
): void {
  if (typeof message !== "object" || message === null) {
    throw new AssertionError({ message: `Not a message: ${show(message)}` });
  }
  if ("method" in message) {
    assertValid(version, "id" in message ? "JSONRPCRequest" : "JSONRPCNotification", message);
    assertValid(version, "id" in message ? "ServerRequest" : "ServerNotification", message);
    return;
  }
  if ("error" in message) {
    assertValid(version, "JSONRPCErrorResponse", withId(message));
    return;
  }
  assertValid(version, "JSONRPCResultResponse", message);
  if (requestMethod === undefined) return;
  const result = Object.hasOwn(RESULTS, requestMethod) ? RESULTS[requestMethod] : undefined;
  if (result === undefined) throw new RangeError(`Name a client's request: ${requestMethod}`);
  // From 2026-07-28 on, a definition of the whole response says which kinds of result there may be.
  const response = `${result}Response`;
  if (definitionsOf(version)[response] !== undefined) assertValid(version, response, message);
  else assertValid(version, result, (message as { result?: unknown }).result);
}

/** The names that a version's schema defines. */
export function definitionNames(version: SchemaVersion): string[] {
  return Object.keys(definitionsOf(version));
}

/** JSON-RPC 2.0 §5 gives an error the id null when no request is known; the schemas leave that out. */
function withId(message: object): object {
  return "id" in message && message.id === null ? { ...message, id: 0 } : message;
}

function validator(version: SchemaVersion, definition: string): Validator {
  const definitions = definitionsOf(version);
  const former = FORMER_NAMES[definition];
  const name = definitions[definition] === undefined && former !== undefined ? former : definition;
  if (definitions[name] === undefined) {
    throw new RangeError(`The schema of ${version} has no definition of that name: ${name}`);
  }
  const key = `${version} ${name}`;
  let found = validators.get(key);
  if (found === undefined) {
    const schema = schemaOf(version);
    const [place, draft] = schema.definitions === undefined
      ? ["$defs", "2020-12" as const]
      : ["definitions", "7" as const];
    found = new Validator({ [place]: definitions, $ref: `#/${place}/${name}` }, draft, false);
    validators.set(key, found);
  }
  return found;
}

function definitionsOf(version: SchemaVersion): Definitions {
  const schema = schemaOf(version);
  return schema.definitions ?? schema.$defs;
}

function schemaOf(version: SchemaVersion): Schema {
  let schema = schemas.get(version);
  if (schema === undefined) {
    const file = new URL(`../fixtures/spec/schema-${version}.json`, import.meta.url);
    schema = JSON.parse(readFileSync(file, "utf8")) as Schema; // a schema, or every test fails
    schemas.set(version, schema);
  }
  return schema;
}

/** The deepest complaints say what is wrong, the ones above them only that something is. */
function explain(errors: readonly OutputUnit[]): string {
  const depth = (error: OutputUnit): number => error.instanceLocation.split("/").length;
  return errors.toSorted((a, b) => depth(b) - depth(a)).slice(0, 5)
    .map((error) => `  ${error.instanceLocation}: ${error.error}`).join("\n");
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 500 ? `${text.slice(0, 500)} …` : text;
}
