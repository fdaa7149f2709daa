/**
 * Speaks to authorization servers: finds them, registers the gateway, gets tokens, renews and revokes them.
 * Every address that an upstream or a server names is checked before it is used.
 *
 * @module
 */
import type { AuthorizationServer, Client, ClientAuth, TokenEndpointResponse } from "oauth4webapi";
import type { Clock } from "../../mod.ts";
import { fromBase64Url, installed, isLoopback, isObject } from "../kit.ts";
import { isPublicAddress, literalAddress } from "../signin/fetch/addresses.ts";
import { boundedText, within } from "../signin/fetch/bounded.ts";
import { FetchError } from "../signin/fetch/errors.ts";
import { type PublicFetch, publicFetch } from "../signin/fetch/public_fetch.ts";
import { scopesIn } from "./challenge.ts";
import { type ProofKey, Proofs, type Prover } from "./dpop.ts";
import { AccountError } from "./errors.ts";
import type { AccessSettings, AccountsSettings } from "./settings.ts";

const oauth = await installed("oauth4webapi", import("oauth4webapi"));

const MAX_BYTES = 256 * 1024;
const TIMEOUT_MS = 10_000;

/** What is known about an upstream's authorization server. */
export interface FoundServer {
  /** The resource that tokens are for (RFC 8707). */
  readonly resource: string;
  /** The scopes that the upstream's metadata names. */
  readonly scopes: readonly string[];
  /** The metadata of the authorization server. */
  readonly server: AuthorizationServer;
  /** What the upstream's metadata says of tokens that are bound to a key (RFC 9728 §2). */
  readonly bound: { readonly isRequired: boolean; readonly algorithms?: unknown };
}

/** The gateway as a client of an authorization server. */
export interface StoredClient {
  readonly id: string;
  readonly secret?: string | undefined;
  readonly method: "none" | "client_secret_basic" | "client_secret_post";
}

/** Tokens as they are kept. */
export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken?: string | undefined;
  /** When the access token expires, in milliseconds since the epoch, if the server said it. */
  readonly expiresAt?: number | undefined;
  readonly scopes?: readonly string[] | undefined;
  /** Whether the access token is bound to the key that was proved for it. */
  readonly isBound?: boolean | undefined;
}

/** What a server is used for: logins of users, or tokens without a person. */
export type ServerUse = "login" | "machine";

/** A client with a secret, with a private key (RFC 7523 §2.2), or with neither: a public one. */
export interface MachineClient {
  readonly id: string;
  readonly secret?: string | undefined;
  readonly key?:
    | { readonly key: CryptoKey; readonly alg: string; readonly kid?: string }
    | undefined;
}

/** A request for a token by a grant without a name of its own here. */
export interface GrantRequest {
  /** The value of `grant_type`. */
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** The `issued_token_type` that the answer must have (RFC 8693 §2.2.1), if any. */
  readonly issuedType?: string;
  /** The `token_type` that the answer must have, in lower case. @default "bearer" */
  readonly tokenType?: "bearer" | "n_a";
  /** The key that the token is to be bound to. */
  readonly key?: ProofKey | undefined;
}

/** What of a server's metadata is needed for tokens later. */
export type ServerFacts = Pick<
  AuthorizationServer,
  "issuer" | "token_endpoint" | "revocation_endpoint"
>;

/** Sends what is asked of authorization servers. */
export class Providers {
  readonly #settings: AccessSettings;
  readonly #pages: AccountsSettings | undefined;
  /** Makes the proofs of keys. */
  readonly proofs: Proofs;
  readonly #public: PublicFetch;
  readonly #loopback: PublicFetch;

  /**
   * @param settings How servers are asked
   * @param pages The pages of the gateway, if it can register itself
   */
  constructor(settings: AccessSettings, pages?: AccountsSettings) {
    this.#settings = settings;
    this.#pages = pages;
    this.proofs = new Proofs(settings.clock);
    const { clock } = settings;
    const own = { maxBytes: MAX_BYTES, timeoutMs: TIMEOUT_MS, clock };
    this.#public = publicFetch({ ...own, allowInsecure: false });
    this.#loopback = publicFetch({ ...own, allowInsecure: true });
  }

