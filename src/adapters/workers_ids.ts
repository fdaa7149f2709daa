/**
 * Generates and verifies session ids that a Worker can check without asking the session's object.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";
import { deriveKey, type KeyUse } from "../internal/sealing.ts";
import { isSessionId } from "../sessions/id.ts";
import { sameText } from "../internal/same_text.ts";

/** The random characters of an id: 132 bits. */
const RANDOM = 22;
/** The other ones, which prove that this endpoint made it: 60 bits. */
const PROOF = 10;

const USE: KeyUse = { purpose: "mooring session ids", algorithm: "HMAC" };
const encoder = new TextEncoder();
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/**
 * The session ids of one endpoint. Their proof keeps requests with invented ids from the objects, each of
 * which would have to be started to say no; who owns a session is still for its object to say.
 */
export class SignedIds {
  readonly #secrets: readonly (string | Uint8Array)[];
  /** The imported keys. Only what is there already is shared between requests. */
  readonly #keys: (CryptoKey | undefined)[] = [];

  /** @param secrets The first signs, all verify; at least one */
  constructor(secrets: readonly (string | Uint8Array)[]) {
    this.#secrets = secrets;
  }

  /** Generates an id. */
  async mint(): Promise<string> {
    const random = randomText(RANDOM);
    return random + await this.#proof(random, 0);
  }

  /** Tells whether an id was generated with one of the secrets. */
  async verify(id: string): Promise<boolean> {
    if (!isSessionId(id)) return false;
    for (let index = 0; index < this.#secrets.length; index++) {
      if (sameText(await this.#proof(id.slice(0, RANDOM), index), id.slice(RANDOM))) return true;
    }
    return false;
  }

  async #proof(random: string, index: number): Promise<string> {
    const key = this.#keys[index] ??= await deriveKey(this.#secrets[index] ?? "", USE);
    const mac = new Uint8Array(
      await crypto.subtle.sign("HMAC", key, encoder.encode(`mooring session id\0${random}`)),
    );
    let text = "";
    for (const byte of mac.subarray(0, PROOF)) text += DIGITS[byte & 63];
    return text;
  }
}
