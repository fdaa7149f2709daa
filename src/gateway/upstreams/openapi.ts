/**
 * Makes a server of an API over HTTP that has an OpenAPI document: each of its operations is a tool.
 *
 * The document is read when the first session opens, and converted once (`openapi/document.ts`, which
 * says why it is read as it is, and `openapi/operations.ts`). A session holds nothing but its calls: it
 * answers `tools/list` and `tools/call` itself, so that a call costs one HTTP request, and its caller's
 * own credentials reach the request as with `http()`.
 *
 * @module
 */
import { ErrorCode, fromJsonSchema, type JsonObject, McpError, type Route } from "../../../mod.ts";
import type { Fetch } from "../../auth/mod.ts";
import {
  checkNames,
  clip,
  delayOption,
  describeIssues,
  functionOption,
  integerOption,
  isObject,
  ownLongCalls,
  unknownTool,
} from "../../kit.ts";
import { ArgumentError } from "../openapi/arguments.ts";
import { type DocumentSource, isRemote, readDocument } from "../openapi/document.ts";
import { type ApiOperation, type Complaint, operationsOf } from "../openapi/operations.ts";
import { type ApiRequest, requestOf } from "../openapi/request.ts";
import { failure, resultOf } from "../openapi/response.ts";
import { checkable } from "../openapi/schemas.ts";
import { ServerError } from "../openapi/servers.ts";
import { abortable, deadline } from "../shared/deadline.ts";
import { SignInRequiredError } from "../shared/sign_in_required.ts";
import { fetchError, UpstreamError } from "../shared/upstream_error.ts";
import type { OpenInit, Upstream, UpstreamCall, UpstreamFacts, UpstreamSession } from "../types.ts";
import { checkForwardHeaders, type ForwardHeaders } from "./forward_headers.ts";
import { checkHeaders, checkUrl } from "./http.ts";
import { identityOf } from "./identity.ts";
import { usersByAuth } from "./user_auth.ts";
import { ApiAuth, type ApiCredentials, apiSignIn, checkApiAuth } from "./openapi_requests.ts";

/** Bounds what is read and sent. */
export interface OpenApiLimits {
  /**
   * Limits the bytes of the document with all of its files.
   *
   * @default {33554432}
   */
  readonly documentBytes?: number;
  /**
   * Limits the operations; the rest is left out.
   *
   * @default {2000}
   */
  readonly operations?: number;
  /**
   * Limits the bytes of a request's body.
   *
   * @default {1048576}
   */
  readonly requestBytes?: number;
  /**
   * Limits the bytes of an answer's body. A larger one is an error that says to ask for less.
   *
   * @default {1048576}
   */
  readonly responseBytes?: number;
}

/** Options for {@linkcode openapi}. */
export interface OpenApiOptions {
  /**
   * The OpenAPI document, of 3.0 or 3.1, in JSON or YAML: a file, a URL, or the document itself. It is read
   * once, when it is first needed. References to files below its folder are followed, those to URLs never.
   */
  readonly document: DocumentSource;
  /**
   * The URL that the paths of the document are relative to. By default that of the document's first server,
   * with the defaults of its variables; a document from a URL may only name servers of its own origin, so
   * that it can't choose where requests and credentials are sent.
   */
  readonly baseUrl?: string | URL;
  /**
   * Authorizes requests: what `http()` takes, accounts of users too, for the one security scheme of the document, or
   * `{ schemes: { name: … } }` for the schemes by their names. The credential of a basic scheme is
   * `"user:password"`. An operation gets the credentials that it needs, and those only.
   */
  readonly auth?: ApiCredentials;
  /** Adds headers to every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Names the headers of the client's request to forward, as for `http()`; none by default. */
  readonly forwardHeaders?: ForwardHeaders;
  /**
   * Limits how long an answer may take with its body, in milliseconds.
   *
   * @default {60000}
   */
  readonly timeoutMs?: number;
  /**
   * Says when calls are answered although they still run, in milliseconds, or `false` for never; for handlers
   * with the option `longCalls`. Their own time when left out.
   */
  readonly longCalls?: false | { readonly afterMs?: number };
  /** Bounds what is read and sent. */
  readonly limits?: OpenApiLimits;
  /**
   * Sends the requests, and fetches the document. By default the global `fetch` does, looked up for each
   * request.
   *
   * @default {globalThis.fetch}
   */
  readonly fetch?: Fetch;
}

/** {@linkcode OpenApiOptions}, checked. */
interface Settings {
  readonly document: DocumentSource;
  readonly baseUrl: string | undefined;
  readonly auth: ApiCredentials | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly forwarded: ReadonlyMap<string, string>;
  readonly timeoutMs: number;
  readonly longCalls: Route["longCalls"];
  readonly limits: Required<OpenApiLimits>;
  readonly fetch: Fetch;
  readonly identity: string;
}

