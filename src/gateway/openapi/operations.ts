/**
 * Converts an OpenAPI document (3.0, 3.1) to tools: one for each operation that can be called.
 *
 * What can't be converted stops nothing else: an operation is left out, or one of its schemas is loosened,
 * and a complaint says so.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { clip, isObject, objectOutputSchema, quote, wrapsOutput } from "../../kit.ts";
import type { ApiParameter, ParameterPlace } from "./arguments.ts";
import { argumentNames, toolNames } from "./names.ts";
import { References } from "./references.ts";
import { Schemas, shortText } from "./schemas.ts";
import { requirements, type SecuritySchemes, securitySchemes } from "./security.ts";
import { ServerError, type ServerOptions, serverUrl } from "./servers.ts";

/** How a body is written. */
export type BodyKind = "json" | "form" | "multipart" | "text" | "bytes";

/** The body of an operation. */
export interface ApiBody {
  /** Its name among the arguments. */
  readonly argument: string;
  readonly kind: BodyKind;
  readonly mediaType: string;
  /** The styles of the members of a form, where the document names them. */
  readonly encoding: ReadonlyMap<string, { readonly style: string; readonly explode: boolean }>;
  /** The media types of the parts of a multipart body, where the document names one. */
  readonly types: ReadonlyMap<string, string>;
  /** The members that are files, which arguments have in Base64. */
  readonly files: ReadonlySet<string>;
}

/** An operation, as a tool. */
export interface ApiOperation {
  /** The tool, as it is listed. */
  readonly tool: JsonObject;
  /** The schema of its arguments; `undefined` where the API alone judges them. */
  readonly input: JsonObject | undefined;
  /** The schema of its results, before it is wrapped. */
  readonly output: JsonObject | undefined;
  /** Whether results are wrapped, since they aren't objects. */
  readonly wraps: boolean;
  readonly name: string;
  readonly method: string;
  readonly path: string;
  /** The URL of its server, without a slash at the end. */
  readonly base: string;
  readonly parameters: readonly ApiParameter[];
  readonly body: ApiBody | undefined;
  readonly accept: string;
  /** The schemes that it needs, see {@linkcode requirements}. */
  readonly security: readonly (readonly string[])[] | undefined;
}

/** Something in a document that isn't as it is written. */
export interface Complaint {
  readonly kind: "left out" | "loosened";
  /** What it is about: a method and a path, or the document. */
  readonly about: string;
  /** What is wrong. */
  readonly text: string;
}

/** The result of {@linkcode operationsOf}. */
export interface Operations {
  readonly operations: readonly ApiOperation[];
  readonly complaints: readonly Complaint[];
  readonly schemes: SecuritySchemes;
}

/** Options for {@linkcode operationsOf}. */
export interface OperationsOptions extends ServerOptions {
  /** The most operations. */
  readonly most: number;
}

const METHODS = ["get", "put", "post", "delete", "patch"] as const;
const OTHER_METHODS = ["head", "options", "trace"] as const;

/** The most characters of the description of a tool. */
const MOST_DESCRIPTION = 1024;
/** The most bytes of a tool's schema of arguments, as JSON. */
const MOST_INPUT = 65_536;
/** The most bytes of a tool's output schema. */
const MOST_OUTPUT = 16_384;
/** The most bytes of all tools, within the default of the gateway's `limits.listBytes`. */
const MOST_LIST = 3_500_000;
/** The most parameters of an operation. */
const MOST_PARAMETERS = 200;
/** The most complaints that are kept. */
const MOST_COMPLAINTS = 1000;

