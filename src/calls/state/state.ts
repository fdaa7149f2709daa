/**
 * Encrypts the state that a client sends from one round of a request to the next. Only this endpoint can
 * decrypt it, and only for the same request of the same principal (2026-07-28, Multi Round-Trip
 * Requests).
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";

/** The request that a state is bound to: it can't be decrypted for another one. */
export interface StateBinding {
  /** The owner's key. */
  readonly owner: string;
  readonly method: string;
  readonly params: JsonObject;
}

/** Options for {@linkcode StateSealer}. */
export interface StateSealerOptions {
  /** Secrets of 32 bytes or more: the first encrypts, all decrypt. A random one if empty. */
  readonly keys: readonly (string | Uint8Array)[];
  /** The time for which a state is valid, in milliseconds. */
  readonly ttlMs: number;
  readonly clock: Clock;
}

const IV_BYTES = 12;
/** Parameters that differ between the rounds of one request. */
const PER_ROUND = new Set(["_meta", "inputResponses", "requestState"]);

/** Encrypts and decrypts states with AES-GCM. */
export class StateSealer {
  readonly #options: StateSealerOptions;
  #keys: Promise<readonly CryptoKey[]> | undefined;

  constructor(options: StateSealerOptions) {
    this.#options = options;
  }

  /** Encrypts a JSON object, valid for `ttlMs` milliseconds. */
  async seal(
    data: JsonObject,
    binding: StateBinding,
    ttlMs = this.#options.ttlMs,
  ): Promise<string> {
    const [key] = await this.#imported();
    if (key === undefined) throw new TypeError("Give a key to seal with");
    const { clock } = this.#options;
    const text = JSON.stringify({ until: clock.now() + ttlMs, data });
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const sealed = await crypto.subtle.encrypt(
      { name: "AES-GCM", iv, additionalData: boundTo(binding) },
      key,
      new TextEncoder().encode(text),
    );
    return toBase64Url(iv, new Uint8Array(sealed));
  }

  /**
   * Decrypts a state. Returns `undefined` if it was encrypted with another key or for another request or
   * principal, or is too old.
   */
  async open(state: string, binding: StateBinding): Promise<JsonObject | undefined> {
    const bytes = fromBase64Url(state);
    if (bytes === undefined || bytes.byteLength <= IV_BYTES) return undefined;
    const algorithm = {
      name: "AES-GCM",
      iv: bytes.subarray(0, IV_BYTES),
      additionalData: boundTo(binding),
    };
    for (const key of await this.#imported()) {
      try {
        const text = await crypto.subtle.decrypt(algorithm, key, bytes.subarray(IV_BYTES));
        return this.#fresh(JSON.parse(new TextDecoder().decode(text)));
      } catch {
        // Another key may fit.
      }
    }
    return undefined;
  }

  #fresh(opened: unknown): JsonObject | undefined {
    if (!isObject(opened) || typeof opened.until !== "number") return undefined;
    if (opened.until <= this.#options.clock.now() || !isObject(opened.data)) return undefined;
    return opened.data;
  }

  #imported(): Promise<readonly CryptoKey[]> {
    const { keys } = this.#options;
    const secrets = keys.length > 0 ? keys : [crypto.getRandomValues(new Uint8Array(32))];
    return this.#keys ??= Promise.all(secrets.map(importKey));
  }
}

async function importKey(secret: string | Uint8Array): Promise<CryptoKey> {
  const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret.slice();
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return await crypto.subtle.importKey("raw", digest, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** Encodes the binding as the cipher's additional authenticated data. */
function boundTo({ owner, method, params }: StateBinding): Uint8Array<ArrayBuffer> {
  const same = Object.entries(params).filter(([key]) => !PER_ROUND.has(key));
  const text = canonical(["mooring state 1", owner, method, Object.fromEntries(same)]);
  return new TextEncoder().encode(text);
}

/** Writes JSON with sorted keys, so that the order in which a client writes them doesn't matter. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (!isObject(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function toBase64Url(...parts: readonly Uint8Array[]): string {
  let binary = "";
  for (const part of parts) for (const byte of part) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}