const LIMITS: Required<OpenApiLimits> = {
  documentBytes: 33_554_432,
  operations: 2000,
  requestBytes: 1_048_576,
  responseBytes: 1_048_576,
};

/**
 * Creates an upstream from an OpenAPI document: each of its operations is a tool, whose calls are HTTP
 * requests. Only the document's servers, or `baseUrl`, are called. An answer with the status of an error, a
 * time limit and a failed connection are results that the model can act on.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 *
 * @example
 * ```ts
 * import { gateway, openapi } from "@mooring/mcp/gateway";
 *
 * const notes = openapi({
 *   document: {
 *     openapi: "3.1.0",
 *     info: { title: "Notes", version: "1.0.0" },
 *     paths: {
 *       "/notes/{id}": {
 *         get: {
 *           operationId: "getNote",
 *           parameters: [{ name: "id", in: "path", required: true, schema: { type: "string" } }],
 *           responses: {},
 *         },
 *       },
 *     },
 *   },
 *   baseUrl: "https://notes.example/api",
 *   auth: ({ principal }) => `token-of-${principal.id}`,
 * });
 * const gw = gateway({ upstreams: { notes } }); // offers the tool "notes__getNote"
 * await gw.close();
 * ```
 */
export function openapi(options: OpenApiOptions): Upstream {
  const settings = checkOptions(options);
  let loading: Promise<Api> | undefined;
  return {
    kind: "openapi",
    identity: settings.identity,
    signIn: apiSignIn(settings.auth),
    forwards: [...settings.forwarded.keys()],
    usersBy: firstOf(settings.auth, usersByAuth),
    longCalls: () => settings.longCalls,
    async open(init) {
      // Another client's request must not end the reading for this one: only its wait.
      const loaded = loading ??= Api.load(settings).catch((error) => {
        loading = undefined;
        throw error;
      });
      const api = await abortable(loaded, init.signal);
      api.report(init);
      return new OpenApiSession(api, init);
    },
  };
}

/** Returns the first thing that is found about the credentials of any scheme. */
function firstOf<T>(
  auth: ApiCredentials | undefined,
  find: (auth: unknown) => T | undefined,
): T | undefined {
  if (!isObject(auth) || !("schemes" in auth) || !isObject(auth.schemes)) return find(auth);
  return Object.values(auth.schemes).map(find).find((found) => found !== undefined);
}

/** What became of a document. */
export interface OpenApiReport {
  /** The name and version that the document gives to its API. */
  readonly title: string;
  /** The number of tools. */
  readonly tools: number;
  /** What was left out or loosened. */
  readonly complaints: readonly Complaint[];
}

/**
 * Reads and converts a document, also what is otherwise done at the first call of each tool, and says what
 * became of it.
 *
 * @throws {UpstreamError} If there are no tools
 */
export async function openApiReport(options: OpenApiOptions): Promise<OpenApiReport> {
  const api = await Api.load(checkOptions(options));
  const { serverInfo: { name, version } } = api.facts;
  return { title: `${name} ${version}`, tools: api.count, complaints: api.examined() };
}

function checkOptions(options: OpenApiOptions): Settings {
  checkNames("openapi()", options, {
    document: true,
    baseUrl: true,
    auth: true,
    headers: true,
    forwardHeaders: true,
    timeoutMs: true,
    longCalls: true,
    limits: true,
    fetch: true,
  });
  checkNames("openapi()", options.limits, {
    documentBytes: true,
    operations: true,
    requestBytes: true,
    responseBytes: true,
  }, "limits.");
  const { document, auth } = options;
  const isSource = (typeof document === "string" && document !== "") || isObject(document) ||
    document instanceof URL;
  if (!isSource) {
    throw new TypeError(`Give a file, a URL or an object as "document": ${typeof document}`);
  }
  // The same check as for the URL of an API, such as no credentials in it.
  const source = isRemote(document) ? checkUrl(String(document), "document").href : document;
  const base = options.baseUrl === undefined ? undefined : checkUrl(options.baseUrl, "baseUrl");
  if (base !== undefined && base.search !== "") {
    throw new TypeError('Give a "baseUrl" without a query');
  }
  checkApiAuth(auth);
  const headers = checkHeaders(options.headers ?? {});
  const forwarded = checkForwardHeaders(options.forwardHeaders);
  if (
    auth !== undefined && [...Object.keys(headers), ...forwarded.values()].includes("authorization")
  ) {
    throw new TypeError('Give either "auth" or an authorization header');
  }
  const timeoutMs = delayOption("timeoutMs", options.timeoutMs, 60_000);
  const limits = { ...LIMITS };
  for (const name of Object.keys(LIMITS) as (keyof OpenApiLimits)[]) {
    limits[name] = integerOption(`limits.${name}`, options.limits?.[name], LIMITS[name]);
  }
  const fetch = functionOption("fetch", options.fetch);
  const baseUrl = base?.href.replace(/\/+$/, "");
  return {
    document: source,
    baseUrl,
    auth,
    headers,
    forwarded,
    timeoutMs,
    longCalls: ownLongCalls("an upstream", options.longCalls),
    limits,
    fetch: fetch ?? ((url, init) => globalThis.fetch(url, init)),
    identity: identityOf("openapi", [
      source instanceof URL ? source.href : source,
      baseUrl,
      auth,
      Object.entries(headers).sort(),
      [...forwarded].sort(),
      timeoutMs,
      limits,
      fetch,
    ]),
  };
}

