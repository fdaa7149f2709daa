/**
 * Encrypts what is kept outside of this process, in Redis or in a file, so that a program without the keys
 * can neither read nor write it. Synchronous, and only for runtimes with `node:crypto`.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { BoundedMap } from "./bounded_map.ts";
import { randomText } from "./random.ts";

const CIPHER = "aes-256-gcm";
/** The characters of a salt, with six random bits each. */
const SALT_CHARS = 20;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** The nonces that are drawn together, as drawing costs more than the bytes do. */
const NONCES_AT_ONCE = 256;
/** The most texts of one key: random nonces of so many are all different, but for one chance in 2^37. */
const MOST_TEXTS = 2 ** 30;
/** Limits the derived keys of other processes that are remembered. */
const MOST_KEYS = 256;

/** Names what a text is and what it belongs to: it can't be opened as anything else. */
export type SealedAs = readonly [kind: string, ...parts: readonly string[]];

/** The key with which this process seals. */
interface Writer {
  readonly salt: string;
  readonly key: KeyObject;
  /** The number of texts that may still be sealed with it. */
  left: number;
}

/**
 * Seals texts with AES-256-GCM, and opens them. Each process seals with a key of its own, which is
 * derived (HKDF, RFC 5869) from the first secret and a random salt at the beginning of each text.
 * Others derive it from the salt, and remember it. So no number of processes or texts makes nonces
 * of one key meet.
 *
 * A program that can write to where the texts are can still put back an older text of the same place.
 */
export class SyncSealer {
  readonly #secrets: readonly (string | Uint8Array)[];
  readonly #purpose: string;
  readonly #mostTexts: number;
  readonly #keys = new BoundedMap<string, KeyObject>(MOST_KEYS);
  #writer: Writer | undefined;
  #nonces = Buffer.alloc(0);

  /**
   * @param secrets Secrets of 32 bytes or more: the first seals, all open
   * @param purpose What the keys are derived for, which tells stores apart
   * @param mostTexts The maximum number of texts that are sealed with one key
   * @throws {TypeError} If there is no secret
   */
  constructor(
    secrets: readonly (string | Uint8Array)[] | undefined,
    purpose: string,
    mostTexts = MOST_TEXTS,
  ) {
    if (secrets === undefined || secrets.length === 0) {
      throw new TypeError('Give "keys", the same for all handlers that share the store');
    }
    this.#secrets = secrets;
    this.#purpose = purpose;
    this.#mostTexts = mostTexts;
  }

  /** Returns the number of derived keys that are remembered. */
  get remembered(): number {
    return this.#keys.size;
  }

  /** Encrypts a text, as what it is. */
  seal(text: string, ...about: SealedAs): string {
    const { salt, key } = this.#next();
    const nonce = this.#nonce();
    const cipher = createCipheriv(CIPHER, key, nonce);
    cipher.setAAD(Buffer.from(JSON.stringify(about)));
    const parts = [nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()];
    return salt + Buffer.concat(parts).toString("base64");
  }

  /**
   * Decrypts a text. Returns `undefined` if it was sealed as something else or without one of the
   * secrets, or was changed since.
   */
  tryOpen(sealed: string, ...about: SealedAs): string | undefined {
    const salt = sealed.slice(0, SALT_CHARS);
    const bytes = Buffer.from(sealed.slice(SALT_CHARS), "base64");
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
    const additional = Buffer.from(JSON.stringify(about));
    const known = this.#keys.get(salt);
    if (known !== undefined) return decrypt(known, bytes, additional);
    for (const secret of this.#secrets) {
      const key = this.#derive(secret, salt);
      const text = decrypt(key, bytes, additional);
      if (text === undefined) continue;
      this.#keys.set(salt, key);
      return text;
    }
    return undefined;
  }

  #next(): Writer {
    const [secret = ""] = this.#secrets;
    if (this.#writer === undefined || this.#writer.left === 0) {
      const salt = randomText(SALT_CHARS);
      this.#writer = { salt, key: this.#derive(secret, salt), left: this.#mostTexts };
      this.#keys.set(salt, this.#writer.key);
    }
    this.#writer.left -= 1;
    return this.#writer;
  }

  #nonce(): Buffer {
    if (this.#nonces.length === 0) {
      this.#nonces = crypto.getRandomValues(Buffer.alloc(NONCES_AT_ONCE * NONCE_BYTES));
    }
    const nonce = this.#nonces.subarray(0, NONCE_BYTES);
    this.#nonces = this.#nonces.subarray(NONCE_BYTES);
    return nonce;
  }

  #derive(secret: string | Uint8Array, salt: string): KeyObject {
    return createSecretKey(Buffer.from(hkdfSync("sha256", secret, salt, this.#purpose, 32)));
  }
}

function decrypt(key: KeyObject, bytes: Buffer, additional: Buffer): string | undefined {
  const end = bytes.length - TAG_BYTES;
  try {
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(additional);
    decipher.setAuthTag(bytes.subarray(end));
    const text = decipher.update(bytes.subarray(NONCE_BYTES, end), undefined, "utf8");
    return text + decipher.final("utf8");
  } catch {
    return undefined;
  }
}
