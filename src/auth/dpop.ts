/**
 * Checks that a client has the key that its token is bound to (DPoP, RFC 9449).
 *
 * @module
 */
import type { JWK } from "jose";
import { fromBase64Url, toBase64Url } from "../internal/base64.ts";
import { integerOption } from "../internal/check.ts";
import type { Clock } from "../internal/clock.ts";
import { checkNames } from "../internal/known_names.ts";
import { RecentKeys } from "../internal/recent_keys.ts";
import type { RecordStore } from "../internal/record_store.ts";
import { deriveKey } from "../internal/sealing.ts";
import type { RequestHead } from "../http/inbound.ts";
import type { Principal } from "../protocol/exchange.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import { dpopChallenge } from "./challenge.ts";
import { DPOP_ALGORITHMS } from "./dpop_algorithms.ts";
import { Unauthorized, Unavailable } from "./errors.ts";
import { jose } from "./packages.ts";

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

/** What proofs are checked with. */
export interface DpopSettings {
  readonly clock: Clock;
  /** The scopes that challenges name. */
  readonly scopes: readonly string[];
  /** Returns the audiences of a request, for the public address of an endpoint behind a proxy. */
  readonly audienceOf: (request: RequestHead) => readonly string[];
}

/** The maximum number of characters of a proof. */
const MAX_PROOF = 4_096;
/** The maximum number of characters of a proof's own id. */
const MAX_ID = 256;
/** The maximum number of characters of an RSA key's modulus and exponent: 4,096 and 32 bits. */
const MAX_RSA = { n: 683, e: 6 };
/** The time in which all nonces are the same, in milliseconds. */
const NONCE_MS = 60_000;
const MIN_KEY = 32;
/** The fingerprint of a key with SHA-256 (RFC 7638), in base64url. */
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;

const encoder = new TextEncoder();

/** Checks the proofs of one `authenticate`. */
export class DpopProofs {
  readonly use: DpopOptions["use"];
  readonly #settings: DpopSettings;
  readonly #maxAgeMs: number;
  readonly #nonces: Nonces | undefined;
  readonly #used: UsedProofs;

