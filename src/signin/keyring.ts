/**
 * Keeps the keys that all nodes share: those that sign tokens, which rotate, and the one that makes the
 * names of records, which doesn't.
 *
 * @module
 */
import type { importJWK, JWK } from "jose";
import { fromBase64Url, hmacSha256, jose, randomText, toBase64Url } from "../kit.ts";
import type { Clock } from "../../mod.ts";
import type { RecordStore } from "../cluster/mod.ts";
import { readJson } from "./sealed_records.ts";

const ALGORITHM = "ES256";
const RECORD = "keys";
/** The time for which the keys are kept after the last change, in milliseconds: a year. */
const KEPT_MS = 366 * 24 * 3600_000;
/** The time for which a node doesn't read the keys again, in milliseconds. */
const CACHE_MS = 300_000;
/** The time from which on a new key signs: by then all nodes, and those who cache the JWKS, have read it. */
const PUBLISHED_MS = 600_000;
/** The time for which an unknown key id causes no further reading, in milliseconds. */
const RETRY_MS = 1_000;

/** A key pair, as it is stored. */
interface StoredKey {
  readonly kid: string;
  readonly jwk: JWK;
  /** When it was made, in milliseconds since the epoch. */
  readonly at: number;
}

interface StoredRing {
  /** The key of names, Base64 for URLs. */
  readonly naming: string;
  /** The newest last. */
  readonly keys: readonly StoredKey[];
}

/** A key as jose imports it. */
type ImportedKey = Exclude<Awaited<ReturnType<typeof importJWK>>, Uint8Array>;

/** What a node has read. */
interface Ring extends StoredRing {
  readonly readAt: number;
}

/** Options for {@linkcode Keyring}. */
export interface KeyringInit {
  readonly records: RecordStore;
  readonly clock: Clock;
  /** The time after which tokens are signed with a new key, in milliseconds. */
  readonly keyMs: number;
  /** The lifetime of access tokens, in milliseconds. */
  readonly accessMs: number;
  /** Called when this node has made a key. */
  readonly onRotated: () => void;
}

/** The keys that all nodes share. */
export class Keyring {
  readonly #init: KeyringInit;
  #ring: Ring | undefined;
  #reading: Promise<Ring> | undefined;

  constructor(init: KeyringInit) {
    this.#init = init;
  }

  /** Returns a name of 32 characters for a record, which doesn't reveal the parts. */
  async nameOf(...parts: readonly string[]): Promise<string> {
    const { naming } = await this.#current();
    const key = fromBase64Url(naming) ?? new Uint8Array();
    const bytes = new TextEncoder().encode(JSON.stringify(parts));
    return toBase64Url(hmacSha256(key, bytes).subarray(0, 24));
  }

  /** Returns the key that signs now. */
  async signer(): Promise<
    { readonly kid: string; readonly alg: string; readonly key: ImportedKey }
  > {
    const { keys } = await this.#current();
    const ripe = this.#init.clock.now() - PUBLISHED_MS;
    const key = keys.findLast(({ at }) => at <= ripe) ?? keys[0];
    if (key === undefined) throw new Error("No key to sign with");
    const imported = await jose().importJWK(key.jwk, ALGORITHM);
    if (imported instanceof Uint8Array) throw new Error("No key pair to sign with");
    return { kid: key.kid, alg: ALGORITHM, key: imported };
  }

  /** Returns the public keys, as a JSON Web Key Set (RFC 7517). */
  async jwks(): Promise<{ keys: JWK[] }> {
    return { keys: publicKeys(await this.#current()) };
  }

  /** Returns the public key of an id, or `undefined`. */
  async verifier(kid: string | undefined): Promise<ImportedKey | undefined> {
    let ring = await this.#current();
    const find = () => publicKeys(ring).find((key) => key.kid === kid);
    if (find() === undefined && ring.readAt + RETRY_MS <= this.#init.clock.now()) {
      ring = await this.#read();
    }
    const found = find();
    if (found === undefined) return undefined;
    const key = await jose().importJWK(found, ALGORITHM);
    return key instanceof Uint8Array ? undefined : key;
  }

  async #current(): Promise<Ring> {
    const ring = this.#ring;
    const now = this.#init.clock.now();
    if (ring !== undefined && ring.readAt <= now && now < ring.readAt + CACHE_MS) return ring;
    return await this.#read();
  }

  #read(): Promise<Ring> {
    // A request must not wait for another one, which may end before.
    if (this.#init.clock.perRequest === true) return this.#readOrMake();
    return this.#reading ??= this.#readOrMake().finally(() => {
      this.#reading = undefined;
    });
  }

  /** Reads the keys, and makes one if it is time for it: of several nodes that try, one succeeds. */
  async #readOrMake(): Promise<Ring> {
    const { records, clock, keyMs, accessMs, onRotated } = this.#init;
    for (let tries = 0; tries < 5; tries++) {
      const now = clock.now();
      const found = await readJson<StoredRing>(records, RECORD);
      const newest = found?.value.keys.at(-1);
      if (found !== undefined && newest !== undefined && now < newest.at + keyMs) {
        return this.#ring = { ...found.value, readAt: now };
      }
      const keys = found?.value.keys ?? [];
      // A key is kept until no token of it is valid any more at a node that was late to read its successor
      const kept = keys.filter((_, i) => {
        const next = keys[i + 1];
        return next === undefined || now < next.at + PUBLISHED_MS + CACHE_MS + 2 * accessMs;
      });
      const naming = found?.value.naming ??
        toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
      const made: StoredRing = { naming, keys: [...kept, await makeKey(now)] };
      const write = { ttlMs: KEPT_MS, expected: found?.version ?? null };
      if (await records.put(RECORD, JSON.stringify(made), write) === undefined) {
        if (found === undefined && await records.get(RECORD) === undefined) {
          throw new Error('Give the same "keys" at all nodes: the stored ones can\'t be opened');
        }
        continue;
      }
      onRotated();
      return this.#ring = { ...made, readAt: now };
    }
    throw new Error("The keys are being changed: try again");
  }
}

async function makeKey(at: number): Promise<StoredKey> {
  const { privateKey } = await jose().generateKeyPair(ALGORITHM, { extractable: true });
  return { kid: randomText(16), jwk: await jose().exportJWK(privateKey), at };
}

function publicKeys({ keys }: StoredRing): JWK[] {
  return keys.map(({ kid, jwk }) => {
    const { d: _, ...open } = jwk;
    return { ...open, kid, alg: ALGORITHM, use: "sig" };
  });
}