/** The version spoken with the gateway. */
const VERSION = "2025-11-25";
/** Limits the time to read a document, in milliseconds. */
const READ_MS = 30_000;
/** The most characters of the API's own description. */
const MOST_INSTRUCTIONS = 1000;
/** The most compiled schemas that are kept. */
const MOST_COMPILED = 1000;

type Validate = (value: unknown) => Promise<string | undefined>;

/** A converted document: shared by all sessions, which don't change it. */
class Api {
  readonly facts: UpstreamFacts;
  readonly settings: Settings;
  readonly auth: ApiAuth;
  readonly tools: readonly JsonObject[];
  readonly #operations: ReadonlyMap<string, ApiOperation>;
  readonly #complaints: readonly Complaint[];
  readonly #compiled = new Map<JsonObject, Validate>();
  #isReported = false;

  private constructor(settings: Settings, document: JsonObject, url: string | undefined) {
    const { baseUrl, limits } = settings;
    const most = limits.operations;
    const made = operationsOf(document, { baseUrl, documentUrl: url, most });
    this.settings = settings;
    this.facts = factsOf(document);
    this.auth = new ApiAuth(settings.auth, made.schemes);
    this.tools = made.operations.map(({ tool }) => tool);
    this.#operations = new Map(made.operations.map((operation) => [operation.name, operation]));
    this.#complaints = [...made.complaints, ...this.auth.complaintsAbout(made.operations)];
  }

  /** @throws {UpstreamError} If the document can't be read, or has nothing to call */
  static async load(settings: Settings): Promise<Api> {
    const { document: source, limits, fetch } = settings;
    const signal = AbortSignal.timeout(READ_MS);
    const { document, url } = await readDocument(source, {
      mostBytes: limits.documentBytes,
      fetch,
      signal,
    });
    try {
      return new Api(settings, document, url);
    } catch (error) {
      if (error instanceof ServerError) {
        throw new UpstreamError("protocol", { advice: error.message });
      }
      throw error;
    }
  }

  get count(): number {
    return this.#operations.size;
  }

  operation(name: unknown): ApiOperation | undefined {
    return typeof name === "string" ? this.#operations.get(name) : undefined;
  }