  /**
   * Creates it.
   *
   * @throws {TypeError} If an option is wrong
   * @throws {RangeError} If a number is out of range
   */
  constructor(
    where: string,
    given: "accept" | "require" | DpopOptions,
    settings: DpopSettings,
  ) {
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
    const { clock } = settings;
    const maxAgeS = integerOption("dpop.maxAgeS", options.maxAgeS, 300);
    const most = integerOption("dpop.maxProofs", options.maxProofs, 100_000);
    if (store !== undefined && typeof store.records !== "function") {
      throw new TypeError('Give a store that has records as "dpop.store", such as redisStore()');
    }
    this.use = use;
    this.#settings = settings;
    this.#maxAgeMs = maxAgeS * 1_000;
    this.#nonces = nonceKeys === undefined
      ? undefined
      : new Nonces(nonceKeys, clock, this.#maxAgeMs);
    const records = store?.records?.(clock);
    // A proof may be as far ahead of the clock as behind it.
    const keepMs = 2 * this.#maxAgeMs;
    this.#used = records === undefined
      ? new RememberedProofs(clock, keepMs, most)
      : new StoredProofs(records, keepMs);
  }

  /** The challenge for a request without a token, or with one that is refused for itself. */
  challenge(error?: "invalid_token", description?: string): string {
    const { scopes } = this.#settings;
    return dpopChallenge({ algorithms: DPOP_ALGORITHMS, error, description, scopes });
  }

  /**
   * Checks the proof of a request (RFC 9449 §4.3), and remembers it.
   *
   * @param token The request's token, which has been verified
   * @param principal The token's principal, with its claims
   * @throws {Unauthorized} If there is no proof that may be used now
   * @throws {Unavailable} If used proofs can't be remembered
   */
  async check(request: RequestHead, token: string, principal: Principal): Promise<void> {
    const thumbprint = boundKey(principal);
    if (thumbprint === undefined) {
      throw this.#refused("invalid_token", "Send this token with the scheme Bearer: it has no key");
    }
    const proof = request.headers.get("dpop") ?? "";
    if (proof === "") throw this.#bad("Send one proof as the DPoP header");
    if (proof.length > MAX_PROOF || proof.includes(",")) throw this.#bad("Send one short proof");
    const { claims, key } = await this.#verified(proof);
    const { jti, htm, htu, iat, ath, nonce } = claims;
    if (typeof jti !== "string" || jti === "" || jti.length > MAX_ID) {
      throw this.#bad("Send a proof with an id of 1 to 256 characters (jti)");
    }
    if (htm !== request.method) throw this.#bad("Send a proof for this method (htm)");
    if (typeof htu !== "string" || !this.#isAddress(htu, request)) {
      throw this.#bad("Send a proof for this URL without its query (htu)");
    }
    if (ath !== await sha256(token)) throw this.#bad("Send a proof for this token (ath)");
    if (key !== thumbprint) throw this.#bad("Send a proof of the key that the token is bound to");
    if (this.#nonces !== undefined && !await this.#nonces.isValid(nonce)) {
      throw await this.#askForNonce(this.#nonces);
    }
    const difference = Math.abs(this.#settings.clock.now() - Number(iat) * 1_000);
    if (typeof iat !== "number" || !(difference <= this.#maxAgeMs)) {
      throw this.#bad("Send a proof of this moment (iat): compare the clocks");
    }
    if (!await this.#used.add(await sha256(`${thumbprint} ${jti}`))) {
      throw this.#bad("Send a new proof with each request: this one has been used");
    }
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
        currentDate: new Date(this.#settings.clock.now()),
      });
      return { claims: payload, key: await calculateJwkThumbprint(jwk, "sha256") };
    } catch {
      throw this.#bad("Send a signed proof of type dpop+jwt, with its public key");
    }
  }

  /** Whether an address is that of the request, as the client knows it. */
  #isAddress(given: string, request: RequestHead): boolean {
    const address = URL.parse(given);
    const own = URL.parse(request.url);
    if (address === null || own === null || address.username + address.password !== "") {
      return false;
    }
    if (address.pathname !== own.pathname || given.includes("#") || given.includes("?")) {
      return false;
    }
    if (address.origin === own.origin) return true;
    // Behind a proxy that ends TLS, the request's own address is not the public one.
    return this.#settings.audienceOf(request).some((audience) => {
      return URL.parse(audience)?.origin === address.origin;
    });
  }

  #bad(description: string): Unauthorized {
    return this.#refused("invalid_dpop_proof", description);
  }

  #refused(error: "invalid_token" | "invalid_dpop_proof", description: string): Unauthorized {
    const { scopes } = this.#settings;
    const challenge = dpopChallenge({ algorithms: DPOP_ALGORITHMS, error, description, scopes });
    return new Unauthorized(description, { challenge });
  }

  async #askForNonce(nonces: Nonces): Promise<Unauthorized> {
    const description = "Send a proof with the nonce of the DPoP-Nonce header";
    const { scopes } = this.#settings;
    return new Unauthorized(description, {
      challenge: dpopChallenge({
        algorithms: DPOP_ALGORITHMS,
        error: "use_dpop_nonce",
        description,
        scopes,
      }),
      headers: { "dpop-nonce": await nonces.make() },
    });
  }
}

/**
 * Returns the fingerprint of the key that a token is bound to; `undefined` if it is bound to none, or by other
 * means.
 */
function boundKey({ claims }: Principal): string | undefined {
  const cnf = isObject(claims) ? claims.cnf : undefined;
  if (!isObject(cnf) || Object.keys(cnf).length !== 1) return undefined;
  return typeof cnf.jkt === "string" && THUMBPRINT.test(cnf.jkt) ? cnf.jkt : undefined;
}

