/**
 * Any OpenID provider, by its discovery: OpenID Connect Core 1.0 and Discovery 1.0.
 *
 * @module
 */
import type {
  AuthorizationServer,
  Client,
  ClientAuth,
  IDToken,
  TokenEndpointResponse,
} from "oauth4webapi";
import { booleanOption, checkNames, installed, isObject, type NamesOf } from "../../kit.ts";
import { stringOption, stringsOption } from "../fetch/options.ts";
import { Discovery } from "./discovery.ts";
import {
  checkUrl,
  HTTP_NAMES,
  type ProviderHttp,
  providerHttp,
  type ProviderHttpOptions,
  urlOption,
} from "./http.ts";
import { asProviderError } from "./oidc_errors.ts";
import { type LoginRequest, type Provider, ProviderError, type ProviderLogin } from "./types.ts";
import { withVerifiedEmail } from "./verified_email.ts";

const oauth = await installed("oauth4webapi", import("oauth4webapi"));

/** Options for {@linkcode oidc}. */
export interface OidcOptions extends ProviderHttpOptions {
  /** The provider's issuer, as in its metadata: a slash at the end counts. */
  readonly issuer: string;
  /** The id that the provider gave this application. */
  readonly clientId: string;
  /** The secret that the provider gave this application. @default none: PKCE alone */
  readonly clientSecret?: string;
  /** How the secret is sent. @default "basic", unless the provider names "post" alone */
  readonly clientAuthentication?: "basic" | "post";
  /** The name to show to users. @default the issuer's host */
  readonly name?: string;
  /**
   * The scopes to ask for. `openid` is always among them, and `offline_access` if the provider names it:
   * without it many give no refresh token. @default openid, email, profile
   */
  readonly scopes?: readonly string[];
  /** Whether UserInfo is asked for claims that the ID token lacks. @default true, if there is UserInfo */
  readonly userInfo?: boolean;
  /** Parameters to add to the authorization request. @default none */
  readonly parameters?: Readonly<Record<string, string>>;
}

const NAMES: NamesOf<OidcOptions> = {
  issuer: true,
  clientId: true,
  clientSecret: true,
  clientAuthentication: true,
  name: true,
  scopes: true,
  userInfo: true,
  parameters: true,
  ...HTTP_NAMES,
};

/** What a preset changes of {@linkcode oidc}. */
export interface OidcQuirks {
  /** The scope for refresh tokens, or `undefined` for none. Left out, `offline_access` if it is offered. */
  readonly refreshScope?: { readonly scope: string | undefined };
  /** The `prompt` of a login that must ask anew. @default "login" */
  readonly promptAnew?: string;
  /**
   * Returns the issuer that an ID token must have, by its claims, in place of the one in the metadata, or
   * `undefined` if the token may not enter.
   */
  readonly issuerFor?: (claims: Readonly<Record<string, unknown>>) => string | undefined;
  /** Changes the claims, or throws {@linkcode ProviderError} if the user may not enter. */
  readonly claims?: (claims: Record<string, unknown>) => Record<string, unknown>;
}

/** What `authorizationUrl` sets itself. */
const OWN_PARAMETERS: readonly string[] = [
  "client_id",
  "code_challenge",
  "code_challenge_method",
  "nonce",
  "redirect_uri",
  "request",
  "request_uri",
  "response_mode",
  "response_type",
  "scope",
  "state",
];

/** Claims that are about the token, and not about the user. */
const OF_THE_TOKEN: ReadonlySet<string> = new Set(["at_hash", "c_hash", "nonce", "s_hash"]);

/**
 * Makes a provider that speaks OpenID Connect. Nothing is asked before the first login. A provider that
 * is away fails a login with a {@linkcode ProviderError}; the next login tries again.
 *
 * An email that the provider says isn't verified is the claim `unverified_email`, and not `email`, so that
 * a rule on `email` can't let in somebody who just typed it.
 *
 * ```ts
 * import { oidc } from "@mooring/mcp/signin";
 *
 * const provider = oidc({
 *   issuer: "https://login.example",
 *   clientId: "mooring",
 *   clientSecret: "from the provider",
 * });
 * ```
 *
 * @throws {TypeError} If an option has the wrong type, or is unknown
 */
