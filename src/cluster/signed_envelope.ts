/**
 * What makes nodes believe each other: each text travels in an envelope that says from whom, to whom
 * and when, signed with a key that only the nodes have, and good for one time.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { MessageProblem } from "../protocol/events.ts";
import { SequenceNumbers } from "./sequence_numbers.ts";

/** How far a sender's clock may be from the reader's, in milliseconds. */
const WINDOW_MS = 30_000;
/** Stands for every node. */
export const EVERY_NODE = "*";

const LABEL = "mooring nodes 1";
const encoder = new TextEncoder();

/** What an envelope held. */
export type Opened =
  | { readonly problem: MessageProblem }
  | { readonly problem?: undefined; readonly from: string; readonly text: string };

/** How keys, node and time are given. */
export interface EnvelopesInit {
  /** The reader's and writer's own id. */
  readonly node: string;
  /** Secrets of 32 bytes or more: the first signs, all are believed. */
  readonly keys: readonly (string | Uint8Array)[];
  /** Where the time comes from. */
  readonly clock: Clock;
}

/** The first line of an envelope after its signature. */
type Head = readonly [from: string, to: string, at: number, number: number];

/** Signs and checks envelopes (HMAC-SHA-256 over every field). */
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
    this.#keys = Promise.all(keys.map(deriveKey));
    // Whoever uses a key learns of it.
    this.#keys.catch(() => {});
  }

  /** Puts a text into an envelope. */
  async seal(to: string, text: string): Promise<string> {
    const head: Head = [this.#node, to, this.#clock.now(), ++this.#number];
    const signed = `${JSON.stringify(head)}\n${text}`;
    const [key] = await this.#keys;
    if (key === undefined) throw new TypeError("Give a key to sign with");
    const mac = await crypto.subtle.sign("HMAC", key, bytesOf(signed));
    return `${btoa(String.fromCharCode(...new Uint8Array(mac)))}\n${signed}`;
  }

  /** Takes a text out of an envelope, unless there is something wrong with it. */
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
    // Only of those who have a key anything is remembered.
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

/** A key for this purpose alone, so that a secret can serve others too (RFC 5869). */
async function deriveKey(secret: string | Uint8Array): Promise<CryptoKey> {
  const bytes = typeof secret === "string" ? encoder.encode(secret) : secret.slice();
  const base = await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey"]);
  return await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: encoder.encode(LABEL) },
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