  /**
   * Finds the authorization server of an upstream (RFC 9728, RFC 8414, OpenID Connect Discovery 1.0).
   *
   * @throws {AccountError} If there is none that can be used
   */
  async find(
    upstream: string,
    metadataUrl: string | undefined,
    issuer: string | undefined,
    signal?: AbortSignal,
    use: ServerUse = "login",
  ): Promise<FoundServer> {
    const found = await this.#resource(new URL(upstream), metadataUrl, signal);
    const named = found?.servers ?? [new URL("/", upstream).href];
    const wanted = issuer ?? named[0] ?? "";
    if (issuer !== undefined && found !== undefined && !named.some((one) => isSame(one, issuer))) {
      throw new AccountError(
        "issuer-not-named",
        "The upstream doesn't name the issuer of the file",
      );
    }
    const server = await this.server(wanted, use, signal);
    return {
      resource: found?.resource ?? resourceOf(upstream),
      scopes: found?.scopes ?? [],
      server,
      bound: found?.bound ?? { isRequired: false },
    };
  }

  /** Reads the protected resource metadata; `undefined` if the upstream has none. */
  async #resource(upstream: URL, metadataUrl: string | undefined, signal?: AbortSignal) {
    const path = upstream.pathname === "/" ? "" : upstream.pathname;
    const wellKnown = "/.well-known/oauth-protected-resource";
    const candidates = metadataUrl !== undefined
      ? [metadataUrl]
      : [new URL(wellKnown + path, upstream).href, new URL(wellKnown, upstream).href];
    for (const candidate of new Set(candidates)) {
      const json = await this.#json(candidate, "the upstream's metadata", signal, upstream);
      if (json === undefined) continue;
      const { resource, authorization_servers: servers, scopes_supported: scopes } = json;
      if (typeof resource !== "string" || !covers(resource, upstream)) {
        throw new AccountError(
          "foreign-resource",
          "The upstream's metadata is of another resource",
        );
      }
      const named = Array.isArray(servers) ? servers.filter((one) => typeof one === "string") : [];
      if (named.length === 0) {
        throw new AccountError("no-server", "The upstream names no authorization server");
      }
      return {
        resource,
        servers: named,
        scopes: scopesIn(Array.isArray(scopes) ? scopes.join(" ") : ""),
        bound: {
          isRequired: json.dpop_bound_access_tokens_required === true,
          algorithms: json.dpop_signing_alg_values_supported,
        },
      };
    }
    if (metadataUrl !== undefined) {
      throw new AccountError("no-metadata", "The upstream's metadata can't be read");
    }
    return undefined;
  }

  /**
   * Reads the metadata of an authorization server.
   *
   * @throws {AccountError} If it can't be read, or the server can't be used safely
   */
  async server(
    issuer: string,
    use: ServerUse,
    signal?: AbortSignal,
  ): Promise<AuthorizationServer> {
    const url = this.#checked(issuer, "the authorization server");
    const path = url.pathname.replace(/\/$/, "");
    const candidates = [
      new URL(`/.well-known/oauth-authorization-server${path}`, url),
      new URL(`/.well-known/openid-configuration${path}`, url),
      new URL(`${path}/.well-known/openid-configuration`, url),
    ];
    for (const candidate of candidates) {
      const json = await this.#json(candidate.href, "the server's metadata", signal);
      if (json === undefined) continue;
      if (typeof json.issuer !== "string" || !isSame(json.issuer, issuer)) {
        throw new AccountError("foreign-issuer", "The server's metadata is of another issuer");
      }
      return this.#usable({ ...json, issuer: json.issuer }, use);
    }
    throw new AccountError("no-server-metadata", `The metadata of ${url.host} can't be read`);
  }

  #usable(server: AuthorizationServer, use: ServerUse): AuthorizationServer {
    for (
      const name of [
        ...["authorization_endpoint", "token_endpoint"] as const,
        ...["registration_endpoint", "revocation_endpoint"] as const,
      ]
    ) {
      const { [name]: given } = server;
      if (given !== undefined) this.#checked(given, `the server's ${name}`);
      else if (name === "token_endpoint" || name === "authorization_endpoint" && use === "login") {
        throw new AccountError("no-endpoint", `The server's metadata has no ${name}`);
      }
    }
    if (use === "machine") return server;
    const pkce = server.code_challenge_methods_supported;
    if (!Array.isArray(pkce) || !pkce.includes("S256")) {
      throw new AccountError(
        "no-pkce",
        "The server's metadata doesn't say that it takes PKCE with S256",
      );
    }
    return server;
  }

  /** Tells how the gateway is a client of a server, without doing anything; `undefined` if there is no way. */
  wayOf(
    server: AuthorizationServer,
    { clientId }: { readonly clientId?: string | undefined },
  ): "configured" | "document" | "registration" | undefined {
    if (clientId !== undefined) return "configured";
    const isRead = server.client_id_metadata_document_supported === true;
    if (this.#pages === undefined) return undefined;
    if (isRead && this.#pages.url.startsWith("https:")) return "document";
    return server.registration_endpoint === undefined ? undefined : "registration";
  }

  /**
   * Returns the gateway as a client: by configuration, by its own document, or by registration.
   *
   * @throws {AccountError} If there is no way
   */
  async client(
    server: AuthorizationServer,
    given: { readonly clientId?: string | undefined; readonly clientSecret?: string | undefined },
    signal?: AbortSignal,
  ): Promise<StoredClient> {
    if (given.clientId !== undefined) {
      const { clientId: id, clientSecret: secret } = given;
      return { id, secret, method: secret === undefined ? "none" : secretMethod(server) };
    }
    const pages = this.#pages;
    if (pages === undefined) throw new AccountError("no-client", "The gateway has no client id");
    if (this.wayOf(server, given) === "document") {
      return { id: `${pages.url}/accounts/client.json`, method: "none" };
    }
    return await this.#registered(server, pages, signal);
  }

  async #registered(
    server: AuthorizationServer,
    pages: AccountsSettings,
    signal?: AbortSignal,
  ): Promise<StoredClient> {
    const { records, report, clock, lifetimes } = pages;
    const key = `client:${server.issuer}`;
    const known = await records.get(key);
    if (known !== undefined) return JSON.parse(known.value);
    if (server.registration_endpoint === undefined) {
      throw new AccountError(
        "no-registration",
        `${
          new URL(server.issuer).host
        } takes no registration: the operator has to enter a client id`,
      );
    }
    const response = await this.#send(server.registration_endpoint, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(clientMetadata(pages)),
    }, signal);
    const json = await jsonOf(response);
    const { client_id: id, client_secret: secret, token_endpoint_auth_method: method } = json ?? {};
    if (response.status >= 300 || typeof id !== "string") {
      throw new AccountError("registration-refused", "The server refused to register the gateway");
    }
    const { client_secret_expires_at: until } = json ?? {};
    const own: StoredClient = typeof secret === "string"
      ? { id, secret, method: method === "client_secret_post" ? method : "client_secret_basic" }
      : { id, method: "none" };
    const ttlMs = typeof until === "number" && until > 0
      ? Math.max(1_000, until * 1000 - clock.now())
      : lifetimes.accountMs;
    const value = JSON.stringify(own);
    if (await records.put(key, value, { ttlMs, expected: null }) === undefined) {
      // Another node was faster: the server knows both, all nodes use one
      const other = await records.get(key);
      if (other !== undefined) return JSON.parse(other.value);
    }
    report({ step: "register", outcome: "passed", reason: "registered", issuer: server.issuer });
    return own;
  }

  /** Forgets a registration that the server no longer knows. */
  async forgetClient(issuer: string): Promise<void> {
    await this.#pages?.records.delete(`client:${issuer}`);
  }

  /** Redeems a code, after the answer of the server was checked (RFC 9207 included). */
  async redeem(
    server: AuthorizationServer,
    own: StoredClient,
    login: {
      readonly state: string;
      readonly verifier: string;
      readonly redirectUri: string;
      readonly resource: string;
      readonly key?: ProofKey | undefined;
    },
    callback: URLSearchParams,
    signal?: AbortSignal,
  ): Promise<Tokens> {
    return await this.#tokens({ signal, key: login.key }, async (prover) => {
      const client = this.#client(own);
      const checked = oauth.validateAuthResponse(server, client, callback, login.state);
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        authOf(own),
        checked,
        login.redirectUri,
        login.verifier,
        this.#options({ signal, prover }, { resource: login.resource }),
      );
      return await oauth.processAuthorizationCodeResponse(server, client, response);
    });
  }

  /** Gets a token by the client's own rights (RFC 6749 §4.4). */
  async clientToken(
    server: AuthorizationServer,
    own: MachineClient,
    parameters: Readonly<Record<string, string>>,
    key?: ProofKey,
  ): Promise<Tokens> {
    return await this.grantToken(server, own, { type: "client_credentials", parameters, key });
  }

  /**
   * Gets a token by a grant that needs no user: an exchange (RFC 8693), or an assertion (RFC 7523).
   *
   * @throws {AccountError} If the server refuses, or answers with a token of another kind
   */
  async grantToken(
    server: AuthorizationServer,
    own: MachineClient,
    { type, parameters, issuedType, tokenType = "bearer", key }: GrantRequest,
    signal?: AbortSignal,
  ): Promise<Tokens> {
    return await this.#tokens({ signal, key, tokenType }, async (prover) => {
      const client = this.#client({ id: own.id, method: "none" });
      const response = await oauth.genericTokenEndpointRequest(
        server,
        client,
        own.key === undefined
          ? authOf({ id: own.id, secret: own.secret, method: secretMethod(server) })
          : keyAuth(own.key),
        type,
        { ...parameters },
        this.#options({ signal, prover }, {}),
      );
      const tokens = await oauth.processGenericTokenEndpointResponse(server, client, response, {
        recognizedTokenTypes: { n_a: () => {} },
      });
      if (issuedType === undefined || tokens.issued_token_type === issuedType) return tokens;
      throw new AccountError(
        "wrong-token-type",
        "The server answered with a token of another type",
      );
    });
  }

  /** Renews tokens. Returns `"ended"` if the server no longer takes the refresh token. */
  async renew(
    server: ServerFacts,
    own: StoredClient,
    refreshToken: string,
    resource: string,
    key?: ProofKey,
  ): Promise<Tokens | "ended"> {
    let isEnded = false;
    try {
      return await this.#tokens({ key }, async (prover) => {
        const client = this.#client(own);
        const response = await oauth.refreshTokenGrantRequest(
          server,
          client,
          authOf(own),
          refreshToken,
          this.#options({ prover }, { resource }),
        );
        isEnded = await endsGrant(response);
        return await oauth.processRefreshTokenResponse(server, client, response);
      });
    } catch (error) {
      if (isEnded) return "ended";
      throw error;
    }
  }

  /** Revokes a token, as far as the server can (RFC 7009). Never rejects. */
  async revoke(server: ServerFacts, own: StoredClient, token: string): Promise<boolean> {
    if (server.revocation_endpoint === undefined) return false;
    try {
      const response = await oauth.revocationRequest(
        server,
        this.#client(own),
        authOf(own),
        token,
        this.#options({}, {}),
      );
      return response.status === 200;
    } catch {
      return false;
    }
  }

  async #tokens(
    { signal, key, tokenType = "bearer" }: {
      readonly signal?: AbortSignal | undefined;
      readonly key?: ProofKey | undefined;
      readonly tokenType?: "bearer" | "n_a";
    },
    get: (prover: Prover | undefined) => Promise<TokenEndpointResponse>,
  ): Promise<Tokens> {
    let response: TokenEndpointResponse;
    const prover = key && this.proofs.proverOf(key);
    try {
      response = await get(prover).catch((error: unknown) => {
        // Made anew as a whole: an assertion of the client is good once
        if (prover !== undefined && wantsNonce(error)) return get(prover);
        throw error;
      });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw asAccountError(error);
    }
    const isBound = key !== undefined && response.token_type === "dpop";
    const { access_token: accessToken, refresh_token: refreshToken, expires_in: seconds } =
      response;
    if (
      !/^[\x21-\x7e]{1,16384}$/.test(accessToken) || (!isBound && response.token_type !== tokenType)
    ) {
      throw new AccountError(
        "invalid-token",
        `The server answered without ${tokenType === "bearer" ? "a bearer token" : "an assertion"}`,
      );
    }
    return {
      accessToken,
      refreshToken,
      expiresAt: seconds === undefined ? undefined : this.#settings.clock.now() + seconds * 1000,
      scopes: response.scope === undefined ? undefined : scopesIn(response.scope),
      ...isBound && { isBound },
    };
  }

  #client(own: StoredClient): Client {
    const { clock } = this.#settings;
    return {
      client_id: own.id,
      [oauth.clockSkew]: Math.round((clock.now() - Date.now()) / 1000),
      [oauth.clockTolerance]: 60,
    };
  }

  #options(
    { signal, prover }: {
      readonly signal?: AbortSignal | undefined;
      readonly prover?: Prover | undefined;
    },
    parameters: Readonly<Record<string, string>>,
  ) {
    return {
      [oauth.allowInsecureRequests]: this.#settings.allowInsecure,
      [oauth.customFetch]: async (url: string, { method = "GET", ...init }: RequestInit) => {
        const proof = await prover?.header({ url, method });
        const headers = { ...Object.fromEntries(new Headers(init.headers)), ...proof };
        const body = init.body === undefined || init.body === null ? undefined : String(init.body);
        const response = await this.#send(url, { method, headers, body }, signal);
        prover?.learn(url, response);
        return response;
      },
      additionalParameters: parameters,
    };
  }

  /** Reads a JSON object; `undefined` if there is none at the address. */
  async #json(
    url: string,
    what: string,
    signal: AbortSignal | undefined,
    owner?: URL,
  ): Promise<Record<string, unknown> | undefined> {
    this.#checked(url, what, owner);
    const response = await this.#send(url, {}, signal, owner);
    if (response.status !== 200) return undefined;
    return await jsonOf(response);
  }

  /**
   * Checks an address that a stranger has named.
   *
   * @throws {AccountError} If it may not be asked, or opened in a browser
   */
  #checked(given: string, what: string, owner?: URL): URL {
    const url = URL.parse(given);
    const { allowInsecure, innerHosts } = this.#settings;
    const isLocal = url !== null && isLoopback(url.hostname.replace(/^\[|\]$/g, ""));
    const isUsable = url !== null && url.username === "" && url.password === "" &&
      (url.protocol === "https:" || url.protocol === "http:" && isLocal && allowInsecure) &&
      (isOutside(url) || isLocal && allowInsecure || innerHosts.has(url.host) ||
        url.origin === owner?.origin);
    if (isUsable) return url;
    throw new AccountError("unsafe-address", `An address that may not be used is named as ${what}`);
  }

  async #send(
    url: string,
    init: { method?: string; headers?: Record<string, string>; body?: string | undefined },
    signal: AbortSignal | undefined,
    owner?: URL,
  ): Promise<Response> {
    const to = this.#checked(url, "an endpoint", owner);
    const { fetch, innerHosts, allowInsecure, clock } = this.#settings;
    const { body, ...others } = init;
    const own = { ...others, ...body !== undefined && { body } };
    try {
      // What the operator has named, as an upstream or as a host, may be in an inner network
      const isNamed = innerHosts.has(to.host) || to.origin === owner?.origin;
      if (fetch !== undefined || isNamed) {
        return await plainFetch(fetch ?? ((url, init) => globalThis.fetch(url, init)), to, own, {
          clock,
          signal,
        });
      }
      const send = allowInsecure ? this.#loopback : this.#public;
      return await send(to, { ...own, known: true, ...signal !== undefined && { signal } });
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const isRefused = error instanceof FetchError && error.reason === "refused";
      const reason = isRefused ? "unsafe-address" : "unreachable";
      throw new AccountError(reason, `${to.host} can't be reached`, { cause: error });
    }
  }
}

