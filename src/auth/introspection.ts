/**
 * Authenticates requests by token introspection at the authorization server (RFC 7662).
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import type {
  AuthorizationServer,
  Client,
  ClientAuth,
  IntrospectionRequestOptions,
} from "oauth4webapi";
import { integerOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import { freezeDeep } from "../internal/freeze.ts";
import type { Fetch } from "../internal/types.ts";
import type { RequestHead } from "../http/inbound.ts";
import type { Principal } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { type Authenticate, bearer, invalidToken, KEY_BOUND } from "./bearer.ts";
import { boundTokens } from "./bound_tokens.ts";
import { type DpopOptions, DpopProofs } from "./dpop.ts";
import { boundedFetch, requestFailure } from "./bounded_fetch.ts";
import { audienceOption, serverUrlOption, stringOption } from "./check.ts";
import { oauth4webapi } from "./packages.ts";
import { checkScopes, type ImpliedScopes, impliedScopes, readScopes } from "./scopes.ts";
import { TokenCache } from "./token_cache.ts";

/** Options for {@linkcode introspection}. */
export interface IntrospectionOptions {
  /** The introspection endpoint of the authorization server. */
  readonly endpoint: string | URL;
  /** The client id of this server at the authorization server. */
  readonly clientId: string;
  /** The client secret of this server. */
  readonly clientSecret: string;
  /**
   * The way in which this server sends its secret: in the Authorization header (`"basic"`), or in the
   * body (`"post"`).
   *
   * @default {"basic"}
   */
  readonly clientAuthentication?: "basic" | "post";
  /** The issuer of the tokens, and of the principals. A response with another `iss` is refused. */
  readonly issuer: string;
  /**
   * The audience of the tokens: one of these must be in the response's `aud` (RFC 8707). A function returns
   * that of each request, for endpoints that share this `authenticate`.
   */
  readonly audience: string | readonly string[] | ((request: RequestHead) => string);
  /** The scopes that every token needs, if any. Without them the response is a 403 that names them. */
  readonly requiredScopes?: readonly string[];
  /** Scopes that include others: `{ "notes:write": ["notes:read"] }`. */
  readonly implies?: ImpliedScopes;
  /**
   * How tokens are taken that are bound to a key of the client (DPoP, RFC 9449): beside others (`"accept"`), or
   * they alone (`"require"`). A bound token needs the scheme DPoP and, with each request, a new proof of the
   * key. When left out, bound tokens are refused.
   */
  readonly dpop?: "accept" | "require" | DpopOptions;
  /**
   * Time for which a valid token is cached, in milliseconds, and so for which a revoked one still works; 0
   * turns the cache off. A token is never cached past its expiry.
   *
   * @default {30000}
   */
  readonly cacheMs?: number;
  /**
   * Number of valid tokens that are cached.
   *
   * @default {1000}
   */
  readonly cacheEntries?: number;
  /**
   * Time limit for the authorization server, in milliseconds. After that the response is a 503.
   *
   * @default {5000}
   */
  readonly timeoutMs?: number;
  /**
   * Whether the endpoint may be on another machine and use plain HTTP.
   *
   * @default {false}
   */
  readonly allowHttp?: boolean;
  /** Sends the introspection requests; the global `fetch` when left out. */
  readonly fetch?: Fetch;
  /** The source of time; the system clock when left out. */
  readonly clock?: Clock;
}

/** The values that introspection responses are checked against. */
interface Expected {
  readonly issuer: string;
  readonly requiredScopes: readonly string[];
  readonly implied: ReadonlyMap<string, readonly string[]>;
  /** Whether tokens may be bound to a key, whose proof is checked later. */
  readonly mayBeBound: boolean;
  readonly clock: Clock;
}

/** Introspects a token at the authorization server. */
type Introspect = (token: string) => Promise<JsonObject>;