function isSmallKey({ kty, n, e }: JWK): boolean {
  if (kty !== "RSA") return true;
  return typeof n === "string" && n.length <= MAX_RSA.n && typeof e === "string" &&
    e.length <= MAX_RSA.e;
}

async function sha256(text: string): Promise<string> {
  return toBase64Url(new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text))));
}

/** Makes and checks nonces, which need no memory: each is the number of its minute, authenticated. */
class Nonces {
  readonly #secrets: readonly string[];
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  /** The derived keys. On some hosts, a request may not wait for what another one has begun. */
  #keys: readonly CryptoKey[] | undefined;

  constructor(secrets: readonly string[], clock: Clock, maxAgeMs: number) {
    const isGood = (secret: unknown) => typeof secret === "string" && secret.length >= MIN_KEY;
    if (!Array.isArray(secrets) || secrets.length === 0 || !secrets.every(isGood)) {
      throw new TypeError(
        `Give an array of secrets of ${MIN_KEY} characters or more as "dpop.nonceKeys"`,
      );
    }
    this.#secrets = [...secrets];
    this.#clock = clock;
    this.#maxAgeMs = maxAgeMs;
  }

  /** Returns the nonce of this minute. */
  async make(): Promise<string> {
    const [key] = await this.#derived();
    const minute = String(Math.floor(this.#clock.now() / NONCE_MS));
    if (key === undefined) throw new TypeError("Nonces need a key");
    const code = await crypto.subtle.sign("HMAC", key, encoder.encode(minute));
    return `${minute}.${toBase64Url(new Uint8Array(code))}`;
  }

  /** Whether a proof has a nonce that is not too old. */
  async isValid(nonce: unknown): Promise<boolean> {
    if (typeof nonce !== "string") return false;
    const [, minute = "", written = ""] = /^(\d{1,12})\.([A-Za-z0-9_-]{43})$/.exec(nonce) ?? [];
    const age = this.#clock.now() - Number(minute) * NONCE_MS;
    if (minute === "" || age < -NONCE_MS || age > this.#maxAgeMs + NONCE_MS) return false;
    const code = fromBase64Url(written);
    if (code === undefined) return false;
    for (const key of await this.#derived()) {
      if (await crypto.subtle.verify("HMAC", key, code, encoder.encode(minute))) return true;
    }
    return false;
  }

  async #derived(): Promise<readonly CryptoKey[]> {
    return this.#keys ??= await Promise.all(this.#secrets.map((secret) => {
      return deriveKey(secret, { purpose: "mooring dpop nonce", algorithm: "HMAC" });
    }));
  }
}

/** The memory of used proofs. */
interface UsedProofs {
  /**
   * Remembers a proof.
   *
   * @returns Whether it had not been used
   * @throws {Unavailable} If it can't be remembered
   */
  add(proof: string): Promise<boolean>;
}

/** Remembers used proofs in this process: each for a time at least, and a limited number in that time. */
class RememberedProofs implements UsedProofs {
  readonly #proofs: RecentKeys;

  constructor(clock: Clock, keepMs: number, most: number) {
    // It keeps those of this time and of the one before
    this.#proofs = new RecentKeys(clock, keepMs, Math.ceil(most / 2));
  }

  add(proof: string): Promise<boolean> {
    if (this.#proofs.has(proof)) return Promise.resolve(false);
    if (this.#proofs.full) throw new Unavailable();
    this.#proofs.add(proof);
    return Promise.resolve(true);
  }
}

/** Remembers used proofs in a store: each is used once at all nodes. */
class StoredProofs implements UsedProofs {
  readonly #records: RecordStore;
  readonly #keepMs: number;

  constructor(records: RecordStore, keepMs: number) {
    this.#records = records;
    this.#keepMs = keepMs;
  }

  async add(proof: string): Promise<boolean> {
    try {
      const write = { ttlMs: this.#keepMs, expected: null };
      return await this.#records.put(`dpop:${proof}`, "", write) !== undefined;
    } catch (cause) {
      throw new Unavailable(undefined, { cause });
    }
  }
}
