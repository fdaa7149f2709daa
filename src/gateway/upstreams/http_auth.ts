/**
 * Authorizes requests to an upstream, without using the client's own credentials.
 *
 * The official client's `withOAuth` implements OAuth: it requests tokens, refreshes them, and signs in
 * again if the upstream answers 401. It is only loaded if an OAuth provider is given.
 *
 * @module
 */
import type { OAuthClientProvider } from "@modelcontextprotocol/client";
import type { MaybePromise, Principal } from "../../../mod.ts";
import type { Fetch } from "../../auth/mod.ts";
import { checkNames } from "../../kit.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import { discard } from "./http_body.ts";
import { isUserAuth, type UserAuth } from "./user_auth.ts";

/** The request that a token is for. */
export interface TokenContext {
  /** Identifies the sender of the client's request, with the rights that it has now. */
  readonly principal: Principal;
  /** The client's HTTP request that causes the request to the upstream. */
  readonly request: Request;
}

/** A rejected token to the official client's `AuthProvider`. */
export interface RefusedToken {
  /** The response with status 401, or with 403 and a challenge that asks for more scopes. */
  readonly response: Response;
  /** The upstream's URL. */
  readonly serverUrl: URL;
  /** Sends requests to the authorization server. */
  readonly fetchFn: (url: string | URL, init?: RequestInit) => Promise<Response>;
}

/** Provides tokens, like an `AuthProvider` of `@modelcontextprotocol/client`. */
export interface TokenProvider {
  /** Returns the current token, if there is one. Called for each request. */
  token(): Promise<string | undefined>;
  /**
   * Gets another token after one was rejected, or lacked a scope (2025-11-25, Authorization, Step-Up
   * Authorization Flow). The request is then sent once more.
   */
  onUnauthorized?(refused: RefusedToken): Promise<void>;
}

/**
 * Signs in by OAuth: an `OAuthClientProvider` of `@modelcontextprotocol/client`, which documents all
 * of its members. Those listed here distinguish it from other providers.
 */
export interface OAuthProvider {
  /** The description of the client to the authorization server. */
  readonly clientMetadata: object;
  /** Returns the current tokens, if there are any. */
  tokens(): unknown;
}

/** Authorizes requests: a bearer token, or a source of tokens. */
export type HttpAuth =
  | string
  | ((context: TokenContext) => MaybePromise<string | undefined>)
  | TokenProvider
  | OAuthProvider
  | UserAuth;

/** Adds credentials to the requests of one session. */
export interface Authorizer {
  /** The headers that are the same for every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sends a request with its credentials, and once more with others if these were rejected. */
  readonly send: (url: string, init: AuthorizedInit, context: TokenContext) => Promise<Response>;
}

/** A request whose headers are a plain object. */
export type AuthorizedInit = RequestInit & { readonly headers: Readonly<Record<string, string>> };

const TOKEN = /^[\x21-\x7e]{1,16384}$/;

/**
 * Checks the option `auth`.
 *
 * @throws {TypeError} If it is neither a token nor a source of tokens
 */
export function checkAuth(auth: HttpAuth | undefined): void {
  if (auth === undefined || typeof auth === "function" || isUserAuth(auth)) return;
  if (typeof auth === "string") {
    // The message omits the token.
    if (!TOKEN.test(auth)) throw new TypeError('Give a token without blanks as "auth"');
    return;
  }
  const isObject = typeof auth === "object" && auth !== null;
  const isProvider = isObject && ("token" in auth || "tokens" in auth);
  // An object of a class, or of the official client, may have members of its own.
  if (isObject && !("tokens" in auth) && Object.getPrototypeOf(auth) === Object.prototype) {
    checkNames<TokenProvider>("http()", auth, { token: true, onUnauthorized: true }, "auth.");
  }
  if (!isProvider) {
    throw new TypeError(`Give a token, a function or a provider as "auth": ${typeof auth}`);
  }
}

/** Creates what authorizes the requests of a session. */
export function createAuthorizer(
  auth: HttpAuth | undefined,
  url: string,
  fetch: Fetch,
  upstream = "",
): Authorizer {
  const plain = (to: string, init: AuthorizedInit) => fetch(to, init);
  if (auth === undefined) return { headers: {}, send: plain };
  if (typeof auth === "string") return { headers: bearer(auth), send: plain };
  if (typeof auth === "function") return { headers: {}, send: byFunction(auth, fetch) };
  if (isUserAuth(auth)) return { headers: {}, send: byUser(auth, { url, upstream }, fetch) };
  if (isOAuth(auth)) return { headers: {}, send: byOAuth(auth, url, fetch) };
  return { headers: {}, send: byProvider(auth, url, fetch) };
}

