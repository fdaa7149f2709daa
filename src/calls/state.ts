/**
 * State that a client carries from one round of a request to the next, sealed so that only this
 * endpoint can read it, and only for the same request of the same principal (2026-07-28, Multi
 * Round-Trip Requests).
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";

/** What a state is good for: nothing else opens it. */
export interface StateBinding {
  /** The owner's key. */
  readonly owner: string;
  readonly method: string;
  readonly params: JsonObject;
}

/** How keys, lifetime and time are given. */
export interface StateSealerOptions {
  /** Secrets of 32 bytes or more: the first seals, all open. Random when there are none. */
  readonly keys: readonly (string | Uint8Array)[];
  /** How long a state is good, in milliseconds. */
  readonly ttlMs: number;
  readonly clock: Clock;
}

const IV_BYTES = 12;
/** Parameters that differ between the rounds of one request. */
const PER_ROUND = new Set(["_meta", "inputResponses", "requestState"]);

/** Seals and opens states with AES-GCM. */
export class StateSealer {
  readonly #options: StateSealerOptions;
  #keys: Promise<readonly CryptoKey[]> | undefined;

  constructor(options: StateSealerOptions) {
    this.#options = options;
  }

  /** Seals a JSON object. */
  async seal(data: JsonObject, binding: StateBinding): Promise<string> {
    const [key] = await this.#imported();
    if (key === undefined) throw new TypeError("Give a key to seal with");
    const { clock, ttlMs } = this.#options;
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
   * Opens a state: `undefined` when it was not sealed here, is for something or somebody else, or is
   * too old.
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

/** What a state is bound to, as the cipher's additional data. */
function boundTo({ owner, method, params }: StateBinding): Uint8Array<ArrayBuffer> {
  const same = Object.entries(params).filter(([key]) => !PER_ROUND.has(key));
  const text = canonical(["mooring state 1", owner, method, Object.fromEntries(same)]);
  return new TextEncoder().encode(text);
}

/** JSON whose objects have their keys in order, so that a client may write them in any. */
function canonical(value: unknown): string {
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