/** Headers that HTTP itself, the body or a security scheme decides (3.1.1 §4.8.12.1). */
const NO_PARAMETERS: ReadonlySet<string> = new Set([
  "accept",
  "authorization",
  "connection",
  "content-length",
  "content-type",
  "cookie",
  "host",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$/;

/** An operation in the document. */
interface FoundOperation {
  readonly method: string;
  readonly path: string;
  readonly item: JsonObject;
  readonly operation: JsonObject;
  readonly operationId: string | undefined;
}

/** Says why an operation is left out. */
class Unusable extends Error {}

/**
 * Converts a document.
 *
 * @throws {ServerError} If no operation can be called for lack of a URL
 */
export function operationsOf(document: JsonObject, options: OperationsOptions): Operations {
  const references = new References(document);
  const complaints: Complaint[] = [];
  let about = "the document";
  const complain = (kind: Complaint["kind"], text: string) => {
    if (complaints.length >= MOST_COMPLAINTS) return;
    const own = complaints.findLastIndex((each) => each.about !== about) + 1;
    if (complaints.slice(own).some((each) => each.text === text)) return;
    complaints.push({ kind, about, text });
  };
  const schemas = new Schemas(references, (what) => complain("loosened", what));
  const found = findOperations(document, references, (place, text) => {
    about = place;
    complain("left out", text);
  });
  const within = found.slice(0, options.most);
  if (found.length > within.length) {
    about = "the document";
    complain(
      "left out",
      `${found.length - within.length} of ${found.length} operations, over the limit`,
    );
  }
  const names = toolNames(within);
  const bodies = new WeakMap<JsonObject, DescribedBody>();
  const operations: ApiOperation[] = [];
  let noServer: ServerError | undefined;
  for (const [at, each] of within.entries()) {
    about = `${each.method} ${each.path}`;
    const seen = complaints.length;
    try {
      const converter = new OperationConverter({
        document,
        references,
        schemas,
        bodies,
        complain,
        options,
      });
      operations.push(converter.convert(each, names[at] ?? ""));
    } catch (error) {
      // A schema that is nested without an end takes too much of the stack, or of the work.
      const isKnown = error instanceof Unusable || error instanceof ServerError;
      if (!isKnown && !(error instanceof RangeError)) throw error;
      if (error instanceof ServerError) noServer ??= error;
      complaints.length = Math.min(complaints.length, seen);
      complain("left out", isKnown ? error.message : "its schemas take too much work");
    }
  }
  if (operations.length === 0 && noServer !== undefined) throw noServer;
  about = "the document";
  return {
    operations: withinList(operations, (text) => complain("loosened", text)),
    complaints,
    schemes: securitySchemes(document, references),
  };
}

function findOperations(
  { paths }: JsonObject,
  references: References,
  leaveOut: (about: string, text: string) => void,
): FoundOperation[] {
  const found: FoundOperation[] = [];
  for (const [path, given] of Object.entries(isObject(paths) ? paths : {})) {
    if (!path.startsWith("/")) continue;
    const item = references.object(given);
    if (item === undefined) {
      leaveOut(path, "the path's reference leads to nothing in the document");
      continue;
    }
    for (const method of OTHER_METHODS) {
      if (isObject(item[method])) {
        leaveOut(`${method.toUpperCase()} ${path}`, "the method is no tool's");
      }
    }
    for (const method of METHODS) {
      const operation = item[method];
      if (!isObject(operation)) continue;
      const { operationId } = operation;
      found.push({
        method: method.toUpperCase(),
        path,
        item,
        operation,
        operationId: typeof operationId === "string" ? operationId : undefined,
      });
    }
  }
  return found;
}

/** Leaves out the largest output schemas until all tools fit into a list. */
function withinList(
  operations: readonly ApiOperation[],
  complain: (text: string) => void,
): readonly ApiOperation[] {
  const sized = operations.map((operation, at) => ({
    at,
    bytes: JSON.stringify(operation.tool).length,
    output: JSON.stringify(operation.tool.outputSchema)?.length ?? 0,
  }));
  let total = sized.reduce((sum, { bytes }) => sum + bytes, 0);
  const left = new Set<number>();
  for (const { at, output } of sized.toSorted((a, b) => b.output - a.output || a.at - b.at)) {
    if (total <= MOST_LIST || output === 0) break;
    left.add(at);
    total -= output;
  }
  if (left.size > 0) {
    complain(`${left.size} output schemas are left out, so that all tools fit into a list`);
  }
  if (total > MOST_LIST) {
    complain(`the tools take ${total} bytes: raise "limits.listBytes" of the gateway`);
  }
  return operations.map((operation, at) => {
    if (!left.has(at)) return operation;
    const { outputSchema: _, ...tool } = operation.tool;
    return { ...operation, tool, output: undefined, wraps: false };
  });
}

interface ConverterInit {
  readonly document: JsonObject;
  readonly references: References;
  readonly schemas: Schemas;
  /** The bodies that were read, by their objects in the document. */
  readonly bodies: WeakMap<JsonObject, DescribedBody>;
  readonly complain: (kind: Complaint["kind"], text: string) => void;
  readonly options: OperationsOptions;
}

/** A parameter with the schema of its value. */
interface DescribedParameter extends ApiParameter {
  readonly schema: unknown;
}

/** Converts one operation. */
class OperationConverter {
  readonly #init: ConverterInit;

  constructor(init: ConverterInit) {
    this.#init = init;
  }

  convert(found: FoundOperation, name: string): ApiOperation {
    const { document, options } = this.#init;
    const { method, path, item, operation } = found;
    const servers = [operation.servers, item.servers, document.servers].find(Array.isArray);
    const base = serverUrl(servers, options);
    const given = this.#parameters(item, operation);
    this.#checkPath(path, given);
    const media = this.#body(method, operation);
    const argumentsOf = argumentNames([
      ...given.map((each) => ({ name: each.name, prefix: each.in })),
      ...media === undefined ? [] : [{ name: "body", prefix: "request" }],
    ]);
    const parameters = given.map((each, at) => ({
      ...each,
      argument: argumentsOf[at] ?? each.name,
    }));
    const argument = argumentsOf[given.length] ?? "body";
    const { json, isCostly } = this.#input(parameters, media && { ...media, argument });
    const output = this.#output(operation);
    const { summary, description, deprecated, security } = operation;
    const text = descriptionOf(method, path, { summary, description, deprecated });
    return {
      tool: {
        name,
        ...typeof summary === "string" && summary.trim() !== "" &&
          { title: clip(summary.trim(), 100) },
        description: text,
        inputSchema: json,
        ...output !== undefined && { outputSchema: objectOutputSchema(output) },
        annotations: annotationsOf(method),
      },
      output,
      wraps: wrapsOutput(output),
      input: isCostly ? undefined : json,
      name,
      method,
      path,
      base,
      parameters: parameters.map(({ schema: _, ...parameter }) => parameter),
      body: media && {
        argument,
        kind: media.kind,
        mediaType: media.mediaType,
        encoding: media.encoding,
        types: media.types,
        files: media.files,
      },
      accept: this.#accept(operation),
      security: requirements(security) ?? requirements(document.security),
    };
  }

  /** Returns the parameters of an operation, which replace those of its path. */
  #parameters(item: JsonObject, operation: JsonObject): DescribedParameter[] {
    const { references, complain } = this.#init;
    const byName = new Map<string, DescribedParameter>();
    for (const list of [item.parameters, operation.parameters]) {
      if (!Array.isArray(list)) continue;
      if (list.length > MOST_PARAMETERS) throw new Unusable("it has too many parameters");
      for (const given of list) {
        const parameter = references.object(given);
        const made = parameter && describedParameter(parameter);
        if (made === undefined) throw new Unusable("one of its parameters isn't described");
        if (typeof made === "string") complain("loosened", made);
        else byName.set(`${made.in} ${made.name}`, made);
      }
    }
    return [...byName.values()];
  }

  /** Checks that each part of a path in braces is a parameter, and that nothing in it ends the path. */
  #checkPath(path: string, parameters: readonly ApiParameter[]): void {
    if (/[?#\\\s]/.test(path)) throw new Unusable("its path has more than a path");
    for (const [, name] of path.matchAll(/\{([^{}]*)\}/g)) {
      if (!parameters.some((each) => each.in === "path" && each.name === name)) {
        throw new Unusable(`the parameter ${quote(name ?? "")} of its path isn't described`);
      }
    }
  }

  #body(method: string, operation: JsonObject): DescribedBody | undefined {
    if (operation.requestBody === undefined) return undefined;
    const { references, complain } = this.#init;
    const given = references.object(operation.requestBody);
    const content = given?.content;
    if (given === undefined || !isObject(content)) throw new Unusable("its body isn't described");
    const isRequired = given?.required === true;
    if (method === "GET") {
      // What one means isn't defined (RFC 9110 §9.3.1), and no runtime sends it.
      if (isRequired) throw new Unusable("it needs a body, which a GET can't have");
      if (hasContent(content, references)) {
        complain("loosened", "its body is left out: a GET can't have one");
      }
      return undefined;
    }
    // Many operations may refer to one body.
    const { bodies } = this.#init;
    const known = bodies.get(given);
    if (known !== undefined) return known;
    const made = describedBody(given, content, isRequired, references);
    if (made !== undefined) {
      bodies.set(given, made);
      return made;
    }
    const [first = "nothing"] = Object.keys(content);
    if (isRequired) {
      throw new Unusable(`its body has a type that can't be written: ${quote(first)}`);
    }
    complain(
      "loosened",
      `its body is left out, since it has a type that can't be written: ${quote(first)}`,
    );
    return undefined;
  }

  #input(
    parameters: readonly DescribedParameter[],
    body: (DescribedBody & { readonly argument: string }) | undefined,
  ): { readonly json: JsonObject; readonly isCostly: boolean } {
    const { schemas, complain } = this.#init;
    const bodySchema = body && inputOf(body);
    const convert = (bodyAs: unknown) =>
      schemas.convert({
        type: "object",
        properties: Object.fromEntries([
          ...parameters.map(({ argument, schema }) => [argument, schema]),
          ...body === undefined ? [] : [[body.argument, bodyAs]],
        ]),
        required: [
          ...parameters.filter(({ required }) => required).map(({ argument }) => argument),
          ...body?.isRequired ? [body.argument] : [],
        ],
        additionalProperties: false,
      }, { side: "input", mostBytes: MOST_INPUT, files: body?.kind === "multipart" });
    const whole = convert(bodySchema);
    if (whole !== undefined) {
      if (whole.isCostly) {
        complain("loosened", "its arguments are checked by the API alone: too much work");
      }
      return whole;
    }
    const description = "The document describes it in more than this tool may have.";
    const loose = body && convert({ description });
    if (loose === undefined) throw new Unusable("its parameters have schemas that are too large");
    complain("loosened", `its body's schema is left out: it is over ${MOST_INPUT} bytes`);
    return loose;
  }

  /** Returns the output schema, if all successful answers have one and the same. */
  #output(operation: JsonObject): JsonObject | undefined {
    const { references, schemas, complain } = this.#init;
    const found: unknown[] = [];
    for (const response of successes(operation, references)) {
      const { content } = response ?? {};
      const [json, ...others] = Object.entries(isObject(content) ? content : {});
      if (json === undefined || others.length > 0 || bodyKind(json[0]) !== "json") return undefined;
      const schema = references.object(json[1])?.schema;
      if (schema === undefined) return undefined;
      found.push(schema);
    }
    const convert = (schema: unknown) =>
      schemas.convert(schema, { side: "output", mostBytes: MOST_OUTPUT });
    const [schema, ...others] = [...new Set(found)];
    if (schema === undefined) return undefined;
    const made = convert(schema);
    const text = JSON.stringify(made?.json);
    if (others.some((other) => JSON.stringify(convert(other)?.json) !== text)) return undefined;
    if (made === undefined || made.isCostly) {
      complain("loosened", `its output schema is left out: it is over ${MOST_OUTPUT} bytes`);
      return undefined;
    }
    const { json } = made;
    // A schema without any statement says nothing that a client could use.
    if (Object.keys(json).every((key) => key === "description")) return undefined;
    return isNullable(json) ? undefined : json;
  }

  #accept(operation: JsonObject): string {
    const { references } = this.#init;
    const types = new Set<string>();
    for (const response of successes(operation, references)) {
      const { content } = response ?? {};
      for (const type of Object.keys(isObject(content) ? content : {})) {
        if (MEDIA_TYPE.test(type) && types.size < 8) types.add(type.toLowerCase());
      }
    }
    const json = [...types].filter((type) => bodyKind(type) === "json");
    const others = [...types].filter((type) => bodyKind(type) !== "json");
    if (types.size === 0) return "application/json, */*;q=0.5";
    return [...json, ...others.map((type) => json.length > 0 ? `${type};q=0.9` : type), "*/*;q=0.5"]
      .join(", ");
  }
}

