/**
 * Writes the credentials of requests to upstreams, with the proofs of tokens that are bound to a key.
 *
 * @module
 */
import type { UserAuthContext } from "../gateway/mod.ts";
import { challengeOf } from "./challenge.ts";
import type { ProofKey, Proofs, Prover } from "./dpop.ts";

/** A token that requests are sent with. */
export interface SentToken {
  readonly tokens: { readonly accessToken: string; readonly isBound?: boolean | undefined };
  /** The key that it is bound to, if it is. */
  readonly key?: ProofKey | undefined;
}

/** The credentials of the requests to upstreams. */
export class UpstreamCredentials {
  readonly #proofs: Proofs;
  /** What proves the key of a request and its repetition. */
  readonly #provers = new WeakMap<UserAuthContext, Prover & { readonly jkt: string }>();

  constructor(proofs: Proofs) {
    this.#proofs = proofs;
  }

  /** Returns the headers of a request. */
  async headers(
    context: UserAuthContext,
    { tokens: { accessToken, isBound }, key }: SentToken,
  ): Promise<Readonly<Record<string, string>>> {
    if (key === undefined || isBound !== true) return { authorization: `Bearer ${accessToken}` };
    const known = this.#provers.get(context);
    const isKnown = known !== undefined && known.jkt === key.jkt;
    const prover = isKnown ? known : { ...this.#proofs.proverOf(key), jkt: key.jkt };
    this.#provers.set(context, prover);
    const { target: url, method } = context;
    const proof = await prover.header({ url, method, token: accessToken });
    return { authorization: `DPoP ${accessToken}`, ...proof };
  }

  /** Remembers the nonce of an answer. Returns whether the request is to be sent again with it. */
  answered(response: Response, context: UserAuthContext): boolean {
    const isNew = this.#provers.get(context)?.learn(context.target, response) === true;
    return isNew && response.status === 401 && challengeOf(response).wantsNonce;
  }
}

/** Returns the token in an `Authorization` header of whatever scheme. */
export function tokenIn(authorization: string | undefined): string | undefined {
  return authorization?.slice(authorization.indexOf(" ") + 1);
}