/** Members with the kind of the token: refresh tokens are active too. */
const TOKEN_KINDS = ["token_type", "token_use", "typ"] as const;
/** The maximum number of introspection requests at a time. */
const MAX_PENDING = 1_000;

/**
 * Creates an `authenticate` that introspects tokens at the authorization server. The principal is `sub`,
 * with the client `client_id` and the scopes of `scope`, until `exp`. Valid tokens are cached by their
 * hash for `cacheMs`; invalid ones are introspected every time.
 *
 * Tokens are refused with 401 if they are not active, have another audience or issuer, are refresh
 * tokens, are bound to a key of the client (`cnf`) without `dpop` or without a proof of it, or if the response has no `sub` or no `aud`. If
 * the endpoint can't be reached or refuses this server, the response is a 503, so that clients keep
 * their tokens and try again.
 *
 * @example
 * ```ts
 * import { introspection } from "@mooring/mcp/auth";
 *
 * const authenticate = introspection({
 *   endpoint: "https://login.example/introspect",
 *   clientId: "mcp",
 *   clientSecret: "8sL2nR5vXq",
 *   issuer: "https://login.example",
 *   audience: "https://api.example/mcp",
 *   fetch: async () =>
 *     Response.json({ active: true, sub: "ada", aud: "https://api.example/mcp", scope: "notes" }),
 * });
 *
 * const { id, scopes } = await authenticate(
 *   new Request("https://api.example/mcp", { headers: { authorization: "Bearer 3vXuL9mPq2" } }),
 * );
 * console.assert(id === "ada" && scopes?.[0] === "notes");
 * ```
 *
 * @throws {TypeError} If an option is missing or has the wrong type
 * @throws {RangeError} If a number is out of range
 * @throws {Error} If the package `oauth4webapi` is not installed
 */
export function introspection(options: IntrospectionOptions): Authenticate {
  checkNames("introspection()", options, {
    endpoint: true,
    clientId: true,
    clientSecret: true,
    clientAuthentication: true,
    issuer: true,
    audience: true,
    requiredScopes: true,
    implies: true,
    dpop: true,
    cacheMs: true,
    cacheEntries: true,
    timeoutMs: true,
    allowHttp: true,
    fetch: true,
    clock: true,
  });
  const { clock = systemClock, requiredScopes = [] } = options;
  checkScopes("requiredScopes", requiredScopes);
  const expected: Expected = {
    issuer: stringOption("issuer", options.issuer),
    requiredScopes,
    implied: impliedScopes(options.implies),
    mayBeBound: options.dpop !== undefined,
    clock,
  };
  const audienceOf = audienceOption(options.audience);
  const introspect = makeIntrospect(options, expected);
  const cache = new TokenCache({
    clock,
    ttlMs: integerOption("cacheMs", options.cacheMs, 30_000, 0),
    maxEntries: integerOption("cacheEntries", options.cacheEntries, 1_000),
    maxPending: MAX_PENDING,
    verify: async (token, audiences) => principalOf(await introspect(token), audiences, expected),
  });
  const verify = (token: string, request: RequestHead) => cache.get(token, audienceOf(request));
  if (options.dpop === undefined) return bearer({ requiredScopes, verify });
  const proofs = new DpopProofs("introspection()", options.dpop, clock);
  // Behind a proxy that ends TLS, the request's own address is not the public one.
  const addressesOf = (request: RequestHead) => [request.url, ...audienceOf(request)];
  return boundTokens({ requiredScopes, verify, proofs, addressesOf });
}