export function oidc(options: OidcOptions): Provider {
  return oidcWith("oidc()", options, {});
}

/** Makes a provider as {@linkcode oidc} does, with a preset's quirks. */
export function oidcWith(what: string, options: OidcOptions, quirks: OidcQuirks): Provider {
  checkNames(what, options, NAMES);
  return new OidcProvider(options, quirks);
}

/** What {@linkcode OidcProvider.refresh} is asked with, as JSON. */
interface Credential {
  readonly token: string;
  readonly subject: string;
  readonly issuer: string;
}

class OidcProvider implements Provider {
  readonly name: string;
  readonly #http: ProviderHttp;
  readonly #issuer: URL;
  readonly #clientId: string;
  readonly #secret: string | undefined;
  readonly #authentication: "basic" | "post" | undefined;
  readonly #scopes: readonly string[];
  readonly #userInfo: boolean;
  readonly #parameters: Readonly<Record<string, string>>;
  readonly #quirks: OidcQuirks;
  readonly #discovery: Discovery;
  readonly #keys = {};

  constructor(options: OidcOptions, quirks: OidcQuirks) {
    this.#http = providerHttp(options);
    this.#issuer = urlOption("issuer", options.issuer, this.#http.allowInsecure);
    this.#clientId = stringOption("clientId", options.clientId);
    const { clientSecret: secret, clientAuthentication: authentication } = options;
    this.#secret = secret === undefined ? undefined : stringOption("clientSecret", secret);
    if (authentication !== undefined && !["basic", "post"].includes(authentication)) {
      throw new TypeError('Give "basic" or "post" as "clientAuthentication"');
    }
    this.#authentication = authentication;
    this.name = options.name === undefined ? this.#issuer.host : stringOption("name", options.name);
    const scopes = stringsOption("scopes", options.scopes, ["email", "profile"]);
    this.#scopes = ["openid", ...scopes.filter((scope) => scope !== "openid")];
    this.#userInfo = booleanOption("userInfo", options.userInfo, true);
    this.#parameters = parametersOption(options.parameters);
    this.#quirks = quirks;
    this.#discovery = new Discovery(() => this.#discover(), this.#http.clock);
  }

  async authorizationUrl(request: LoginRequest, signal?: AbortSignal): Promise<URL> {
    const metadata = await this.#metadata(signal);
    const url = checkUrl(
      "The provider's authorization_endpoint",
      metadata.authorization_endpoint ?? "",
      this.#http.allowInsecure,
    );
    const { promptAnew = "login" } = this.#quirks;
    const parameters: Record<string, string> = {
      ...this.#parameters,
      ...(request.asksAnew ? { prompt: promptAnew } : {}),
      response_type: "code",
      client_id: this.#clientId,
      redirect_uri: request.redirectUri,
      scope: this.#scopesFor(metadata).join(" "),
      state: request.state,
      nonce: request.nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(request.codeVerifier),
      code_challenge_method: "S256",
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url;
  }

  async finish(
    request: LoginRequest,
    callback: URLSearchParams,
    signal?: AbortSignal,
  ): Promise<ProviderLogin> {
    const metadata = await this.#metadata(signal);
    return await this.#checked(signal, async () => {
      const client = this.#client(metadata);
      const checked = oauth.validateAuthResponse(metadata, client, callback, request.state);
      const response = await oauth.authorizationCodeGrantRequest(
        metadata,
        client,
        this.#clientAuth(metadata),
        checked,
        request.redirectUri,
        request.codeVerifier,
        this.#options(signal),
      );
      const by = await this.#issuedBy(metadata, response);
      const tokens = await oauth.processAuthorizationCodeResponse(by, client, response, {
        expectedNonce: request.nonce,
        requireIdToken: true,
      });
      await oauth.validateApplicationLevelSignature(metadata, response, this.#keyOptions(signal));
      const claims = oauth.getValidatedIdTokenClaims(tokens);
      if (claims === undefined) throw new ProviderError("invalid", "There is no ID token");
      return await this.#login(metadata, client, tokens, claims, tokens.refresh_token, signal);
    });
  }

