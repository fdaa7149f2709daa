/**
 * Encrypts and authenticates messages between nodes: each text is sent in an envelope whose head names sender,
 * recipient, time and sequence number. Only nodes with the key can read or write one, and it is accepted once.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import type { MessageProblem } from "../../protocol/events.ts";
import { fromBase64 } from "../../internal/base64.ts";
import { BoundedMap } from "../../internal/bounded_map.ts";
import { decrypt, deriveKey, encrypt } from "../../internal/sealing.ts";
import { SequenceNumbers } from "./sequence_numbers.ts";

/** The maximum difference between the clocks of sender and recipient, in milliseconds. */
export const WINDOW_MS = 30_000;
/** The recipient of messages to every node. */
export const EVERY_NODE = "*";

/** The form of envelopes: nodes ignore those of another form. */
const LABEL = "mooring nodes 2";
/** The maximum number of senders whose key is kept. */
const MOST_KEYS = 1_024;

/** The result of opening an envelope. */
export type Opened =
  | { readonly problem: MessageProblem }
  | { readonly problem?: undefined; readonly from: string; readonly text: string };

/** Options for {@linkcode SealedEnvelopes}. */
export interface EnvelopesInit {
  /** This node's id, which no other handler has ever had. */
  readonly node: string;
  /** Secrets of 32 bytes or more: the first encrypts, all decrypt. */
  readonly keys: readonly (string | Uint8Array)[];
  /** The source of time. */
  readonly clock: Clock;
}

/** The head of an envelope: its first line. */
type Head = readonly [from: string, to: string, at: number, number: number];

/**
 * Seals and opens envelopes, with AES-256-GCM.
 *
 * Each node has a key of its own, derived from the common secret and its id, and uses its sequence numbers
 * as nonces: so no nonce is used twice under one key, however many nodes and messages there are.
 */
export class SealedEnvelopes {
  readonly #init: EnvelopesInit;
  readonly #own: Promise<CryptoKey>;
  /** The keys of senders, by their ids: only of those whose envelopes were authentic. */
  readonly #keys = new BoundedMap<string, CryptoKey>(MOST_KEYS);
  readonly #numbers: SequenceNumbers;
  #number = 0;

  constructor(init: EnvelopesInit) {
    const { node, keys: [first], clock } = init;
    this.#init = init;
    if (first === undefined) throw new TypeError("Give a key to seal with");
    this.#own = keyOf(first, node);
    // The rejection is handled where the key is used.
    this.#own.catch(() => {});
    this.#numbers = new SequenceNumbers(clock, 2 * WINDOW_MS);
  }

  /** The number of senders whose key is kept. */
  get size(): number {
    return this.#keys.size;
  }

  /** Seals a text, and returns its envelope. */
  async seal(to: string, text: string): Promise<string> {
    const { node, clock } = this.#init;
    // The number is taken before anything is awaited: nobody else gets it.
    const number = ++this.#number;
    const line = JSON.stringify([node, to, clock.now(), number] satisfies Head);
    return `${line}\n${await encrypt(await this.#own, nonceOf(number), headOf(line), text)}`;
  }

  /** Opens an envelope. Returns its sender and text, or the reason to ignore it. */
  async open(envelope: string): Promise<Opened> {
    const { node, clock } = this.#init;
    const end = envelope.indexOf("\n");
    const line = envelope.slice(0, Math.max(0, end));
    const head = readHead(line);
    const sealed = head && fromBase64(envelope.slice(end + 1));
    if (head === undefined || sealed === undefined) return { problem: "malformed" };
    const [from, to, at, number] = head;
    if (to !== node && to !== EVERY_NODE) return { problem: "misdirected" };
    if (Math.abs(clock.now() - at) >= WINDOW_MS) return { problem: "stale" };
    if (from === node) return { problem: "foreign" };
    const text = await this.#decrypt(from, number, headOf(line), sealed);
    if (text === undefined) return { problem: "foreign" };
    // Sequence numbers are only remembered of senders whose envelopes are authentic.
    if (!this.#numbers.take(from, number)) return { problem: "replayed" };
    return { from, text };
  }

  async #decrypt(
    from: string,
    number: number,
    head: string,
    sealed: Uint8Array<ArrayBuffer>,
  ): Promise<string | undefined> {
    const iv = nonceOf(number);
    const known = this.#keys.get(from);
    if (known !== undefined) return await decrypt(known, iv, head, sealed);
    for (const secret of this.#init.keys) {
      const key = await keyOf(secret, from);
      const text = await decrypt(key, iv, head, sealed);
      if (text === undefined) continue;
      this.#keys.set(from, key);
      return text;
    }
    return undefined;
  }
}

/** Derives the key of a node. */
function keyOf(secret: string | Uint8Array, node: string): Promise<CryptoKey> {
  return deriveKey(secret, { purpose: LABEL, salt: node, algorithm: "AES-GCM" });
}

/** Writes a sequence number as the nonce of 96 bits (NIST SP 800-38D, 8.2.1). */
function nonceOf(number: number): Uint8Array<ArrayBuffer> {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(number));
  return nonce;
}

function headOf(line: string): string {
  return `${LABEL}\n${line}`;
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
