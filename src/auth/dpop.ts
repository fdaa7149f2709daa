/**
 * Checks proofs of keys that tokens are bound to (DPoP, RFC 9449).
 *
 * @module
 */
import type { JWK } from "jose";
import { toBase64Url } from "../internal/base64.ts";
import { integerOption } from "../internal/check.ts";
import type { Clock } from "../internal/clock.ts";
import { checkNames } from "../internal/known_names.ts";
import type { RecordStore } from "../internal/record_store.ts";
import type { RequestHead } from "../http/inbound.ts";
import { DPOP_ALGORITHMS } from "./dpop_algorithms.ts";
import { DpopNonces } from "./dpop_nonces.ts";
import { jose } from "./packages.ts";
import { RememberedProofs, StoredProofs, type UsedProofs } from "./used_proofs.ts";

/** Options for tokens that are bound to a key of the client (DPoP, RFC 9449). */
export interface DpopOptions {
  /** Whether bound tokens are accepted beside others (`"accept"`), or every token must be bound (`"require"`). */
  readonly use: "accept" | "require";
  /**
   * The greatest difference between the time of a proof and the server's clock, in seconds. A proof is
   * remembered for as long as it could be sent again.
   *
   * @default {300}
   */
  readonly maxAgeS?: number;
  /**
   * Secrets of 32 characters or more, the same at all nodes. With them every proof must have a nonce of this
   * server, so that none can be made in advance (RFC 9449 §9). The first makes nonces, all check them. Without
   * them, proofs need no nonce.
   */
  readonly nonceKeys?: readonly string[];
  /**
   * The store in which all nodes remember used proofs, such as `redisStore` or `sqliteStore`. Without it each
   * process remembers its own.
   */
  readonly store?: ProofStore;
  /**
   * The number of used proofs that a process remembers. When there is no room for another, the response is a
   * 503, since a proof must not work twice. A store has its own limit.
   *
   * @default {100000}
   */
  readonly maxProofs?: number;
}

/** The part of a store in which used proofs are remembered. */
export interface ProofStore {
  /** Returns records that expire. */
  records?(clock: Clock): RecordStore;
}

/** What a proof must be for. */
export interface ProofTarget {
  /** URLs of the origins at which clients reach the server; others are ignored. */
  readonly addresses: readonly string[];
  /** The access token that it is sent with. */
  readonly token?: string;
  /** The fingerprint of the key that it must be of. */
  readonly thumbprint?: string;
}

/** A proof that has been verified, but not used. */
export interface VerifiedProof {
  /** The fingerprint of its key (RFC 7638). */
  readonly thumbprint: string;
  /** The name that it is remembered by. */
  readonly name: string;
}

/** The reason why a proof is refused. Its message may be shown to the client. */
export class ProofError extends Error {
  override readonly name = "ProofError";
  /** The error code (RFC 9449 §12.2). */
  readonly code: "invalid_dpop_proof" | "use_dpop_nonce";
  /** More headers of the response. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * @param message What the client has to do
   * @param nonce The nonce that a new proof must have
   */
  constructor(message: string, nonce?: string) {
    super(message);
    this.code = nonce === undefined ? "invalid_dpop_proof" : "use_dpop_nonce";
    this.headers = nonce === undefined ? {} : { "dpop-nonce": nonce };
  }
}

/** The maximum number of characters of a proof. */
const MAX_PROOF = 4_096;
/** The maximum number of characters of a proof's own id. */
const MAX_ID = 256;
/** The maximum number of characters of an RSA key's modulus and exponent: 4,096 and 32 bits. */
const MAX_RSA = { n: 683, e: 6 };

const encoder = new TextEncoder();

/** Checks the proofs of one server, and remembers those that were used. */
export class DpopProofs {
  readonly use: DpopOptions["use"];
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #nonces: DpopNonces | undefined;
  readonly #used: UsedProofs;

