/**
 * Access tokens of any form, checked by asking the authorization server about them (RFC 7662).
 *
 * @module
 */
import { freezeDeep } from "../internal/freeze.ts";
import { functionOption, integerOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import type { Principal } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { type Authenticate, bearer, BOUND, invalidToken } from "./bearer.ts";
import { textOption, textsOption } from "./check.ts";
import { Unavailable } from "./errors.ts";
import { type Asking, type Fetch, fetchJson, serverUrl } from "./fetch_json.ts";
import { checkScopes, type ImpliedScopes, impliedScopes, readScopes } from "./scopes.ts";
import { TokenCache } from "./token_cache.ts";

/** Options for {@linkcode introspection}. */
export interface IntrospectionOptions {
  /** Where the authorization server answers questions about tokens. */
  readonly endpoint: string | URL;
  /** As whom this server asks. */
  readonly clientId: string;
  /** Its secret. */
  readonly clientSecret: string;
  /**
   * How the secret is sent: in the header (`"basic"`), or in the body (`"post"`).
   *
   * @default {"basic"}
   */
  readonly clientAuthentication?: "basic" | "post";
  /** Who issues the tokens: the principals' issuer, and their `iss` where the answer has one. */
  readonly issuer: string;
  /** Whom the tokens must be for: one of these in the answer's `aud` (RFC 8707). */
  readonly audience: string | readonly string[];
  /**
   * The scopes that every token needs. Without them the answer is a 403 that names them.
   *
   * @default {[]}
   */
  readonly requiredScopes?: readonly string[];
  /** Scopes that stand for others too: `{ "notes:write": ["notes:read"] }`. */
  readonly implies?: ImpliedScopes;
  /**
   * How long a token that was good counts as good, in milliseconds, and so how long one that was
   * revoked still works; 0 asks every time. Never longer than the token lasts.
   *
   * @default {30000}
   */
  readonly cacheMs?: number;
  /**
   * How many good tokens are remembered.
   *
   * @default {1000}
   */
  readonly cacheEntries?: number;
  /**
   * How long an answer may take, in milliseconds. Then the answer here is a 503.
   *
   * @default {5000}
   */
  readonly timeoutMs?: number;
  /**
   * Whether the endpoint may be asked over plain HTTP on another machine.
   *
   * @default {false}
   */
  readonly allowHttp?: boolean;
  /** Asks the endpoint; the global `fetch` when left out. */
  readonly fetch?: Fetch;
  /** Where the time comes from; the machine's clock when left out. */
  readonly clock?: Clock;
}

/** What answers are held against. */
interface Expected {
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly requiredScopes: readonly string[];
  readonly implied: ReadonlyMap<string, readonly string[]>;
  readonly clock: Clock;
}

/** How the endpoint is asked about a token. */
type Ask = (token: string) => Promise<unknown>;

/** Where servers say what kind of token it is: refresh tokens are active too. */
const KINDS = ["token_type", "token_use", "typ"] as const;
/** How many questions may be open at a time. */
const MOST_OPEN = 1_000;

/**
 * Makes an `authenticate` that asks the authorization server about each token. The principal is
 * `sub`, through the client `client_id`, with the scopes of `scope`, until `exp`. What was good is
 * remembered for a while by the token's hash; what wasn't is asked again.
 *
 * Refused with 401 are tokens that aren't active, are for another audience or of another issuer, are
 * refresh tokens, are bound to a key of the client (`cnf`), or whose answer has no `sub` or no `aud`.
 * Where the endpoint can't be reached, or doesn't let this server ask, the answer is a 503, so that
 * clients keep their tokens and try again.
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
 */
export function introspection(options: IntrospectionOptions): Authenticate {
  const { clock = systemClock, requiredScopes = [] } = options;
  checkScopes("requiredScopes", requiredScopes);
  const expected: Expected = {
    issuer: textOption("issuer", options.issuer),
    audience: textsOption("audience", options.audience),
    requiredScopes,
    implied: impliedScopes(options.implies),
    clock,
  };
  const ask = askerOf(options, clock);
  const cache = new TokenCache({
    clock,
    ttlMs: integerOption("cacheMs", options.cacheMs, 30_000, 0),
    most: integerOption("cacheEntries", options.cacheEntries, 1_000),
    mostOpen: MOST_OPEN,
    find: async (token) => principalOf(await ask(token), expected),
  });
  return bearer({ requiredScopes, verify: (token) => cache.get(token) });
}

function askerOf(options: IntrospectionOptions, clock: Clock): Ask {
  const { clientSecret, clientAuthentication = "basic", allowHttp = false } = options;
  const clientId = textOption("clientId", options.clientId);
  if (typeof clientSecret !== "string" || clientSecret === "") {
    throw new TypeError(`Give a text as "clientSecret": ${typeof clientSecret}`);
  }
  if (clientAuthentication !== "basic" && clientAuthentication !== "post") {
    const given = String(clientAuthentication);
    throw new TypeError(`Give "basic" or "post" as "clientAuthentication": ${given}`);
  }
  const asking: Asking = {
    url: serverUrl("endpoint", options.endpoint, allowHttp),
    fetch: functionOption("fetch", options.fetch) ?? ((url, init) => fetch(url, init)),
    clock,
    timeoutMs: integerOption("timeoutMs", options.timeoutMs, 5_000),
  };
  const basic = clientAuthentication === "basic";
  const credentials = { client_id: clientId, client_secret: clientSecret };
  const headers = {
    "accept": "application/json",
    "content-type": "application/x-www-form-urlencoded",
    ...basic && { authorization: basicCredentials(clientId, clientSecret) },
  };
  return (token) => {
    const form = { token, token_type_hint: "access_token", ...!basic && credentials };
    const body = new URLSearchParams(form).toString();
    return fetchJson(asking, { method: "POST", headers, body });
  };
}

/** The id and the secret are encoded as in a form before they are joined (RFC 6749 §2.3.1). */
function basicCredentials(id: string, secret: string): string {
  const [user, password] = [id, secret].map((text) => {
    return new URLSearchParams({ "": text }).toString().slice(1);
  });
  return `Basic ${btoa(`${user}:${password}`)}`;
}

/** Whose a token is, by what the server says of it (RFC 7662 §2.2). */
function principalOf(answer: unknown, expected: Expected): Principal {
  if (!isObject(answer) || typeof answer.active !== "boolean") {
    const cause = new Error('The answer has no "active"');
    throw new Unavailable(undefined, { cause });
  }
  const { sub, exp, client_id: clientId, scope } = answer;
  const wrong = wrongWith(answer, expected);
  if (wrong !== undefined || typeof sub !== "string") {
    throw invalidToken(wrong ?? "Send a token of somebody", expected.requiredScopes);
  }
  // Many requests get the same one: what one of them does to it must not help the others.
  return Object.freeze({
    id: sub,
    issuer: expected.issuer,
    ...typeof clientId === "string" && { clientId },
    scopes: Object.freeze(readScopes(expected.implied, scope)),
    ...typeof exp === "number" && { expiresAt: exp * 1000 },
    claims: freezeDeep(answer),
  });
}

function wrongWith(answer: JsonObject, { issuer, audience, clock }: Expected): string | undefined {
  const { active, sub, iss, aud, exp, nbf } = answer;
  const now = clock.now() / 1000;
  if (active !== true) return "Send a new token: this one is over, or none of its issuer";
  if (typeof sub !== "string" || sub === "") return "Send a token of somebody";
  if (answer.cnf !== undefined) return BOUND;
  if (KINDS.some((name) => /^refresh/i.test(String(answer[name])))) return "Send an access token";
  if (iss !== undefined && iss !== issuer) {
    return "Send a token of the issuer that this server trusts";
  }
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audiences.some((one) => typeof one === "string" && audience.includes(one))) {
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