  async refresh(text: string, signal?: AbortSignal): Promise<ProviderLogin | "ended"> {
    const credential = credentialOf(text);
    const metadata = await this.#metadata(signal);
    return await this.#checked(signal, async () => {
      const client = this.#client(metadata);
      const response = await oauth.refreshTokenGrantRequest(
        metadata,
        client,
        this.#clientAuth(metadata),
        credential.token,
        this.#options(signal),
      );
      if (await isEnded(response)) return "ended";
      const by = await this.#issuedBy(metadata, response);
      const tokens = await oauth.processRefreshTokenResponse(by, client, response);
      const claims = oauth.getValidatedIdTokenClaims(tokens);
      if (claims !== undefined) {
        await oauth.validateApplicationLevelSignature(metadata, response, this.#keyOptions(signal));
        if (claims.sub !== credential.subject || claims.iss !== credential.issuer) {
          throw new ProviderError("invalid", "The refreshed ID token is of another user");
        }
      }
      const token = tokens.refresh_token ?? credential.token;
      const known = claims ?? { sub: credential.subject, iss: credential.issuer };
      return await this.#login(metadata, client, tokens, known, token, signal);
    });
  }

  /** Makes the login of tokens that were checked. */
  async #login(
    metadata: AuthorizationServer,
    client: Client,
    tokens: TokenEndpointResponse,
    ofToken: Pick<IDToken, "sub" | "iss">,
    refreshToken: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<ProviderLogin> {
    let claims: Record<string, unknown> = {};
    if (this.#userInfo && metadata.userinfo_endpoint !== undefined) {
      const { access_token: token } = tokens;
      const response = await oauth.userInfoRequest(metadata, client, token, this.#options(signal));
      // UserInfo without a signature is as good as its TLS; of one with a signature, the ID token is enough.
      if (response.headers.get("content-type")?.startsWith("application/json")) {
        const { sub } = ofToken;
        claims = { ...await oauth.processUserInfoResponse(metadata, client, sub, response) };
      }
    }
    for (const [name, value] of Object.entries(ofToken)) {
      if (!OF_THE_TOKEN.has(name)) claims[name] = value;
    }
    claims = withVerifiedEmail(claims);
    claims = this.#quirks.claims?.(claims) ?? claims;
    const { sub: subject, iss: issuer } = ofToken;
    const { id_token: idToken } = tokens;
    const login = { claims, subject, issuer, ...idToken !== undefined && { idToken } };
    if (refreshToken === undefined) return login;
    const credential: Credential = { token: refreshToken, subject, issuer };
    return { ...login, credential: JSON.stringify(credential) };
  }

  async #metadata(signal: AbortSignal | undefined): Promise<AuthorizationServer> {
    signal?.throwIfAborted();
    return await this.#discovery.get();
  }

  /** Reads the metadata; for all callers, so that none of their signals ends it. */
  async #discover(): Promise<AuthorizationServer> {
    return await this.#checked(undefined, async () => {
      const options = { ...this.#options(undefined), algorithm: "oidc" as const };
      const response = await oauth.discoveryRequest(this.#issuer, options);
      if (response.status !== 200) {
        throw new ProviderError(
          "invalid",
          `The discovery of ${this.#issuer.href} has status ${response.status}: Correct "issuer"`,
        );
      }
      if (this.#quirks.issuerFor === undefined) {
        return await oauth.processDiscoveryResponse(this.#issuer, response);
      }
      // The issuer in it is no issuer of any token: each token is checked by its own.
      const body: unknown = await response.json();
      if (isObject(body) && typeof body.issuer === "string") {
        return { ...body, issuer: body.issuer };
      }
      throw new ProviderError("invalid", "The provider's metadata has no issuer");
    });
  }

  /** Returns the metadata with the issuer that the ID token of a response must have, which is checked later. */
  async #issuedBy(metadata: AuthorizationServer, response: Response): Promise<AuthorizationServer> {
    const { issuerFor } = this.#quirks;
    if (issuerFor === undefined) return metadata;
    const body: unknown = await response.clone().json().catch(() => undefined);
    if (!isObject(body) || typeof body.id_token !== "string") return metadata;
    const issuer = issuerFor(payloadOf(body.id_token));
    if (issuer === undefined) {
      throw new ProviderError("denied", "The user is of a tenant that may not enter");
    }
    return { ...metadata, issuer };
  }

  async #checked<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw asProviderError(error, oauth);
    }
  }

  #client(metadata: AuthorizationServer): Client {
    const { clock } = this.#http;
    const algorithms = metadata.id_token_signing_alg_values_supported;
    return {
      client_id: this.#clientId,
      [oauth.clockSkew]: Math.round((clock.now() - Date.now()) / 1000),
      [oauth.clockTolerance]: 60,
      // A provider without RS256 breaks OpenID Connect; one with other algorithms alone is taken all the same.
      ...(algorithms === undefined || algorithms.includes("RS256")
        ? {}
        : { id_token_signed_response_alg: algorithms.find((name) => /^(ES|PS|RS|Ed)/.test(name)) }),
    };
  }

  #clientAuth(metadata: AuthorizationServer): ClientAuth {
    if (this.#secret === undefined) return oauth.None();
    const offered = metadata.token_endpoint_auth_methods_supported;
    const byDefault = offered === undefined || offered.includes("client_secret_basic") ||
        !offered.includes("client_secret_post")
      ? "basic"
      : "post";
    return (this.#authentication ?? byDefault) === "basic"
      ? oauth.ClientSecretBasic(this.#secret)
      : oauth.ClientSecretPost(this.#secret);
  }

  #scopesFor({ scopes_supported: offered }: AuthorizationServer): readonly string[] {
    const { refreshScope } = this.#quirks;
    const scope = refreshScope === undefined
      ? (offered?.includes("offline_access") ? "offline_access" : undefined)
      : refreshScope.scope;
    return scope === undefined ? this.#scopes : [...new Set([...this.#scopes, scope])];
  }

  #options(caller: AbortSignal | undefined) {
    return {
      [oauth.allowInsecureRequests]: this.#http.allowInsecure,
      [oauth.customFetch]: (url: string, init: object) => {
        return this.#http.send(url, { ...init, signal: null }, caller);
      },
    };
  }

  #keyOptions(signal: AbortSignal | undefined) {
    return { ...this.#options(signal), [oauth.jwksCache]: this.#keys };
  }
}