  /** Reports once how many operations were left out. */
  report({ name: upstream, report }: OpenInit): void {
    if (this.#isReported) return;
    this.#isReported = true;
    const count = this.#complaints.filter(({ kind }) => kind === "left out").length;
    if (count === 0) return;
    report({
      type: "upstream-entries-dropped",
      upstream,
      list: "tools/list",
      reason: "invalid",
      count,
    });
  }

  /** Returns all complaints, also those about schemas that can't be compiled. */
  examined(): readonly Complaint[] {
    const more: Complaint[] = [];
    for (const { input, output, method, path } of this.#operations.values()) {
      for (const schema of [input, output]) {
        const problem = schema && problemOf(schema);
        if (problem === undefined) continue;
        const what = schema === input ? "its arguments are" : "its answers are";
        const text = `${what} not checked: ${clip(problem, 200)}`;
        more.push({ kind: "loosened", about: `${method} ${path}`, text });
      }
    }
    return [...this.#complaints, ...more];
  }

  /** Returns what is wrong with a value; `undefined` if it fits a schema, or the schema can't be used. */
  async problemWith(schema: JsonObject | undefined, value: unknown, whole: string) {
    if (schema === undefined) return undefined;
    let validate = this.#compiled.get(schema);
    if (validate === undefined) {
      validate = compiled(schema, whole);
      const [oldest] = this.#compiled.keys();
      if (this.#compiled.size >= MOST_COMPILED && oldest !== undefined) {
        this.#compiled.delete(oldest);
      }
      this.#compiled.set(schema, validate);
    }
    return await validate(value);
  }
}

/** Compiles a schema; one that can't be compiled lets everything pass. */
function compiled(schema: JsonObject, whole: string): Validate {
  try {
    const { validate } = fromJsonSchema(checkable(schema))["~standard"];
    return async (value) => {
      const { issues } = await validate(value);
      return issues && describeIssues(issues, whole);
    };
  } catch {
    return async () => undefined;
  }
}

function problemOf(schema: JsonObject): string | undefined {
  try {
    fromJsonSchema(checkable(schema));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : "it can't be compiled";
  }
}

function factsOf({ info }: JsonObject): UpstreamFacts {
  const { title, version, description } = isObject(info) ? info : {};
  const text = (value: unknown, other: string) =>
    typeof value === "string" && value.trim() !== "" ? clip(value.trim(), 200) : other;
  const serverInfo = { name: text(title, "API"), version: text(version, "0") };
  const capabilities = { tools: {} };
  const instructions = typeof description === "string" && description.trim() !== ""
    ? { instructions: clip(description.trim(), MOST_INSTRUCTIONS) }
    : {};
  return {
    serverInfo,
    capabilities,
    protocolVersion: VERSION,
    ...instructions,
    handshake: { protocolVersion: VERSION, capabilities, serverInfo, ...instructions },
  };
}

/** A session with an API, which knows nothing of it. */
class OpenApiSession implements UpstreamSession {
  readonly #api: Api;
  readonly #init: OpenInit;
  readonly #closing = new AbortController();
  readonly #running = new Set<AbortController>();

  constructor(api: Api, init: OpenInit) {
    this.#api = api;
    this.#init = init;
  }

  get facts(): UpstreamFacts {
    return this.#api.facts;
  }

  async request(call: UpstreamCall): Promise<JsonObject> {
    call.signal.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    switch (call.method) {
      case "tools/call":
        return await this.#call(call);
      case "tools/list":
        return { tools: this.#api.tools };
      case "ping":
        return {};
      default:
        throw new McpError(ErrorCode.MethodNotFound, "An API has tools only");
    }
  }

  async notify(): Promise<void> {}

  async close(): Promise<void> {
    const reason = new UpstreamError("closed");
    this.#closing.abort(reason);
    for (const stop of [...this.#running]) stop.abort(reason);
  }

  async #call(call: UpstreamCall): Promise<JsonObject> {
    const { name, arguments: args = {} } = call.params;
    const operation = this.#api.operation(name);
    if (operation === undefined) throw unknownTool(name);
    if (!isObject(args)) {
      throw new McpError(ErrorCode.InvalidParams, 'Give an object as "arguments"');
    }
    const problem = await this.#api.problemWith(operation.input, args, "the arguments");
    if (problem !== undefined) return failure(problem);
    const { settings } = this.#api;
    const { clock } = this.#init;
    // The end of the call stops the request, and so does the end of the session.
    const stop = new AbortController();
    const follow = () => stop.abort(call.signal.reason);
    call.signal.addEventListener("abort", follow, { once: true });
    this.#running.add(stop);
    const limit = deadline(clock, settings.timeoutMs, stop.signal);
    const { signal } = limit;
    try {
      const request = requestOf(operation, args, settings.limits.requestBytes);
      return await abortable(this.#exchange(request, operation, call, signal), signal);
    } catch (error) {
      if (stop.signal.aborted) throw stop.signal.reason;
      // The gateway asks the user, and calls again.
      if (error instanceof SignInRequiredError) throw error;
      if (error instanceof ArgumentError) return failure(error.message);
      return failure(failureText(error, operation, settings.timeoutMs));
    } finally {
      limit.clear();
      this.#running.delete(stop);
      call.signal.removeEventListener("abort", follow);
    }
  }

  async #exchange(
    request: ApiRequest,
    operation: ApiOperation,
    caller: UpstreamCall,
    signal: AbortSignal,
  ): Promise<JsonObject> {
    const { auth, settings } = this.#api;
    const upstream = this.#init.name;
    const sending = { request, operation, upstream, settings, caller, signal };
    const { response, secrets } = await auth.send(sending);
    try {
      return await resultOf(response, {
        operation,
        secrets,
        mostBytes: settings.limits.responseBytes,
        problemOf: (data) => this.#api.problemWith(operation.output, data, "the data"),
      });
    } catch (error) {
      signal.throwIfAborted();
      throw fetchError(error, new URL(operation.base).origin);
    }
  }
}

/** Says why there is no answer, without anything that may be secret. */
function failureText(error: unknown, { method, base }: ApiOperation, timeoutMs: number): string {
  const { origin } = new URL(base);
  if (!(error instanceof UpstreamError)) return `The request to ${origin} failed`;
  const { kind, message } = error;
  const mayHaveRun = method === "GET"
    ? ""
    : ". What was asked may have been done: look before you ask again";
  if (kind === "timeout") return `No answer from ${origin} in ${timeoutMs} ms${mayHaveRun}`;
  return kind === "closed" ? `${origin} closed the connection${mayHaveRun}` : message;
}
