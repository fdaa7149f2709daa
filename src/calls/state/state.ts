/**
 * Encrypts the state that a client sends from one round of a request to the next. Only this endpoint can
 * decrypt it, and only for the same request of the same principal (2026-07-28, Multi Round-Trip
 * Requests).
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import { TextSealer } from "../../internal/sealing.ts";
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

const PURPOSE = "mooring state 2";
/** Parameters that differ between the rounds of one request. */
const PER_ROUND = new Set(["_meta", "inputResponses", "requestState"]);

/** Encrypts and decrypts states. */
export class StateSealer {
  readonly #options: StateSealerOptions;
  #sealer: TextSealer | undefined;

  constructor(options: StateSealerOptions) {
    this.#options = options;
  }

  /** Encrypts a JSON object, valid for `ttlMs` milliseconds. */
  seal(data: JsonObject, binding: StateBinding, ttlMs = this.#options.ttlMs): Promise<string> {
    const until = this.#options.clock.now() + ttlMs;
    return this.#own.seal(aboutOf(binding), JSON.stringify({ until, data }));
  }

  /**
   * Decrypts a state. Returns `undefined` if it was encrypted with another key or for another request or
   * principal, or is too old.
   */
  async open(state: string, binding: StateBinding): Promise<JsonObject | undefined> {
    const text = await this.#own.open(aboutOf(binding), state);
    return text === undefined ? undefined : this.#fresh(JSON.parse(text));
  }

  #fresh(opened: unknown): JsonObject | undefined {
    if (!isObject(opened) || typeof opened.until !== "number") return undefined;
    if (opened.until <= this.#options.clock.now() || !isObject(opened.data)) return undefined;
    return opened.data;
  }

  /** Some hosts give no random values before the first request. */
  get #own(): TextSealer {
    if (this.#sealer !== undefined) return this.#sealer;
    const { keys } = this.#options;
    const secrets = keys.length > 0 ? keys : [crypto.getRandomValues(new Uint8Array(32))];
    return this.#sealer = new TextSealer(secrets, PURPOSE);
  }
}

/** Writes what a state is bound to. */
function aboutOf({ owner, method, params }: StateBinding): string {
  const same = Object.entries(params).filter(([key]) => !PER_ROUND.has(key));
  return canonical([owner, method, Object.fromEntries(same)]);
}

/** Writes JSON with sorted keys, so that the order in which a client writes them doesn't matter. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (!isObject(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