  /**
   * Creates it.
   *
   * @throws {TypeError} If an option is wrong
   * @throws {RangeError} If a number is out of range
   */
  constructor(where: string, given: "accept" | "require" | DpopOptions, clock: Clock) {
    const options = typeof given === "string" ? { use: given } : given;
    checkNames(where, options, {
      use: true,
      maxAgeS: true,
      nonceKeys: true,
      store: true,
      maxProofs: true,
    }, "dpop.");
    const { use, nonceKeys, store } = options;
    if (use !== "accept" && use !== "require") {
      throw new TypeError(`Give "accept" or "require" as "dpop" of ${where}: ${String(use)}`);
    }
    const maxAgeS = integerOption("dpop.maxAgeS", options.maxAgeS, 300);
    const most = integerOption("dpop.maxProofs", options.maxProofs, 100_000);
    if (store !== undefined && typeof store.records !== "function") {
      throw new TypeError('Give a store that has records as "dpop.store", such as redisStore()');
    }
    this.use = use;
    this.#clock = clock;
    this.#maxAgeMs = maxAgeS * 1_000;
    this.#nonces = nonceKeys === undefined
      ? undefined
      : new DpopNonces(nonceKeys, clock, this.#maxAgeMs);
    const records = store?.records?.(clock);
    // A proof may be as far ahead of the clock as behind it.
    const keepMs = 2 * this.#maxAgeMs;
    this.#used = records === undefined
      ? new RememberedProofs(clock, keepMs, most)
      : new StoredProofs(records, keepMs);
  }

  /**
   * Verifies the proof of a request (RFC 9449 §4.3). It counts as used once {@linkcode DpopProofs.spend} has
   * remembered it.
   *
   * @throws {ProofError} If there is no proof that may be used now
   */
  async verify(
    request: RequestHead,
    { addresses, token, thumbprint }: ProofTarget,
  ): Promise<VerifiedProof> {
    const proof = request.headers.get("dpop") ?? "";
    if (proof === "") throw new ProofError("Send one proof as the DPoP header");
    if (proof.length > MAX_PROOF || proof.includes(",")) {
      throw new ProofError("Send one short proof");
    }
    const { claims, key } = await this.#verified(proof);
    const { jti, htm, htu, iat, ath, nonce } = claims;
    if (typeof jti !== "string" || jti === "" || jti.length > MAX_ID) {
      throw new ProofError("Send a proof with an id of 1 to 256 characters (jti)");
    }
    if (htm !== request.method) throw new ProofError("Send a proof for this method (htm)");
    if (typeof htu !== "string" || !isAddress(htu, request, addresses)) {
      throw new ProofError("Send a proof for this URL without its query (htu)");
    }
    if (token !== undefined && ath !== await sha256(token)) {
      throw new ProofError("Send a proof for this token (ath)");
    }
    if (thumbprint !== undefined && key !== thumbprint) {
      throw new ProofError("Send a proof of the key that the token is bound to");
    }
    if (this.#nonces !== undefined && !await this.#nonces.isValid(nonce)) {
      const message = "Send a proof with the nonce of the DPoP-Nonce header";
      throw new ProofError(message, await this.#nonces.make());
    }
    const difference = Math.abs(this.#clock.now() - Number(iat) * 1_000);
    if (typeof iat !== "number" || !(difference <= this.#maxAgeMs)) {
      throw new ProofError("Send a proof of this moment (iat): compare the clocks");
    }
    return { thumbprint: key, name: await sha256(`${key} ${jti}`) };
  }

  /**
   * Remembers a proof as used.
   *
   * @throws {ProofError} If it was used before
   * @throws {Unavailable} If used proofs can't be remembered
   */
  async spend({ name }: VerifiedProof): Promise<void> {
    if (await this.#used.add(name)) return;
    throw new ProofError("Send a new proof with each request: this one has been used");
  }

  /** Verifies the signature with the key that is in the proof itself. */
  async #verified(proof: string) {
    const { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK, jwtVerify } = jose();
    try {
      const { jwk } = decodeProtectedHeader(proof);
      // Verifying takes longer the larger a key is.
      if (jwk === undefined || !isSmallKey(jwk)) throw new TypeError("Too large");
      const { payload } = await jwtVerify(proof, EmbeddedJWK, {
        typ: "dpop+jwt",
        algorithms: [...DPOP_ALGORITHMS],
        // The times are checked apart, with the words for a proof.
        currentDate: new Date(this.#clock.now()),
      });
      return { claims: payload, key: await calculateJwkThumbprint(jwk, "sha256") };
    } catch {
      throw new ProofError("Send a signed proof of type dpop+jwt, with its public key");
    }
  }
}

/** Tells whether a URL is that of a request, at one of the origins of the server. */
function isAddress(given: string, request: RequestHead, addresses: readonly string[]): boolean {
  const address = URL.parse(given);
  const own = URL.parse(request.url);
  if (address === null || own === null || address.username + address.password !== "") return false;
  if (address.pathname !== own.pathname || given.includes("#") || given.includes("?")) return false;
  return addresses.some((one) => URL.parse(one)?.origin === address.origin);
}

function isSmallKey({ kty, n, e }: JWK): boolean {
  if (kty !== "RSA") return true;
  return typeof n === "string" && n.length <= MAX_RSA.n && typeof e === "string" &&
    e.length <= MAX_RSA.e;
}

async function sha256(text: string): Promise<string> {
  return toBase64Url(new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text))));
}