/** Tells whether null fits a schema, which the result of a tool can't be. */
function isNullable({ type }: JsonObject): boolean {
  return Array.isArray(type) ? type.includes("null") : type === "null";
}

/** Returns the successful responses of an operation, or the one for all statuses. */
function successes(operation: JsonObject, references: References): (JsonObject | undefined)[] {
  const responses = isObject(operation.responses) ? operation.responses : {};
  const own = Object.keys(responses).filter((status) => /^2(?:\d\d|XX)$/i.test(status));
  const statuses = own.length === 0 && "default" in responses ? ["default"] : own;
  return statuses.map((status) => references.object(responses[status]));
}

/** A body before it has a name among the arguments. */
interface DescribedBody extends Omit<ApiBody, "argument"> {
  readonly isRequired: boolean;
  readonly schema: unknown;
  readonly description: unknown;
}

/** The kinds of body, the preferred one first. */
const BODY_KINDS: readonly BodyKind[] = ["json", "form", "multipart", "text", "bytes"];

const MEDIA_TYPE = /^[\w!#$&^.+*-]+\/[\w!#$&^.+*-]+(?:\s*;[\x20-\x7e]*)?$/;

function bodyKind(mediaType: string): BodyKind | undefined {
  // It becomes a header.
  if (!MEDIA_TYPE.test(mediaType.trim())) return undefined;
  const type = mediaType.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type === "application/json" || /^[\w.-]+\/[\w.-]+\+json$/.test(type)) return "json";
  if (type === "application/x-www-form-urlencoded") return "form";
  if (type === "multipart/form-data") return "multipart";
  if (type.includes("*") || type.startsWith("multipart/")) return undefined;
  if (type.startsWith("text/") || /^application\/(?:.+\+)?(?:xml|yaml|x-yaml)$/.test(type)) {
    return "text";
  }
  return "bytes";
}