function byFunction(
  tokenFor: (context: TokenContext) => MaybePromise<string | undefined>,
  fetch: Fetch,
): Authorizer["send"] {
  return async (url, init, context) => {
    const token = await callProvider(() => tokenFor(context));
    const response = await fetch(url, withToken(init, token));
    if (response.status !== 401) return response;
    const other = await callProvider(() => tokenFor(context));
    if (other === token) return response;
    discard(response);
    return await fetch(url, withToken(init, other));
  };
}

function byProvider(provider: TokenProvider, serverUrl: string, fetch: Fetch): Authorizer["send"] {
  return async (url, init) => {
    const token = () => callProvider(() => provider.token());
    const response = await fetch(url, withToken(init, await token()));
    if (provider.onUnauthorized === undefined || !needsOtherToken(response)) return response;
    const fetchFn = (to: string | URL, own: RequestInit = {}) => fetch(String(to), own);
    const refused = { response, serverUrl: new URL(serverUrl), fetchFn };
    await callProvider(() => provider.onUnauthorized?.(refused));
    discard(response);
    return await fetch(url, withToken(init, await token()));
  };
}

function byUser(
  auth: UserAuth,
  upstream: { readonly url: string; readonly upstream: string },
  fetch: Fetch,
): Authorizer["send"] {
  return async (target, init, { principal, request }) => {
    const { method = "GET", signal } = init;
    const context = {
      ...upstream,
      target,
      method,
      principal,
      request,
      signal: signal ?? undefined,
    };
    const attempt = async () => {
      const sent = await auth.headers(context);
      return { sent, response: await fetch(target, withHeaders(init, sent)) };
    };
    const withNonce = async () => {
      const first = await attempt();
      if (auth.answered?.(first.response, first.sent, context) !== true) return first;
      discard(first.response);
      const second = await attempt();
      auth.answered(second.response, second.sent, context);
      return second;
    };
    const { sent, response } = await withNonce();
    if (!needsOtherToken(response)) return response;
    const isOther = await auth.refused(response, sent, context).finally(() => discard(response));
    if (!isOther) throw new UpstreamError("unauthorized", { status: response.status });
    return (await withNonce()).response;
  };
}

function withHeaders(init: AuthorizedInit, own: Readonly<Record<string, string>>): AuthorizedInit {
  return { ...init, headers: { ...init.headers, ...own } };
}

/** Tells whether another token may be accepted where one was not. */
function needsOtherToken({ status, headers }: Response): boolean {
  if (status === 401) return true;
  const challenge = status === 403 ? headers.get("www-authenticate") : null;
  return challenge !== null && INSUFFICIENT_SCOPE.test(challenge);
}

/** Matches a challenge for more scopes (RFC 6750, section 3.1). */
const INSUFFICIENT_SCOPE = /\berror="?insufficient_scope\b/i;

function byOAuth(
  provider: OAuthProvider,
  serverUrl: string,
  fetch: Fetch,
): Authorizer["send"] {
  return async (url, init) => {
    const { withOAuth } = await import("@modelcontextprotocol/client");
    // Signing in is bounded by the signal of the request that it is for.
    const bounded = (to: string | URL, own: RequestInit = {}) =>
      fetch(String(to), { signal: init.signal, ...own });
    try {
      // The official client validates its provider itself.
      const oauth = provider as OAuthClientProvider;
      return await withOAuth(oauth, new URL(serverUrl))(bounded)(url, init);
    } catch (error) {
      // Its message may contain the authorization server's answer.
      if (error instanceof Error && error.name === "UnauthorizedError") {
        throw new UpstreamError("unauthorized", { status: 401 });
      }
      throw error;
    }
  };
}

/** Calls a function of the application. Hides its errors, which may contain secrets. */
export async function callProvider<T>(get: () => MaybePromise<T>): Promise<T> {
  try {
    return await get();
  } catch {
    throw new UpstreamError("unauthorized", { detail: "the token provider failed" });
  }
}

function isOAuth(auth: TokenProvider | OAuthProvider): auth is OAuthProvider {
  return "tokens" in auth && "clientMetadata" in auth;
}

function withToken(init: AuthorizedInit, token: string | undefined): AuthorizedInit {
  if (token === undefined) return init;
  if (!TOKEN.test(token)) {
    throw new UpstreamError("unauthorized", { detail: "the token isn't valid" });
  }
  return { ...init, headers: { ...init.headers, ...bearer(token) } };
}

function bearer(token: string): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` };
}
