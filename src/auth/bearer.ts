/**
 * Bearer tokens: takes the token out of a request, and has somebody say whose it is (RFC 6750).
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { Principal } from "../protocol/exchange.ts";
import { bearerChallenge } from "./challenge.ts";
import { Forbidden, Unauthorized } from "./errors.ts";
import { checkScopes, hasScopes, scopesToAskFor } from "./scopes.ts";

/**
 * Tells who sends a request: what the option `authenticate` of a handler takes. It may be called
 * outside a handler too, to guard other routes with the same tokens.
 */
export type Authenticate = (request: Request, context?: unknown) => MaybePromise<Principal>;

/** Options for {@linkcode bearer}. */
export interface BearerOptions {
  /**
   * Says whose a token is. Nothing, or a thrown `Unauthorized`, means that it is no good: a 401. A
   * thrown `Unavailable` is a 503, and everything else a 500, of which the client learns nothing.
   */
  readonly verify: (
    token: string,
    request: Request,
    context: unknown,
  ) => MaybePromise<Principal | null | undefined>;
  /**
   * The scopes that every token needs. Without them the answer is a 403 that names them.
   *
   * @default {[]}
   */
  readonly requiredScopes?: readonly string[];
}

/** A token's characters (RFC 6750 §2.1), in the one header that may carry it. */
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;
/** How long a header with a token may be. */
const LONGEST = 16 * 1024;

/**
 * Makes an `authenticate` for bearer tokens of any kind. For tokens of an authorization server there
 * are `jwt` and `introspection`.
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
  const { verify, requiredScopes = [] } = options;
  if (typeof verify !== "function") {
    throw new TypeError(`Give a function as "verify": ${typeof verify}`);
  }
  checkScopes("requiredScopes", requiredScopes);
  const required = [...requiredScopes];
  return (request, context) => {
    const principal = verify(tokenOf(request, required), request, context);
    return isPromise(principal)
      ? principal.then((value) => admit(value, required))
      : admit(principal, required);
  };
}

/** The token of a request. */
function tokenOf({ headers }: Request, required: readonly string[]): string {
  const header = headers.get(HeaderName.Authorization);
  if (header === null || !/^bearer(?: |$)/i.test(header)) {
    const challenge = bearerChallenge({ scopes: required });
    throw new Unauthorized("Send a bearer token as the Authorization header", { challenge });
  }
  const [, token] = header.length > LONGEST ? [] : BEARER.exec(header) ?? [];
  if (token === undefined) throw invalidToken("Send a token that is well-formed", required);
  return token;
}

function admit(principal: Principal | null | undefined, required: readonly string[]): Principal {
  if (principal === null || principal === undefined) {
    throw invalidToken("Send a token that is valid", required);
  }
  if (hasScopes(principal, required)) return principal;
  throw new Forbidden("Send a token with the scopes that this server needs", {
    scopes: scopesToAskFor(required, principal.scopes),
  });
}

/**
 * What is said to a token that only the holder of a key may use (RFC 9449 §6, RFC 8705 §3). Nobody
 * here asks for a proof of the key, so that whoever stole the token could use it.
 */
export const BOUND = "Send a token that is not bound to a key";

/** What a token that is no good is refused with. The description never has anything of the token. */
export function invalidToken(description: string, scopes: readonly string[] = []): Unauthorized {
  return new Unauthorized(description, {
    challenge: bearerChallenge({ error: "invalid_token", description, scopes }),
  });
}
