/**
 * Proves the keys that tokens of upstreams are bound to (DPoP, RFC 9449).
 *
 * @module
 */
import type { JWK } from "jose";
import type { Clock } from "../../mod.ts";
import { BoundedMap, installed, randomText, sha256, toBase64Url } from "../kit.ts";
import type { Challenge } from "./challenge.ts";
import { AccountError } from "./errors.ts";
import type { FoundServer } from "./provider.ts";

/** The algorithms of keys, the preferred one first. */
const ALGORITHMS = ["ES256", "EdDSA", "Ed25519", "ES384", "PS256", "RS256"];
/** The most origins whose nonces are remembered, and the most keys that are kept imported. */
const MOST_NONCES = 1_000;
const MOST_IMPORTED = 1_000;
/** A nonce (RFC 9449 §8.1). */
const NONCE = /^[\x21\x23-\x5b\x5d-\x7e]{1,1024}$/;

/** A key pair that tokens are bound to, as it is stored. */
export interface ProofKey {
  readonly alg: string;
  /** The fingerprint of the public key (RFC 7638). */
  readonly jkt: string;
  /** The private key. A secret. */
  readonly jwk: JWK;
}

/** Makes a key pair. */
export async function makeProofKey(alg: string): Promise<ProofKey> {
  const { generateKeyPair, exportJWK, calculateJwkThumbprint } = await jose();
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { alg, jwk, jkt: await calculateJwkThumbprint(publicPart(jwk), "sha256") };
}

/**
 * Returns the algorithm of the key that an upstream's tokens are to be bound to; `undefined` if they are to be
 * bearer tokens.
 *
 * @param option The option: always, never, or where the upstream asks for it
 * @param challenged What the upstream's challenge said of bound tokens
 * @throws {AccountError} If they have to be bound, and the server can't
 */
export function proofAlgorithm(
  { server, bound }: Pick<FoundServer, "server" | "bound">,
  option: boolean | undefined,
  challenged: Challenge["bound"],
): string | undefined {
  if (option === false) return undefined;
  const isRequired = option === true || bound.isRequired || challenged === "required";
  if (!isRequired && challenged === undefined) return undefined;
  const offered: unknown = server.dpop_signing_alg_values_supported;
  const takes = (list: unknown, alg: string) => Array.isArray(list) && list.includes(alg);
  const alg = ALGORITHMS.find((alg) => {
    return takes(offered, alg) && (bound.algorithms === undefined || takes(bound.algorithms, alg));
  });
  if (alg !== undefined || !isRequired) return alg;
  const wants = option === true ? "The configuration" : "The upstream";
  throw new AccountError(
    "no-dpop",
    `${wants} wants tokens that are bound to a key (DPoP): the server doesn't say that it has any`,
  );
}

/** A request that a proof is for. */
export interface ProvenRequest {
  readonly url: string;
  readonly method: string;
  /** The access token that it is sent with. */
  readonly token?: string;
}

/** Makes the proofs of one request and of its repetition. */
export interface Prover {
  /** Returns the header with a new proof. */
  header(request: ProvenRequest): Promise<{ readonly dpop: string }>;
  /** Remembers the nonce of a response. Returns whether there was one that the next proof has to have. */
  learn(url: string, response: Response): boolean;
}

/** Makes proofs, with the nonces that servers have given. */
export class Proofs {
  readonly #clock: Clock;
  /** The last nonce of each origin. */
  readonly #nonces = new BoundedMap<string, string>(MOST_NONCES);
  readonly #imported = new BoundedMap<string, CryptoKey>(MOST_IMPORTED);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns what proves a key for one request. */
  proverOf(key: ProofKey): Prover {
    // Other users' answers don't take its place: a server may give each key its own nonces
    let own: string | undefined;
    return {
      header: async (request) => {
        const nonce = own ?? this.#nonces.get(new URL(request.url).origin);
        return { dpop: await this.#proof(key, request, nonce) };
      },
      learn: (url, { headers }) => {
        const nonce = headers.get("dpop-nonce");
        if (nonce === null || !NONCE.test(nonce)) return false;
        own = nonce;
        this.#nonces.set(new URL(url).origin, nonce);
        return true;
      },
    };
  }

  async #proof(
    key: ProofKey,
    { url, method, token }: ProvenRequest,
    nonce: string | undefined,
  ): Promise<string> {
    const { SignJWT } = await jose();
    const { origin, pathname } = new URL(url);
    return await new SignJWT({
      ...{ jti: randomText(22), htm: method, htu: origin + pathname },
      ...token !== undefined && { ath: await hashOf(token) },
      ...nonce !== undefined && { nonce },
    })
      .setProtectedHeader({ typ: "dpop+jwt", alg: key.alg, jwk: publicPart(key.jwk) })
      .setIssuedAt(Math.floor(this.#clock.now() / 1_000))
      .sign(await this.#privateKey(key));
  }

  async #privateKey({ alg, jkt, jwk }: ProofKey): Promise<CryptoKey> {
    const known = this.#imported.get(jkt);
    if (known !== undefined) return known;
    const { importJWK } = await jose();
    // It was made above: no secret of both sides. Node's types and the web's describe the same object
    const key = await importJWK(jwk, alg) as CryptoKey;
    this.#imported.set(jkt, key);
    return key;
  }
}

/** Returns the members of a key that everybody may know. */
function publicPart({ kty, crv, x, y, n, e }: JWK): JWK {
  return JSON.parse(JSON.stringify({ kty, crv, x, y, n, e }));
}

async function hashOf(token: string): Promise<string> {
  return toBase64Url(await sha256(new TextEncoder().encode(token)));
}

async function jose(): Promise<typeof import("jose")> {
  return await installed("jose", import("jose"));
}
