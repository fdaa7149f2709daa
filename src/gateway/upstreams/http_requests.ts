/**
 * Sends the single HTTP requests of a session: sets their headers and credentials, follows their
 * redirects, and interprets their statuses.
 *
 * @module
 */
import {
  ErrorCode,
  type JsonRpcResponse,
  McpError,
  type ProtocolVersion,
  type RequestId,
} from "../../../mod.ts";
import type { Fetch } from "../../auth/mod.ts";
import { HeaderName, isModern, isObject, messageKind } from "../../kit.ts";
import { HOPS_HEADER, nextHops } from "../shared/hops.ts";
import { fetchError, statusError, UpstreamError } from "../shared/upstream_error.ts";
import type { Caller } from "../types.ts";
import { forwardedHeaders } from "./forward_headers.ts";
import { type Authorizer, createAuthorizer, type HttpAuth } from "./http_auth.ts";
import { discard, readErrorJson } from "./http_body.ts";
import type { HeaderFields } from "./mirrored_headers.ts";

/** Where requests go, and how. */
export interface HttpTarget {
  readonly url: string;
  readonly origin: string;
  readonly headers: HeaderFields;
  readonly auth: HttpAuth | undefined;
  /** Maps the client's headers to forward to the upstream's names for them. */
  readonly forwarded: ReadonlyMap<string, string>;
  readonly fetch: Fetch;
}

/** The headers of every POST. */
const POST = {
  "accept": "application/json, text/event-stream",
  "content-type": "application/json",
};
const GET = { "accept": "text/event-stream" };

/** The redirects that keep the method and body (RFC 9110 §15.4). */
const REDIRECTS: ReadonlySet<number> = new Set([307, 308]);
const MAX_REDIRECTS = 3;
/** The most characters of a session's id. */
const MAX_SESSION_ID = 4096;

/** One HTTP request. */
export interface HttpRequestInit {
  readonly method: "POST" | "GET" | "DELETE";
  /** The client's request that causes this one, and its sender. */
  readonly caller: Caller;
  readonly signal: AbortSignal;
  /** Adds headers to this request only. */
  readonly headers?: HeaderFields;
  readonly body?: string;
}

/** Sends the HTTP requests of one session. */
export class HttpRequests {
  readonly #target: HttpTarget;
  readonly #authorizer: Authorizer;
  /** The headers that all requests of a method share. */
  #shared: Readonly<Record<HttpRequestInit["method"], HeaderFields>>;
  #url: string;
  #sessionId: string | undefined;
  #version: ProtocolVersion | undefined;

  constructor(target: HttpTarget, upstream = "") {
    this.#target = target;
    this.#url = target.url;
    this.#authorizer = createAuthorizer(target.auth, target.url, target.fetch, upstream);
    this.#shared = this.#sharedHeaders();
  }

  /** Whether the upstream has a session that must be ended. */
  get hasSession(): boolean {
    return this.#sessionId !== undefined && !this.isModern;
  }

  /** The upstream's origin, which may be shown in errors. */
  get origin(): string {
    return this.#target.origin;
  }

  /** Whether the negotiated version is of the 2026 era. */
  get isModern(): boolean {
    return this.#version !== undefined && isModern(this.#version);
  }

  /** Keeps the session id of the response to `initialize`. */
  setSession(response: Response): void {
    const id = response.headers.get(HeaderName.SessionId);
    this.#sessionId = id === null || id === "" || id.length > MAX_SESSION_ID ? undefined : id;
    this.#shared = this.#sharedHeaders();
  }

  /** Keeps the negotiated version. */
  setVersion(version: ProtocolVersion): void {
    this.#version = version;
    this.#shared = this.#sharedHeaders();
  }

  #sharedHeaders(): Readonly<Record<HttpRequestInit["method"], HeaderFields>> {
    const all: Record<string, string> = { ...this.#target.headers, ...this.#authorizer.headers };
    if (this.#sessionId !== undefined) all[HeaderName.SessionId] = this.#sessionId;
    if (this.#version !== undefined) all[HeaderName.ProtocolVersion] = this.#version;
    return { POST: { ...all, ...POST }, GET: { ...all, ...GET }, DELETE: all };
  }

  /**
   * Sends a request, and follows redirects within the upstream's own origin.
   *
   * @throws {UpstreamError} If there is no usable response
   */
  async send({ method, caller, signal, headers: own, body }: HttpRequestInit): Promise<Response> {
    const { forwarded, origin } = this.#target;
    const { principal, request } = caller;
    const headers = {
      ...forwarded.size > 0 && forwardedHeaders(request.headers, forwarded),
      ...this.#shared[method],
      ...own,
      [HOPS_HEADER]: nextHops(request),
    };
    const init = { method, headers, signal, redirect: "manual" as const, ...body && { body } };
    const context = { principal, request };
    // A redirect is relative to the URL of this request, which other requests don't change.
    let url = this.#url;
    try {
      for (let redirects = 0;; redirects++) {
        const response = await this.#authorizer.send(url, init, context);
        const next = this.#redirectOf(response, url, redirects);
        if (next === undefined) return response;
        discard(response);
        this.#url = url = next;
      }
    } catch (error) {
      if (error instanceof McpError) throw error;
      throw fetchError(error, origin);
    }
  }

  /**
   * Returns the URL that a response redirects to; `undefined` if it is no redirect.
   *
   * @throws {UpstreamError} If the redirect isn't followed, or the response isn't an answer
   */
  #redirectOf(response: Response, url: string, redirects: number): string | undefined {
    const { status } = response;
    if (status >= 200 && (status < 300 || status >= 400)) return undefined;
    const { origin } = this.#target;
    const to = URL.parse(response.headers.get("location") ?? "", url);
    // Credentials must not leave their origin.
    const follow = REDIRECTS.has(status) && to?.origin === origin;
    if (follow && redirects < MAX_REDIRECTS) return to.href;
    discard(response);
    // Some runtimes return an informational response, such as 101, as if it were the answer.
    if (status < 200) {
      throw new UpstreamError("protocol", { status, detail: `${status} from ${origin}` });
    }
    const detail = `a redirect that isn't followed, ${status} from ${origin}`;
    throw new UpstreamError("rejected", { status, detail });
  }

  /**
   * Converts a response with an error status: to an {@linkcode McpError} if only this request failed,
   * to any other error if the session is over.
   */
  async errorOf(response: Response, id?: RequestId, method?: string): Promise<Error> {
    const { status } = response;
    const { origin } = this.#target;
    const error = jsonRpcError(await readErrorJson(response));
    if (status === 401 || (status === 404 && this.hasSession)) return statusError(status, origin);
    if (error !== undefined && (error.id === id || method === "server/discover")) {
      return error.error;
    }
    // Servers of the 2025 era answer to an unknown method of 2026 in many ways.
    if (method === "server/discover" && status <= 501 && status !== 403 && status !== 429) {
      return new McpError(ErrorCode.MethodNotFound, "The upstream has no server/discover");
    }
    if (status === 429) return new McpError(ErrorCode.Refused, "Call again later: 429");
    return statusError(status, origin);
  }
}

function jsonRpcError(
  value: unknown,
): { readonly id: unknown; readonly error: McpError } | undefined {
  if (!isObject(value) || messageKind(value) !== "response") return undefined;
  // `messageKind` has checked everything that the type promises.
  const { id, error } = value as unknown as JsonRpcResponse;
  if (error === undefined) return undefined;
  return { id, error: new McpError(error.code, error.message, error.data) };
}
