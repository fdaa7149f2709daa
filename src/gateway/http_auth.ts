/**
 * What a request to an upstream is authorized by: never the client's own login.
 *
 * OAuth is left to the official client: its `withOAuth` asks for tokens, refreshes them and signs in
 * again when the upstream answers 401. It is loaded only where an OAuth provider is given.
 *
 * @module
 */
import type { OAuthClientProvider } from "@modelcontextprotocol/client";
import type { MaybePromise } from "../internal/types.ts";
import type { Principal } from "../protocol/exchange.ts";
import { UpstreamError } from "./upstream_error.ts";

/** Sends an HTTP request, as `fetch` does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** For whom a token is wanted. */
export interface TokenContext {
  /** Who the session is for. */
  readonly principal: Principal;
  /** The client's HTTP request in whose course the upstream is asked. */
  readonly request: Request;
}

/** What the official client's `AuthProvider` is told when a token was refused. */
export interface RefusedToken {
  /** The response with status 401. */
  readonly response: Response;
  /** The upstream's URL. */
  readonly serverUrl: URL;
  /** Sends requests to whoever gives tokens. */
  readonly fetchFn: (url: string | URL, init?: RequestInit) => Promise<Response>;
}

/** What gives tokens: an `AuthProvider` of `@modelcontextprotocol/client` is one. */
export interface TokenProvider {
  /** The token now, if there is one. Asked for each request. */
  token(): Promise<string | undefined>;
  /** Gets another token, after one was refused. The request is then sent once more. */
  onUnauthorized?(refused: RefusedToken): Promise<void>;
}

/**
 * What signs in by OAuth: an `OAuthClientProvider` of `@modelcontextprotocol/client`, which says what
 * else it has. These are the parts that it is told by.
 */
export interface OAuthProvider {
  /** What the authorization server is told of the client. */
  readonly clientMetadata: object;
  /** The tokens now, if there are any. */
  tokens(): unknown;
}

/** A bearer token, or what gives one. */
export type HttpAuth =
  | string
  | ((context: TokenContext) => MaybePromise<string | undefined>)
  | TokenProvider
  | OAuthProvider;

/** Adds credentials to the requests of one session. */
export interface Authorizing {
  /** Headers that are the same for every request. */
  readonly fixed: Readonly<Record<string, string>>;
  /** Sends a request with its credentials, once more with others if these were refused. */
  readonly send: (url: string, init: AuthorizedInit, context: TokenContext) => Promise<Response>;
}

/** A request, with its headers as they are looked at here. */
export type AuthorizedInit = RequestInit & { readonly headers: Readonly<Record<string, string>> };

const TOKEN = /^[\x21-\x7e]{1,16384}$/;

/**
 * Checks what was given.
 *
 * @throws {TypeError} If it is neither a token nor gives one
 */
export function checkAuth(auth: HttpAuth | undefined): void {
  if (auth === undefined || typeof auth === "function") return;
  if (typeof auth === "string") {
    // The token itself is in no message.
    if (!TOKEN.test(auth)) throw new TypeError('Give a token without blanks as "auth"');
    return;
  }
  const fits = typeof auth === "object" && auth !== null && ("token" in auth || "tokens" in auth);
  if (!fits) {
    throw new TypeError(`Give a token, a function or a provider as "auth": ${typeof auth}`);
  }
}

/** What authorizes the requests of a session. */
export function authorizing(auth: HttpAuth | undefined, url: string, fetch: Fetch): Authorizing {
  const plain = (to: string, init: AuthorizedInit) => fetch(to, init);
  if (auth === undefined) return { fixed: {}, send: plain };
  if (typeof auth === "string") return { fixed: bearer(auth), send: plain };
  if (typeof auth === "function") return { fixed: {}, send: byFunction(auth, fetch) };
  if (isOAuth(auth)) return { fixed: {}, send: byOAuth(auth, url, fetch) };
  return { fixed: {}, send: byProvider(auth, url, fetch) };
}

function byFunction(
  tokenFor: (context: TokenContext) => MaybePromise<string | undefined>,
  fetch: Fetch,
): Authorizing["send"] {
  return async (url, init, context) => {
    const token = await had(tokenFor, context);
    const response = await fetch(url, withToken(init, token));
    if (response.status !== 401) return response;
    const other = await had(tokenFor, context);
    if (other === token) return response;
    discard(response);
    return await fetch(url, withToken(init, other));
  };
}

function byProvider(provider: TokenProvider, serverUrl: string, fetch: Fetch): Authorizing["send"] {
  return async (url, init) => {
    const token = () => provider.token();
    const response = await fetch(url, withToken(init, await had(token, undefined)));
    if (response.status !== 401 || provider.onUnauthorized === undefined) return response;
    const fetchFn = (to: string | URL, own: RequestInit = {}) => fetch(String(to), own);
    const refused = { response, serverUrl: new URL(serverUrl), fetchFn };
    await had(() => provider.onUnauthorized?.(refused), undefined);
    discard(response);
    return await fetch(url, withToken(init, await had(token, undefined)));
  };
}

function byOAuth(
  provider: OAuthProvider,
  serverUrl: string,
  fetch: Fetch,
): Authorizing["send"] {
  return async (url, init) => {
    const { withOAuth } = await import("@modelcontextprotocol/client");
    // Signing in may take no longer than the request that it is for.
    const bounded = (to: string | URL, own: RequestInit = {}) =>
      fetch(String(to), { signal: init.signal, ...own });
    try {
      // The client says best what it wants of a provider.
      const oauth = provider as OAuthClientProvider;
      return await withOAuth(oauth, new URL(serverUrl))(bounded)(url, init);
    } catch (error) {
      // What it says may name whatever the authorization server said.
      if (error instanceof Error && error.name === "UnauthorizedError") {
        throw new UpstreamError("unauthorized", { status: 401 });
      }
      throw error;
    }
  };
}

/** What a function of the application comes to. Its own errors may hold anything, so none gets out. */
async function had<In, Out>(get: (given: In) => MaybePromise<Out>, given: In): Promise<Out> {
  try {
    return await get(given);
  } catch {
    throw new UpstreamError("unauthorized", { detail: "no token could be had" });
  }
}

function isOAuth(auth: TokenProvider | OAuthProvider): auth is OAuthProvider {
  return "tokens" in auth && "clientMetadata" in auth;
}

function withToken(init: AuthorizedInit, token: string | undefined): AuthorizedInit {
  if (token === undefined) return init;
  if (!TOKEN.test(token)) throw new UpstreamError("unauthorized", { detail: "no valid token" });
  return { ...init, headers: { ...init.headers, ...bearer(token) } };
}

function bearer(token: string): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` };
}

function discard(response: Response): void {
  response.body?.cancel().catch(() => {});
}
