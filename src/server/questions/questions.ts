/**
 * Asks the client: its user (elicitation), its model (sampling), and its roots (2025-11-25, Client
 * Features).
 *
 * @module
 */
import { checkNames, type NamesOf } from "../../internal/known_names.ts";
import { randomText, shortHash } from "../../internal/random.ts";
import { ErrorCode, McpError, MissingCapabilityError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import type {
  CreateMessageParams,
  CreateMessageResult,
  ElicitResult,
  Root,
} from "../../protocol/shapes.ts";
import { isModern, VERSIONS } from "../../protocol/versions.ts";
import { type CompiledSchema, compileSchema } from "../schemas/schema.ts";
import type { Schema } from "../schemas/standard_schema.ts";
import { describeIssues } from "../schemas/schema.ts";

/** Asks the client the questions of one request. */
export interface HandlerQuestions {
  /**
   * Asks a question. MUST resolve with the client's result, reject with the reason why there will
   * be none, or never settle when the answer comes with a later call.
   *
   * @param key The question's key, the same whenever the handler runs again for the same call
   * @param method The request to the client, such as `"elicitation/create"`
   * @param params Its parameters
   */
  ask(key: string, method: string, params: JsonObject): Promise<JsonObject>;
}

/** Returns a hash of a question, which tells whether a key was used for another question before. */
export function hashQuestion(method: string, params: JsonObject): string {
  return shortHash(JSON.stringify([method, params]));
}

/** Asks while the call waits, as all versions until 2025-11-25 do. */
export function liveQuestions(exchange: Exchange): HandlerQuestions {
  return { ask: (_key, method, params) => exchange.ask(method, params) };
}

const ACTIONS: ReadonlySet<unknown> = new Set(["accept", "decline", "cancel"]);
const FLAT_TYPES: ReadonlySet<unknown> = new Set(["string", "number", "integer", "boolean"]);

/** What to ask the user: to fill in a form, or to visit a URL. */
export type Elicitation =
  | { readonly message: string; readonly schema: Schema }
  | { readonly message: string; readonly url: string | URL };

const FORM_NAMES: NamesOf<{ message: string; schema: Schema }> = { message: true, schema: true };
const VISIT_NAMES: NamesOf<{ message: string; url: string }> = { message: true, url: true };
const SAMPLE_NAMES: NamesOf<CreateMessageParams> = {
  messages: true,
  maxTokens: true,
  systemPrompt: true,
  includeContext: true,
  temperature: true,
  stopSequences: true,
  modelPreferences: true,
  metadata: true,
  tools: true,
  toolChoice: true,
  _meta: true,
};

/** Asks the user. Implements {@linkcode Elicit}. */
export async function askUser(
  exchange: Exchange,
  questions: HandlerQuestions,
  key: string,
  what: Elicitation,
): Promise<{ readonly action: ElicitResult["action"]; readonly content?: unknown }> {
  checkKey(key);
  checkElicitation(what);
  if (typeof what.message !== "string") {
    throw new TypeError(`Give a string as the message: ${typeof what.message}`);
  }
  if (isVisit(what)) {
    const params = visitParams(exchange, what.message, what.url);
    return { action: actionOf(await questions.ask(key, "elicitation/create", params)) };
  }
  const schema = compileSchema(what.schema, "input", "form's schema");
  const params = formParams(exchange, what.message, schema);
  const result = await questions.ask(key, "elicitation/create", params);
  const action = actionOf(result);
  return action === "accept" ? { action, content: await contentOf(result, schema) } : { action };
}

/** Asks the client's model. Implements `sample` of the request context. */
export async function askModel(
  exchange: Exchange,
  questions: HandlerQuestions,
  key: string,
  params: CreateMessageParams,
): Promise<CreateMessageResult> {
  checkKey(key);
  checkNames<CreateMessageParams>("ctx.sample()", params, SAMPLE_NAMES);
  const { sampling } = exchange.client.capabilities;
  if (sampling === undefined) throw new MissingCapabilityError("sampling");
  const withTools = params.tools !== undefined || params.toolChoice !== undefined;
  if (withTools && sampling.tools === undefined) throw new MissingCapabilityError("sampling.tools");
  const result = await questions.ask(key, "sampling/createMessage", { ...params });
  if (typeof result.role === "string" && typeof result.content === "object") {
    // The fields that every use of the result relies on have been checked
    return result as unknown as CreateMessageResult;
  }
  throw badAnswer("a role and content");
}

/** Asks for the client's roots. Implements `roots` of the request context. */
export async function askRoots(
  exchange: Exchange,
  questions: HandlerQuestions,
  key: string,
): Promise<readonly Root[]> {
  checkKey(key);
  if (exchange.client.capabilities.roots === undefined) throw new MissingCapabilityError("roots");
  const { roots } = await questions.ask(key, "roots/list", {});
  if (Array.isArray(roots) && roots.every(isRoot)) return roots;
  throw badAnswer("a list of roots");
}

function isRoot(value: unknown): value is Root {
  return isObject(value) && typeof value.uri === "string";
}

function checkKey(key: string): void {
  if (typeof key !== "string" || key === "") {
    throw new TypeError(
      `Give a string of one character or more as the question's key: ${JSON.stringify(key)}`,
    );
  }
}

/** Checks that a question is a form or a page, and nothing else is in it. */
function checkElicitation(what: Elicitation): void {
  const { schema, url }: { readonly schema?: Schema; readonly url?: string | URL } = what ?? {};
  if (schema !== undefined && url !== undefined) {
    throw new TypeError(
      'Give ctx.elicit() either a "schema" or a "url", and ask one after the other',
    );
  }
  checkNames<object>("ctx.elicit()", what ?? null, url === undefined ? FORM_NAMES : VISIT_NAMES);
}

/** Tells whether a question is a page to visit. */
function isVisit(
  what: Elicitation,
): what is { readonly message: string; readonly url: string | URL } {
  return "url" in what && what.url !== undefined;
}

function visitParams(exchange: Exchange, message: string, url: string | URL): JsonObject {
  const { elicitation } = exchange.client.capabilities;
  if (!VERSIONS[exchange.protocolVersion].elicitationModes || elicitation?.url === undefined) {
    throw new MissingCapabilityError("elicitation.url");
  }
  const href = String(url);
  if (!URL.canParse(href)) throw new TypeError(`Give an absolute URL to visit: ${href}`);
  const params = { mode: "url", message, url: href };
  if (isModern(exchange.protocolVersion)) return params;
  return { ...params, elicitationId: randomText(22) };
}

function formParams(exchange: Exchange, message: string, schema: CompiledSchema): JsonObject {
  const { elicitation } = exchange.client.capabilities;
  if (!VERSIONS[exchange.protocolVersion].elicitation || elicitation === undefined) {
    throw new MissingCapabilityError("elicitation");
  }
  // A client without any mode supports forms (2025-11-25, Elicitation, Capabilities)
  if (elicitation.form === undefined && elicitation.url !== undefined) {
    throw new MissingCapabilityError("elicitation.form");
  }
  const { $schema: _, ...requestedSchema } = schema.json;
  checkFlat(requestedSchema);
  return VERSIONS[exchange.protocolVersion].elicitationModes
    ? { mode: "form", message, requestedSchema }
    : { message, requestedSchema };
}

/**
 * Checks that a form is a flat object of primitive fields and choices (2025-11-25, Elicitation).
 */
function checkFlat({ properties = {} }: JsonObject): void {
  for (const [name, field] of Object.entries(isObject(properties) ? properties : {})) {
    const type = isObject(field) ? field.type : undefined;
    const items = isObject(field) && isObject(field.items) ? field.items : {};
    const choices = type === "array" && (items.enum !== undefined || items.anyOf !== undefined);
    if (FLAT_TYPES.has(type) || choices) continue;
    throw new TypeError(
      `Use only strings, numbers, booleans and choices in a form: "${name}"`,
    );
  }
}

function actionOf({ action }: JsonObject): ElicitResult["action"] {
  // A member of the set is one of the three actions
  if (ACTIONS.has(action)) return action as ElicitResult["action"];
  throw badAnswer('the action "accept", "decline" or "cancel"');
}

async function contentOf({ content = {} }: JsonObject, schema: CompiledSchema): Promise<unknown> {
  const result = await schema.validate(content);
  if (result.issues === undefined) return result.value;
  const issues = describeIssues(result.issues, "the form", "The client's answer doesn't fit:");
  throw new McpError(ErrorCode.InvalidParams, issues);
}

function badAnswer(what: string): McpError {
  return new McpError(ErrorCode.InvalidParams, `The client answered without ${what}`);
}