/** Reads a body in the preferred one of its types; `undefined` if none can be written. */
function describedBody(
  { description }: JsonObject,
  content: JsonObject,
  isRequired: boolean,
  references: References,
): DescribedBody | undefined {
  for (const kind of BODY_KINDS) {
    for (const [key, media] of Object.entries(content)) {
      if (bodyKind(key) !== kind) continue;
      const { schema, encoding } = references.object(media) ?? {};
      return {
        kind,
        mediaType: key.trim().toLowerCase(),
        isRequired,
        schema: schema ?? (kind === "text" ? { type: "string" } : {}),
        description,
        encoding: encodingOf(encoding, references),
        types: typesOf(encoding, references),
        files: filesOf(references.object(schema), references),
      };
    }
  }
  return undefined;
}

/** Tells whether a body may have anything: some documents give an empty form to each operation. */
function hasContent(content: JsonObject, references: References): boolean {
  return Object.values(content).some((media) => {
    const { properties, type } = references.object(references.object(media)?.schema) ?? {};
    return type !== "object" || (isObject(properties) && Object.keys(properties).length > 0);
  });
}

function inputOf({ kind, schema, description }: DescribedBody): unknown {
  const own = typeof description === "string" ? { description } : {};
  if (kind === "bytes") {
    return { type: "string", contentEncoding: "base64", description: "The bytes, in Base64." };
  }
  if (kind === "text") return { type: "string", ...own };
  // What is beside a reference holds as well (2020-12 §8.2.3.1).
  return isObject(schema) && typeof schema.description !== "string"
    ? { ...schema, ...own }
    : schema;
}

