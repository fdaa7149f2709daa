/**
 * Single HTTP requests to an upstream: their headers, credentials and redirects, and what their
 * statuses mean.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { HeaderName } from "../protocol/headers.ts";
import {
  isObject,
  type JsonRpcResponse,
  messageKind,
  type RequestId,
} from "../protocol/jsonrpc.ts";
import type { Principal } from "../protocol/exchange.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import { type Forwarding, forwarding } from "./forward_headers.ts";
import { HOPS_HEADER, nextHops } from "./hops.ts";
import { type Authorizing, authorizing } from "./http_auth.ts";
import { discard, readErrorJson } from "./http_body.ts";
import type { HeaderFields } from "./http_headers.ts";
import type { HttpSettings } from "./http_options.ts";
import { fetchError, statusError, UpstreamError } from "./upstream_error.ts";

/** What every POST accepts and sends. */
const POST = {
  "accept": "application/json, text/event-stream",
  "content-type": "application/json",
};
const GET = { "accept": "text/event-stream" };

/** Redirects that keep the method and body (RFC 9110 §15.4). */
const REDIRECTS: ReadonlySet<number> = new Set([307, 308]);
const MOST_REDIRECTS = 3;

/** What is sent. */
export interface Sending {
  readonly method: "POST" | "GET" | "DELETE";
  /** The client's request in whose course it is sent. */
  readonly request: Request;
  readonly signal: AbortSignal;
  /** Headers of this message alone. */
  readonly own?: HeaderFields;
  readonly body?: string;
}

/** Sends the HTTP requests of one session. */
export class HttpExchange {
  readonly #settings: HttpSettings;
  readonly #principal: Principal;
  readonly #authorizing: Authorizing;
  readonly #forwarding: Forwarding;
  /** Headers of every request, by its method. */
  #fixed: Readonly<Record<Sending["method"], HeaderFields>>;
  #url: string;
  #sessionId: string | undefined;
  #version: ProtocolVersion | undefined;

  constructor(settings: HttpSettings, principal: Principal) {
    this.#settings = settings;
    this.#principal = principal;
    this.#url = settings.url;
    this.#authorizing = authorizing(settings.auth, settings.url, settings.fetch);
    this.#forwarding = forwarding(settings.forwarded);
    this.#fixed = this.#fix();
  }

  /** The session's id with the upstream, if there is one. */
  get sessionId(): string | undefined {
    return this.#sessionId;
  }

  /** Where the upstream is, as may be told. */
  get origin(): string {
    return this.#settings.origin;
  }

  /** Whether messages are of the 2026 era. */
  get modern(): boolean {
    return this.#version !== undefined && VERSIONS[this.#version].era === "2026";
  }

  /** Keeps the id that the upstream gave the session; one that no header can carry is none. */
  begin(response: Response): void {
    const id = response.headers.get(HeaderName.SessionId);
    this.#sessionId = id === null || id === "" || id.length > 4096 ? undefined : id;
    this.#fixed = this.#fix();
  }

  /** Keeps the version that was agreed on. */
  agree(version: ProtocolVersion): void {
    this.#version = version;
    this.#fixed = this.#fix();
  }

  #fix(): Readonly<Record<Sending["method"], HeaderFields>> {
    const shared: Record<string, string> = {
      ...this.#settings.headers,
      ...this.#authorizing.fixed,
    };
    if (this.#sessionId !== undefined) shared[HeaderName.SessionId] = this.#sessionId;
    if (this.#version !== undefined) shared[HeaderName.ProtocolVersion] = this.#version;
    return { POST: { ...shared, ...POST }, GET: { ...shared, ...GET }, DELETE: shared };
  }

  /**
   * Sends a request, and follows redirects within the upstream's own origin.
   *
   * @throws {UpstreamError} If there is no response
   */
  async send({ method, request, signal, own, body }: Sending): Promise<Response> {
    const headers = {
      ...this.#settings.forwarded.size > 0 && this.#forwarding(request.headers),
      ...this.#fixed[method],
      ...own,
      [HOPS_HEADER]: nextHops(request),
    };
    const init = { method, headers, signal, redirect: "manual" as const, ...body && { body } };
    const context = { principal: this.#principal, request };
    // Other requests may be sent elsewhere meanwhile: a redirect is from where this one was sent to.
    let url = this.#url;
    try {
      for (let redirects = 0;; redirects++) {
        const response = await this.#authorizing.send(url, init, context);
        const next = this.#redirected(response, url, redirects);
        if (next === undefined) return response;
        discard(response);
        this.#url = url = next;
      }
    } catch (error) {
      if (error instanceof McpError) throw error;
      throw fetchError(error, this.#settings.origin);
    }
  }

  /** Where a response sends the request, or `undefined` when it is an answer. */
  #redirected(response: Response, url: string, redirects: number): string | undefined {
    if (response.status < 300 || response.status >= 400) return undefined;
    const to = URL.parse(response.headers.get("location") ?? "", url);
    const follow = REDIRECTS.has(response.status) && to?.origin === this.#settings.origin;
    if (follow && redirects < MOST_REDIRECTS) return to.href;
    discard(response);
    // Credentials go nowhere but to the origin that they are for.
    const { origin } = this.#settings;
    const detail = `a redirect that isn't followed, ${response.status} from ${origin}`;
    throw new UpstreamError("rejected", { status: response.status, detail });
  }

  /**
   * What a response with an error status means: an {@linkcode McpError} where only this request
   * failed, anything else where the session is over.
   */
  async refusal(response: Response, id?: RequestId, method?: string): Promise<Error> {
    const { status } = response;
    const { origin } = this.#settings;
    const error = errorIn(await readErrorJson(response));
    if (status === 401) return statusError(status, origin);
    const gone = status === 404 && this.#sessionId !== undefined && !this.modern;
    if (gone) return statusError(status, origin);
    if (error !== undefined && (error.id === id || method === "server/discover")) {
      return error.error;
    }
    // What an older server says to a request of the newer era has many forms.
    if (method === "server/discover" && status < 500 && status !== 403 && status !== 429) {
      return new McpError(ErrorCode.MethodNotFound, "The upstream has no server/discover");
    }
    if (status === 429) return new McpError(ErrorCode.Refused, "Call again later: 429");
    return statusError(status, origin);
  }
}

function errorIn(value: unknown): { readonly id: unknown; readonly error: McpError } | undefined {
  if (!isObject(value) || messageKind(value) !== "response") return undefined;
  // `messageKind` looked at everything that the type promises.
  const { id, error } = value as unknown as JsonRpcResponse;
  if (error === undefined) return undefined;
  return { id, error: new McpError(error.code, error.message, error.data) };
}