async function plainFetch(
  fetch: (url: URL, init: RequestInit) => Promise<Response>,
  url: URL,
  init: RequestInit,
  { clock, signal: caller }: { readonly clock: Clock; readonly signal: AbortSignal | undefined },
): Promise<Response> {
  const limits = { timeoutMs: TIMEOUT_MS, clock, ...caller !== undefined && { signal: caller } };
  return await within(limits, async (signal) => {
    const response = await fetch(url, { ...init, redirect: "manual", signal });
    const { status, headers, body } = response;
    const text = await boundedText(body, MAX_BYTES);
    const isEmpty = status === 204 || status === 205 || status === 304;
    return new Response(isEmpty ? null : text, { status, headers });
  });
}

async function jsonOf(response: Response): Promise<Record<string, unknown> | undefined> {
  try {
    const json: unknown = JSON.parse(await response.text());
    return isObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/** Tells whether an answer says that a refresh token is of no use any more (RFC 6749 §5.2). */
async function endsGrant(response: Response): Promise<boolean> {
  if (response.status !== 400 && response.status !== 401) return false;
  const json = await jsonOf(response.clone());
  return json?.error === "invalid_grant" || json?.error === "invalid_client" ||
    json?.error === "unauthorized_client";
}

/** Returns the description of the gateway to authorization servers: its document, and its registration. */
export function clientMetadata({ url, name }: AccountsSettings): Record<string, unknown> {
  return {
    client_name: name,
    client_uri: url,
    redirect_uris: [`${url}/accounts/callback`],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
    // SEP-837: the registered addresses must fit the type, which is "web" unless it is named
    application_type: url.startsWith("https:") ? "web" : "native",
  };
}

function secretMethod(server: AuthorizationServer): StoredClient["method"] {
  const offered = server.token_endpoint_auth_methods_supported;
  const isPost = offered !== undefined && !offered.includes("client_secret_basic") &&
    offered.includes("client_secret_post");
  return isPost ? "client_secret_post" : "client_secret_basic";
}

function authOf({ secret, method }: StoredClient): ClientAuth {
  if (secret === undefined || method === "none") return oauth.None();
  return method === "client_secret_post" ? oauth.ClientSecretPost(secret) : basicAuth(secret);
}

/** Returns `private_key_jwt` under the name of the algorithm that was configured: EdDSA has two (RFC 9864). */
function keyAuth({ alg, ...key }: NonNullable<MachineClient["key"]>): ClientAuth {
  return oauth.PrivateKeyJwt(key, {
    [oauth.modifyAssertion]: (header) => {
      header.alg = alg;
    },
  });
}

/** Returns `client_secret_basic` as forms are encoded (RFC 6749 §2.3.1): many servers don't decode more than that. */
function basicAuth(secret: string): ClientAuth {
  return (_server, { client_id: id }, _body, headers) => {
    const [name, word] = [id, secret].map((text) =>
      `${new URLSearchParams([["", text]])}`.slice(1)
    );
    headers.set("authorization", `Basic ${btoa(`${name}:${word}`)}`);
  };
}

/** Returns the resource of an upstream without metadata: its URL without query and fragment. */
function resourceOf(upstream: string): string {
  const url = new URL(upstream);
  url.search = "";
  url.hash = "";
  return url.pathname === "/" ? url.origin : url.href;
}

/** Tells whether a resource that metadata names is the upstream, or what it lies in. */
function covers(resource: string, upstream: URL): boolean {
  const url = URL.parse(resource);
  if (url === null || url.origin !== upstream.origin) return false;
  const path = url.pathname.replace(/\/$/, "");
  return upstream.pathname === path || upstream.pathname === `${path}/` ||
    upstream.pathname.startsWith(`${path}/`);
}

function isSame(one: string, other: string): boolean {
  return one === other || one.replace(/\/$/, "") === other.replace(/\/$/, "");
}

/** Tells whether a URL names no inner address. A name's addresses are checked when it is asked. */
function isOutside({ hostname }: URL): boolean {
  const literal = literalAddress(hostname);
  return literal === undefined || isPublicAddress(literal);
}

/** Tells whether a server asks for the same request with the nonce of its answer (RFC 9449 §8). */
function wantsNonce(error: unknown): boolean {
  return error instanceof oauth.ResponseBodyError && error.error === "use_dpop_nonce";
}

/** Hides what a library says, which may quote an answer. */
function asAccountError(error: unknown): AccountError {
  if (error instanceof AccountError) return error;
  if (error instanceof oauth.AuthorizationResponseError) {
    return new AccountError("denied", "The sign-in was refused at the server");
  }
  if (error instanceof oauth.ResponseBodyError) {
    const isKnown = /^[a-z_]{1,40}$/.test(error.error);
    return new AccountError(
      "token-refused",
      `The server refused: ${isKnown ? error.error : "error"}`,
    );
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError) {
    return new AccountError("token-refused", "The server refused the gateway as a client");
  }
  return new AccountError("invalid-answer", "The server's answer isn't valid");
}

/**
 * Checks that a token that is a JWT is for the upstream. One that names other servers alone must not be sent
 * there: whoever gets it could use it at them.
 *
 * @throws {AccountError} If it is for others
 */
export function checkAudience(token: string, resource: string, expected: string | undefined): void {
  const [, payload = "", signature] = token.split(".");
  if (signature === undefined) return;
  let claims: unknown;
  try {
    claims = JSON.parse(new TextDecoder().decode(fromBase64Url(payload)));
  } catch {
    return;
  }
  if (!isObject(claims) || claims.aud === undefined) return;
  const audiences = (Array.isArray(claims.aud) ? claims.aud : [claims.aud]).map(String);
  const { origin } = new URL(resource);
  const isRight = expected !== undefined
    ? audiences.includes(expected)
    : audiences.some((one) => URL.parse(one)?.origin === origin || !/^https?:/.test(one));
  if (!isRight) throw new AccountError("foreign-audience", "The token is for another server");
}

/** Returns the PKCE challenge of a verifier. */
export async function pkceChallenge(verifier: string): Promise<string> {
  return await oauth.calculatePKCECodeChallenge(verifier);
}
