/**
 * Authenticates requests with tokens that are bound to a key of the client (RFC 9449 §7).
 *
 * @module
 */
import { HeaderName } from "../protocol/headers.ts";
import type { RequestHead } from "../http/inbound.ts";
import type { Principal } from "../protocol/exchange.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import { readsHead } from "./authenticate.ts";
import {
  admit,
  type Authenticate,
  type BearerOptions,
  BearerRefusal,
  invalidToken,
  MAX_AUTHORIZATION,
  tokenOf,
} from "./bearer.ts";
import { type DpopChallenge, dpopChallenge } from "./challenge.ts";
import { type DpopProofs, ProofError } from "./dpop.ts";
import { DPOP_ALGORITHMS } from "./dpop_algorithms.ts";
import { Unauthorized } from "./errors.ts";

/** Options for {@linkcode boundTokens}. */
export interface BoundTokenOptions extends BearerOptions {
  /** Checks the proofs of tokens that are bound to a key. */
  readonly proofs: DpopProofs;
  /** Returns URLs of the origins at which the client of a request reaches the server. */
  readonly addressesOf: (request: RequestHead) => readonly string[];
}

/** Matches an Authorization header with a token that is bound to a key (RFC 9449 §7.1). */
const DPOP = /^dpop +([A-Za-z0-9\-._~+/]+=*) *$/i;
/** The fingerprint of a key with SHA-256 (RFC 7638), in base64url. */
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;
/** Describes why a bound token is refused that came without a proof of its key (RFC 9449 §7.1). */
const BOUND = "Send this token with the scheme DPoP, and a proof of its key";

/**
 * Creates an `authenticate` for tokens of which some, or all, are bound to a key of the client. A bound token
 * needs the scheme DPoP and a proof, any other the scheme Bearer.
 */
export function boundTokens(
  { verify, requiredScopes = [], proofs, addressesOf }: BoundTokenOptions,
): Authenticate {
  const required = [...requiredScopes];
  const accepts = proofs.use === "accept";
  return readsHead(async (request, context) => {
    const header = request.headers.get(HeaderName.Authorization) ?? "";
    const [, token] = header.length <= MAX_AUTHORIZATION ? DPOP.exec(header) ?? [] : [];
    try {
      if (token === undefined && !accepts) {
        throw new BearerRefusal("Send a token with the scheme DPoP, and a proof of its key", {
          scopes: required,
        });
      }
      const sent = token ?? tokenOf(request, required);
      const principal = admit(await verify(sent, request, context), required);
      if (token !== undefined) {
        const thumbprint = boundKey(principal);
        if (thumbprint === undefined) throw invalidToken(UNBOUND, required);
        const target = { addresses: addressesOf(request), token, thumbprint };
        await proofs.spend(await proofs.verify(request, target));
      } else if (isBound(principal)) throw invalidToken(BOUND, required);
      return principal;
    } catch (error) {
      throw withDpop(error, accepts, required);
    }
  });
}

/** Describes why a token without a key is refused with the scheme DPoP. */
const UNBOUND = "Send this token with the scheme Bearer: it has no key";

/** Whether a value can be the fingerprint of a key. */
export function isThumbprint(value: unknown): value is string {
  return typeof value === "string" && THUMBPRINT.test(value);
}

/** Whether a token is bound to a key of the client, by whatever means (RFC 7800). */
export function isBound({ claims }: Pick<Principal, "claims">): boolean {
  return isObject(claims) && claims.cnf !== undefined;
}

/**
 * Returns the fingerprint of the key that a token is bound to; `undefined` if it is bound to none, or by other
 * means.
 */
function boundKey({ claims }: Principal): string | undefined {
  const cnf = isObject(claims) ? claims.cnf : undefined;
  if (!isObject(cnf) || Object.keys(cnf).length !== 1) return undefined;
  return isThumbprint(cnf.jkt) ? cnf.jkt : undefined;
}

/** Adds the challenge of the scheme DPoP to an error, beside the one for Bearer tokens if these are accepted. */
function withDpop(error: unknown, accepts: boolean, scopes: readonly string[]): unknown {
  if (error instanceof ProofError) {
    const { code, message, headers } = error;
    const challenge = challengeFor({ error: code, description: message, scopes });
    return new Unauthorized(message, { challenge, headers });
  }
  if (!(error instanceof BearerRefusal)) return error;
  const { message, challenge, parameters: { error: code }, cause } = error;
  const description = code === undefined ? undefined : message;
  const own = challengeFor({ error: code, description, scopes });
  return new Unauthorized(message, {
    challenge: accepts ? `${challenge}, ${own}` : own,
    cause,
  });
}

function challengeFor(parameters: Omit<DpopChallenge, "algorithms">): string {
  return dpopChallenge({ algorithms: DPOP_ALGORITHMS, ...parameters });
}