function encodingOf(given: unknown, references: References): ApiBody["encoding"] {
  const entries = Object.entries(isObject(given) ? given : {}).flatMap(([name, each]) => {
    const { style, explode } = references.object(each) ?? {};
    if (style === undefined && explode === undefined) return [];
    const own = typeof style === "string" ? style : "form";
    return [[name, {
      style: own,
      explode: typeof explode === "boolean" ? explode : own === "form",
    }]] as const;
  });
  return new Map(entries);
}

function typesOf(given: unknown, references: References): ApiBody["types"] {
  const entries = Object.entries(isObject(given) ? given : {}).flatMap(([name, each]) => {
    const type = references.object(each)?.contentType;
    // One of several, or a range, is the caller's choice, which arguments don't have.
    return typeof type === "string" && MEDIA_TYPE.test(type) && !/[*,]/.test(type)
      ? [[name, type.toLowerCase()]] as const
      : [];
  });
  return new Map(entries);
}

function filesOf(schema: JsonObject | undefined, references: References): ApiBody["files"] {
  const { properties } = schema ?? {};
  const isFile = (part: unknown): boolean => {
    const { format, contentMediaType, type, items } = references.object(part) ?? {};
    if (type === "array") return isFile(items);
    return format === "binary" || (type === "string" && contentMediaType !== undefined);
  };
  return new Set(
    Object.entries(isObject(properties) ? properties : {})
      .filter(([, part]) => isFile(part)).map(([name]) => name),
  );
}

