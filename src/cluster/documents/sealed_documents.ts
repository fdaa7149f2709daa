/**
 * Encrypts and authenticates the documents that all nodes share, so that a program that can write to the
 * store, but has no key, can neither read nor forge one.
 *
 * @module
 */
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { decode, decrypt, deriveKey, encode, encrypt } from "../node_keys.ts";

const LABEL = "mooring documents 1";
const IV_BYTES = 12;
/** The number of base64 characters of a nonce. */
const IV_CHARS = 16;

/** A document, and a number that rises with each replacement. */
export interface NumberedDocument {
  /** The time when it was written, in milliseconds since the epoch; more if the one before is not older. */
  readonly number: number;
  readonly value: JsonObject;
}

/** Seals and opens documents, with AES-256-GCM. Each is bound to its name. */
export class SealedDocuments {
  readonly #keys: Promise<readonly CryptoKey[]>;

  /** @param keys Secrets of 32 bytes or more: the first encrypts, all decrypt */
  constructor(keys: readonly (string | Uint8Array)[]) {
    const use = { purpose: LABEL, algorithm: "AES-GCM" } as const;
    this.#keys = Promise.all(keys.map((key) => deriveKey(key, use)));
    // The rejection is handled where a key is used.
    this.#keys.catch(() => {});
  }

  /** Encrypts a document. Documents change so seldom that random nonces don't repeat. */
  async seal(name: string, { number, value }: NumberedDocument): Promise<string> {
    const [key] = await this.#keys;
    if (key === undefined) throw new TypeError("Give a key to seal with");
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    return encode(iv) + await encrypt(key, iv, headOf(name), JSON.stringify({ number, value }));
  }

  /** Decrypts a document. Returns `undefined` if no node of the cluster wrote it under this name. */
  async open(name: string, text: string): Promise<NumberedDocument | undefined> {
    const iv = decode(text.slice(0, IV_CHARS));
    const sealed = decode(text.slice(IV_CHARS));
    if (iv?.length !== IV_BYTES || sealed === undefined) return undefined;
    for (const key of await this.#keys) {
      const opened = await decrypt(key, iv, headOf(name), sealed);
      if (opened === undefined) continue;
      const { number, value } = JSON.parse(opened);
      return Number.isSafeInteger(number) && isObject(value) ? { number, value } : undefined;
    }
    return undefined;
  }
}

function headOf(name: string): string {
  return JSON.stringify([LABEL, name]);
}