/** Tells whether the provider no longer takes the refresh token (RFC 6749 section 5.2). */
async function isEnded(response: Response): Promise<boolean> {
  if (response.status !== 400 && response.status !== 401) return false;
  const body: unknown = await response.clone().json().catch(() => undefined);
  return isObject(body) && body.error === "invalid_grant";
}

/** Returns the claims of a JWT, unchecked. */
function payloadOf(jwt: string): Readonly<Record<string, unknown>> {
  try {
    const text = (jwt.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isObject(claims) ? claims : {};
  } catch {
    return {};
  }
}

function credentialOf(text: string): Credential {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) {
      const { token, subject, issuer } = value;
      if (typeof token === "string" && typeof subject === "string" && typeof issuer === "string") {
        return { token, subject, issuer };
      }
    }
  } catch {
    // The error could quote the credential.
  }
  throw new ProviderError("invalid", "The credential is not one of this provider");
}

function parametersOption(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!isObject(value)) throw new TypeError('Give an object as "parameters"');
  for (const [name, entry] of Object.entries(value)) {
    if (typeof entry !== "string") throw new TypeError(`Give a string as "parameters.${name}"`);
    if (OWN_PARAMETERS.includes(name)) {
      throw new TypeError(`Remove "parameters.${name}": it is set for each login`);
    }
  }
  // Checked one by one
  return { ...value } as Record<string, string>;
}
