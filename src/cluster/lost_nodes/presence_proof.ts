/**
 * Proves that a node itself has written that it is alive: a program that can write to the store, but has
 * no key, can't keep a dead node alive for longer than the clocks of nodes may differ.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import { fromBase64, toBase64 } from "../../internal/base64.ts";
import { deriveKey } from "../../internal/sealing.ts";
import { WINDOW_MS } from "../messages/sealed_envelope.ts";

const LABEL = "mooring presence 1";
const encoder = new TextEncoder();

/** Writes and checks proofs: the time and an HMAC-SHA-256 of the node's id and the time. */
export class PresenceProof {
  readonly #clock: Clock;
  readonly #keys: Promise<readonly CryptoKey[]>;

  /** @param keys Secrets of 32 bytes or more: the first signs, all verify */
  constructor(keys: readonly (string | Uint8Array)[], clock: Clock) {
    this.#clock = clock;
    this.#keys = Promise.all(
      keys.map((key) => deriveKey(key, { purpose: LABEL, algorithm: "HMAC" })),
    );
    // The rejection is handled where a key is used.
    this.#keys.catch(() => {});
  }

  /** Returns the proof that a node is alive now. */
  async write(node: string): Promise<string> {
    const at = this.#clock.now();
    const [key] = await this.#keys;
    if (key === undefined) throw new TypeError("Give a key to sign with");
    const mac = await crypto.subtle.sign("HMAC", key, signed(node, at));
    return `${at} ${toBase64(new Uint8Array(mac))}`;
  }

  /** Tells whether a node has written a proof lately. */
  async check(node: string, proof: string | undefined): Promise<boolean> {
    const [, at, mac] = /^(\d{1,16}) ([A-Za-z0-9+/]{43}=)$/.exec(proof ?? "") ?? [];
    if (at === undefined || mac === undefined) return false;
    if (Math.abs(this.#clock.now() - Number(at)) >= WINDOW_MS) return false;
    const bytes = fromBase64(mac);
    if (bytes === undefined) return false;
    for (const key of await this.#keys) {
      if (await crypto.subtle.verify("HMAC", key, bytes, signed(node, Number(at)))) return true;
    }
    return false;
  }
}

function signed(node: string, at: number): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify([LABEL, node, at]));
}