function makeIntrospect(options: IntrospectionOptions, { issuer, clock }: Expected): Introspect {
  const url = serverUrlOption("endpoint", options.endpoint, options.allowHttp ?? false);
  const server: AuthorizationServer = { issuer, introspection_endpoint: url };
  const client: Client = { client_id: stringOption("clientId", options.clientId) };
  const clientAuth = clientAuthOption(options);
  const oauth = oauth4webapi();
  const requestOptions: IntrospectionRequestOptions = {
    additionalParameters: { token_type_hint: "access_token" },
    [oauth.allowInsecureRequests]: url.startsWith("http:"),
    [oauth.customFetch]: boundedFetch(options, clock),
  };
  return async (token) => {
    const response = await oauth.introspectionRequest(
      server,
      client,
      clientAuth,
      token,
      requestOptions,
    );
    try {
      return await oauth.processIntrospectionResponse(server, client, response);
    } catch {
      // The library's error holds the response's body, which must not get into events.
      throw requestFailure('Expected a JSON object with a boolean "active"', url);
    }
  };
}

function clientAuthOption(options: IntrospectionOptions): ClientAuth {
  const { clientSecret, clientAuthentication = "basic" } = options;
  if (typeof clientSecret !== "string" || clientSecret === "") {
    throw new TypeError(`Give a string as "clientSecret": ${typeof clientSecret}`);
  }
  if (clientAuthentication === "basic") return clientSecretBasic(clientSecret);
  if (clientAuthentication === "post") return oauth4webapi().ClientSecretPost(clientSecret);
  const given = String(clientAuthentication);
  throw new TypeError(`Give "basic" or "post" as "clientAuthentication": ${given}`);
}

/**
 * Authenticates with HTTP Basic. The id and the secret are form-encoded first (RFC 6749 §2.3.1). The
 * library's own `ClientSecretBasic` also encodes `-`, `_`, `.` and `*`, which breaks generated ids and
 * secrets at servers that don't decode. URLSearchParams leaves these characters as they are.
 */
function clientSecretBasic(clientSecret: string): ClientAuth {
  return (_server, { client_id }, _body, headers) => {
    const [user, password] = [client_id, clientSecret].map((text) => {
      return new URLSearchParams({ "": text }).toString().slice(1);
    });
    headers.set("authorization", `Basic ${btoa(`${user}:${password}`)}`);
  };
}

/** Reads the principal from an introspection response (RFC 7662 §2.2), or refuses the token. */
function principalOf(
  response: JsonObject,
  accepted: readonly string[],
  expected: Expected,
): Principal {
  const { sub, exp, client_id: clientId, scope } = response;
  const problem = findProblem(response, accepted, expected);
  if (problem !== undefined) throw invalidToken(problem, expected.requiredScopes);
  if (typeof sub !== "string" || sub === "") {
    throw invalidToken("Send a token that has a subject", expected.requiredScopes);
  }
  // Many requests share this object: no request may change it for the others.
  return Object.freeze({
    id: sub,
    issuer: expected.issuer,
    ...typeof clientId === "string" && { clientId },
    scopes: Object.freeze(readScopes(expected.implied, scope)),
    ...typeof exp === "number" && { expiresAt: exp * 1000 },
    claims: freezeDeep(response),
  });
}

/** Says what the client should send instead of the token, if it must be refused. */
function findProblem(
  response: JsonObject,
  accepted: readonly string[],
  expected: Expected,
): string | undefined {
  const { active, iss, aud, exp, nbf, cnf } = response;
  const now = expected.clock.now() / 1000;
  if (active !== true) return "Send a new token: this one is not active";
  if (cnf !== undefined && !expected.mayBeBound) return KEY_BOUND;
  if (TOKEN_KINDS.some((name) => /^refresh/i.test(String(response[name])))) {
    return "Send an access token";
  }
  if (iss !== undefined && iss !== expected.issuer) {
    return "Send a token of the issuer that this server trusts";
  }
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audiences.some((one) => typeof one === "string" && accepted.includes(one))) {
    return "Send a token for this server: this one is for another audience";
  }
  if (exp !== undefined && !(typeof exp === "number" && exp > now)) {
    return "Send a new token: this one has expired";
  }
  if (nbf !== undefined && !(typeof nbf === "number" && nbf <= now)) {
    return "Send this token later: it is not valid yet";
  }
  return undefined;
}
