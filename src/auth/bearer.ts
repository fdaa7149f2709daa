/**
 * Authenticates requests with bearer tokens (RFC 6750).
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { RequestHead } from "../http/inbound.ts";
import type { Principal } from "../protocol/exchange.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import { readsHead } from "./authenticate.ts";
import { bearerChallenge } from "./challenge.ts";
import type { DpopProofs } from "./dpop.ts";
import { Forbidden, Unauthorized } from "./errors.ts";
import { hasScopes } from "../protocol/route.ts";
import { checkScopes, scopesToAskFor } from "./scopes.ts";

/**
 * Returns the sender of a request: the type of a handler's option `authenticate`. It can also be called
 * outside a handler, to protect other routes with the same tokens. It reads only the request's method, URL
 * and headers.
 *
 * @throws {Unauthorized} If the credentials are missing or invalid
 * @throws {Forbidden} If the credentials lack a required scope
 * @throws {Unavailable} If the credentials can't be checked now
 */
export type Authenticate = (request: RequestHead, context?: unknown) => MaybePromise<Principal>;

/** Options for {@linkcode bearer}. */
export interface BearerOptions {
  /**
   * Returns the principal of a token. The response is a 401 if this returns nothing or throws
   * `Unauthorized`, a 503 if it throws `Unavailable`, and a 500 without details if it throws anything
   * else. `request` has the method, the URL and the headers, which are read one at a time.
   */
  readonly verify: (
    token: string,
    request: RequestHead,
    context: unknown,
  ) => MaybePromise<Principal | null | undefined>;
  /** The scopes that every token needs, if any. Without them the response is a 403 that names them. */
  readonly requiredScopes?: readonly string[];
}

/** Matches an Authorization header with a token (RFC 6750 §2.1). */
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;
/** Matches an Authorization header with a token that is bound to a key (RFC 9449 §7.1). */
const DPOP = /^dpop +([A-Za-z0-9\-._~+/]+=*) *$/i;
/** The maximum number of characters of an Authorization header. */
const MAX_LENGTH = 16 * 1024;

/**
 * Creates an `authenticate` for bearer tokens of any kind. For tokens of an authorization server, use
 * `jwt` or `introspection`.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { bearer } from "@mooring/mcp/auth";
 *
 * const users = new Map([["3vXuL9mPq2", { id: "ada", scopes: ["notes"] }]]);
 *
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   authenticate: bearer({ verify: (token) => users.get(token), requiredScopes: ["notes"] }),
 * });
 *
 * const response = await handler(new Request("http://localhost/mcp", { method: "DELETE" }));
 * console.assert(response.status === 401);
 * console.assert(response.headers.get("www-authenticate") === 'Bearer scope="notes"');
 * ```
 *
 * @throws {TypeError} If an option has the wrong type
 */
export function bearer(options: BearerOptions): Authenticate {
  checkNames("bearer()", options, { verify: true, requiredScopes: true });
  const { verify, requiredScopes = [] } = options;
  if (typeof verify !== "function") {
    throw new TypeError(`Give a function as "verify": ${typeof verify}`);
  }
  checkScopes("requiredScopes", requiredScopes);
  const required = [...requiredScopes];
  return readsHead((request, context) => {
    const principal = verify(tokenOf(request, required), request, context);
    return isPromise(principal)
      ? principal.then((value) => admit(value, required))
      : admit(principal, required);
  });
}

/** Reads the token from a request. */
function tokenOf({ headers }: RequestHead, required: readonly string[]): string {
  const header = headers.get(HeaderName.Authorization) ?? "";
  const [, token] = header.length <= MAX_LENGTH ? BEARER.exec(header) ?? [] : [];
  if (token !== undefined) return token;
  if (/^bearer(?: |$)/i.test(header)) throw invalidToken("Send a well-formed token", required);
  const challenge = bearerChallenge({ scopes: required });
  throw new Unauthorized("Send a bearer token as the Authorization header", { challenge });
}

/** Options for {@linkcode boundTokens}. */
export interface BoundTokenOptions extends BearerOptions {
  /** Checks the proofs of tokens that are bound to a key. */
  readonly proofs: DpopProofs;
}

/**
 * Creates an `authenticate` for tokens of which some, or all, are bound to a key of the client (RFC 9449 §7). A
 * bound token needs the scheme DPoP and a proof, any other the scheme Bearer.
 */
export function boundTokens(
  { verify, requiredScopes = [], proofs }: BoundTokenOptions,
): Authenticate {
  const required = [...requiredScopes];
  const accepts = proofs.use === "accept";
  return readsHead(async (request, context) => {
    const header = request.headers.get(HeaderName.Authorization) ?? "";
    const [, token] = header.length <= MAX_LENGTH ? DPOP.exec(header) ?? [] : [];
    try {
      if (token === undefined && !accepts) {
        const message = "Send a token with the scheme DPoP, and a proof of its key";
        throw new Unauthorized(message, { challenge: proofs.challenge() });
      }
      const sent = token ?? tokenOf(request, required);
      const principal = admit(await verify(sent, request, context), required);
      if (token !== undefined) await proofs.check(request, sent, principal);
      else if (isBound(principal)) throw invalidToken(BOUND, required);
      return principal;
    } catch (error) {
      throw withDpop(error, proofs);
    }
  });
}

/** Whether a token is bound to a key of the client, by whatever means (RFC 7800). */
export function isBound({ claims }: Pick<Principal, "claims">): boolean {
  return isObject(claims) && claims.cnf !== undefined;
}

/** Describes why a bound token is refused that came without a proof of its key (RFC 9449 §7.1). */
const BOUND = "Send this token with the scheme DPoP, and a proof of its key";

/** Adds the challenge of the scheme DPoP to one that only has Bearer, or takes its place. */
function withDpop(error: unknown, proofs: DpopProofs): unknown {
  if (!(error instanceof Unauthorized) || !/^bearer(?: |$)/i.test(error.challenge)) return error;
  const { message, challenge, cause } = error;
  const isInvalid = challenge.includes('error="invalid_token"');
  const own = isInvalid ? proofs.challenge("invalid_token", message) : proofs.challenge();
  return new Unauthorized(message, {
    challenge: proofs.use === "accept" ? `${challenge}, ${own}` : own,
    cause,
  });
}

function admit(principal: Principal | null | undefined, required: readonly string[]): Principal {
  if (principal === null || principal === undefined) {
    throw invalidToken("Send a valid token", required);
  }
  if (hasScopes(principal, required)) return principal;
  throw new Forbidden("Send a token with the scopes that this server needs", {
    scopes: scopesToAskFor(required, principal.scopes),
  });
}

/**
 * Describes why a token is refused that is bound to a key of the client (RFC 9449 §6, RFC 8705 §3), where no
 * proof of the key is checked: a stolen token would work.
 */
export const KEY_BOUND = "Send a token that is not bound to a key";

/** Creates the error that refuses a token. The description must not contain any part of the token. */
export function invalidToken(description: string, scopes: readonly string[] = []): Unauthorized {
  return new Unauthorized(description, {
    challenge: bearerChallenge({ error: "invalid_token", description, scopes }),
  });
}
