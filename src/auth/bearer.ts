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
import { readsHead } from "./authenticate.ts";
import { type BearerChallenge, bearerChallenge } from "./challenge.ts";
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
/** The maximum number of characters of an Authorization header. */
export const MAX_AUTHORIZATION = 16 * 1024;

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
export function tokenOf({ headers }: RequestHead, required: readonly string[]): string {
  const header = headers.get(HeaderName.Authorization) ?? "";
  const [, token] = header.length <= MAX_AUTHORIZATION ? BEARER.exec(header) ?? [] : [];
  if (token !== undefined) return token;
  if (/^bearer(?: |$)/i.test(header)) throw invalidToken("Send a well-formed token", required);
  throw new BearerRefusal("Send a bearer token as the Authorization header", { scopes: required });
}

/** Checks the principal of a token, and that it has the scopes that every token needs. */
export function admit(
  principal: Principal | null | undefined,
  required: readonly string[],
): Principal {
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

/** A refusal of a request with a Bearer challenge, whose parameters can be read. */
export class BearerRefusal extends Unauthorized {
  /** The parameters of the challenge. */
  readonly parameters: BearerChallenge;

  /**
   * @param message The message for the client
   * @param parameters The parameters of the challenge
   */
  constructor(message: string, parameters: BearerChallenge) {
    super(message, { challenge: bearerChallenge(parameters) });
    this.parameters = parameters;
  }
}

/** Creates the error that refuses a token. The description must not contain any part of the token. */
export function invalidToken(description: string, scopes: readonly string[] = []): Unauthorized {
  return new BearerRefusal(description, { error: "invalid_token", description, scopes });
}