const STYLES: Readonly<Record<ParameterPlace, readonly string[]>> = {
  path: ["simple", "label", "matrix"],
  query: ["form", "spaceDelimited", "pipeDelimited", "deepObject"],
  header: ["simple"],
  cookie: ["form"],
};

/** Reads a parameter; a text says why it is left out. */
function describedParameter(given: JsonObject): DescribedParameter | string | undefined {
  const { name, in: where, required, style, explode, schema, content, description } = given;
  if (typeof name !== "string" || name === "" || !isPlace(where)) return undefined;
  const isRequired = where === "path" || required === true;
  const refused = where === "header"
    ? NO_PARAMETERS.has(name.toLowerCase()) || !HEADER_NAME.test(name)
    : where === "cookie" && !HEADER_NAME.test(name);
  if (refused) {
    // The document says itself that these are to be ignored.
    return `the ${where} ${quote(name)} is set by the gateway`;
  }
  const styles = STYLES[where];
  const own = typeof style === "string" && styles.includes(style) ? style : styles[0] ?? "form";
  const media = isObject(content) ? Object.entries(content)[0] : undefined;
  const described = media === undefined ? schema : isObject(media[1]) ? media[1].schema : undefined;
  const text = typeof description === "string" ? { description } : {};
  return {
    name,
    argument: name,
    in: where,
    required: isRequired,
    style: own,
    explode: typeof explode === "boolean" ? explode : own === "form" || own === "deepObject",
    json: media !== undefined && bodyKind(media[0]) === "json",
    schema: isObject(described)
      ? { ...described, ...text }
      : described ?? { type: "string", ...text },
  };
}

function isPlace(value: unknown): value is ParameterPlace {
  return typeof value === "string" && Object.hasOwn(STYLES, value);
}

function descriptionOf(
  method: string,
  path: string,
  { summary, description, deprecated }: JsonObject,
): string {
  const texts = [summary, description].filter((text) => typeof text === "string")
    .map((text) => shortText(text, MOST_DESCRIPTION)).filter((text, at, all) =>
      text !== "" && all.indexOf(text) === at
    );
  const mark = deprecated === true ? ["Deprecated."] : [];
  const all = texts.length === 0 ? [`${method} ${path}`] : texts;
  return clip([...mark, ...all].join("\n\n"), MOST_DESCRIPTION);
}

/** What the methods of HTTP promise (RFC 9110 §9.2). */
function annotationsOf(method: string): JsonObject {
  if (method === "GET") return { readOnlyHint: true, openWorldHint: true };
  return {
    readOnlyHint: false,
    // What a POST does isn't said: clients then take it for destructive.
    ...method !== "POST" && { destructiveHint: true },
    idempotentHint: method === "PUT" || method === "DELETE",
    openWorldHint: true,
  };
}
