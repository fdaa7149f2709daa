/**
 * Authenticates messages between nodes: each text is sent in an envelope with sender, recipient, time and
 * sequence number, signed with a key that only the nodes have, and accepted once.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { MessageProblem } from "../protocol/events.ts";
import { SequenceNumbers } from "./sequence_numbers.ts";

/** The maximum difference between the clocks of sender and recipient, in milliseconds. */
export const WINDOW_MS = 30_000;
/** The recipient of messages to every node. */
export const EVERY_NODE = "*";

const LABEL = "mooring nodes 1";
const encoder = new TextEncoder();

/** The result of opening an envelope. */
export type Opened =
  | { readonly problem: MessageProblem }
  | { readonly problem?: undefined; readonly from: string; readonly text: string };

/** Options for {@linkcode SignedEnvelopes}. */
export interface EnvelopesInit {
  /** This node's id. */
  readonly node: string;
  /** Secrets of 32 bytes or more: the first signs, all verify. */
  readonly keys: readonly (string | Uint8Array)[];
  /** The source of time. */
  readonly clock: Clock;
}

/** The header of an envelope: the line after its signature. */
type Head = readonly [from: string, to: string, at: number, number: number];

/** Signs and verifies envelopes, with HMAC-SHA-256 over every field. */
export class SignedEnvelopes {
  readonly #node: string;
  readonly #clock: Clock;
  readonly #keys: Promise<readonly CryptoKey[]>;
  readonly #numbers: SequenceNumbers;
  #number = 0;

  constructor({ node, keys, clock }: EnvelopesInit) {
    this.#node = node;
    this.#clock = clock;
    this.#numbers = new SequenceNumbers(clock, 2 * WINDOW_MS);
    this.#keys = Promise.all(keys.map((key) => deriveKey(key, LABEL)));
    // The rejection is handled where a key is used.
    this.#keys.catch(() => {});
  }

  /** Signs a text, and returns its envelope. */
  async seal(to: string, text: string): Promise<string> {
    const head: Head = [this.#node, to, this.#clock.now(), ++this.#number];
    const signed = `${JSON.stringify(head)}\n${text}`;
    const [key] = await this.#keys;
    if (key === undefined) throw new TypeError("Give a key to sign with");
    const mac = await crypto.subtle.sign("HMAC", key, bytesOf(signed));
    return `${btoa(String.fromCharCode(...new Uint8Array(mac)))}\n${signed}`;
  }

  /** Verifies an envelope. Returns its sender and text, or the reason to ignore it. */
  async open(envelope: string): Promise<Opened> {
    const end = envelope.indexOf("\n");
    const signed = envelope.slice(end + 1);
    const mac = decode(envelope.slice(0, Math.max(0, end)));
    const head = readHead(signed.slice(0, Math.max(0, signed.indexOf("\n"))));
    if (mac === undefined || head === undefined) return { problem: "malformed" };
    const [from, to, at, number] = head;
    if (to !== this.#node && to !== EVERY_NODE) return { problem: "misdirected" };
    if (Math.abs(this.#clock.now() - at) >= WINDOW_MS) return { problem: "stale" };
    if (from === this.#node || !await this.#signed(mac, bytesOf(signed))) {
      return { problem: "foreign" };
    }
    // Sequence numbers are only remembered of senders whose signature is valid.
    if (!this.#numbers.take(from, number)) return { problem: "replayed" };
    return { from, text: signed.slice(signed.indexOf("\n") + 1) };
  }

  async #signed(mac: Uint8Array<ArrayBuffer>, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    for (const key of await this.#keys) {
      if (await crypto.subtle.verify("HMAC", key, mac, bytes)) return true;
    }
    return false;
  }
}

/** Derives a key for one purpose only, so that a secret may be used for others too (RFC 5869). */
export async function deriveKey(secret: string | Uint8Array, purpose: string): Promise<CryptoKey> {
  const bytes = typeof secret === "string" ? encoder.encode(secret) : secret.slice();
  const base = await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey"]);
  return await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: encoder.encode(purpose) },
    base,
    { name: "HMAC", hash: "SHA-256", length: 256 },
    false,
    ["sign", "verify"],
  );
}

function bytesOf(signed: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${LABEL}\n${signed}`);
}

function readHead(line: string): Head | undefined {
  let head: unknown;
  try {
    head = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!Array.isArray(head) || head.length !== 4) return undefined;
  const [from, to, at, number]: unknown[] = head;
  if (typeof from !== "string" || typeof to !== "string") return undefined;
  if (typeof at !== "number" || typeof number !== "number") return undefined;
  return Number.isSafeInteger(number) && number > 0 ? [from, to, at, number] : undefined;
}

function decode(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}
