/**
 * Encrypts and authenticates the documents that all nodes share, so that a program that can write to the
 * store, but has no key, can neither read nor forge one.
 *
 * @module
 */
import { TextSealer } from "../../internal/sealing.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";

const LABEL = "mooring documents 2";

/** A document, and a number that rises with each replacement. */
export interface NumberedDocument {
  /** The time when it was written, in milliseconds since the epoch; more if the one before is not older. */
  readonly number: number;
  readonly value: JsonObject;
}

/** Seals and opens documents. Each is bound to its name. */
export class SealedDocuments {
  readonly #sealer: TextSealer;

  /** @param keys Secrets of 32 bytes or more: the first encrypts, all decrypt */
  constructor(keys: readonly (string | Uint8Array)[]) {
    this.#sealer = new TextSealer(keys, LABEL);
  }

  /** Encrypts a document. */
  seal(name: string, { number, value }: NumberedDocument): Promise<string> {
    return this.#sealer.seal(headOf(name), JSON.stringify({ number, value }));
  }

  /** Decrypts a document. Returns `undefined` if no node of the cluster wrote it under this name. */
  async open(name: string, text: string): Promise<NumberedDocument | undefined> {
    const opened = await this.#sealer.open(headOf(name), text);
    if (opened === undefined) return undefined;
    const { number, value } = JSON.parse(opened);
    return Number.isSafeInteger(number) && isObject(value) ? { number, value } : undefined;
  }
}

function headOf(name: string): string {
  return JSON.stringify([LABEL, name]);
}
