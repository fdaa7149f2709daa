/**
 * What is known of tokens, for a while and within bounds, without keeping the tokens.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { Principal } from "../protocol/exchange.ts";
import { Unavailable } from "./errors.ts";

/** What a {@linkcode TokenCache} goes by. */
export interface TokenCacheInit {
  readonly clock: Clock;
  /** How long a principal is remembered, in milliseconds; 0 is not at all. */
  readonly ttlMs: number;
  /** How many are remembered. */
  readonly most: number;
  /** How many may be looked for at a time. */
  readonly mostOpen: number;
  /** Finds out whose a token is. */
  readonly find: (token: string) => Promise<Principal>;
}

interface Known {
  readonly principal: Principal;
  readonly at: number;
  readonly until: number;
}

const encoder = new TextEncoder();

/** Remembers whose tokens are, by their hashes. Requests with one token at a time share one search. */
export class TokenCache {
  readonly #init: TokenCacheInit;
  /** The one used longest ago comes first. */
  readonly #known = new Map<string, Known>();
  readonly #open = new Map<string, Promise<Principal>>();

  constructor(init: TokenCacheInit) {
    this.#init = init;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#known.size;
  }

  /**
   * Whose a token is. What can't be found out is not remembered.
   *
   * @throws {Unavailable} If too many are looked for
   */
  async get(token: string): Promise<Principal> {
    const key = await hash(token);
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.#known.delete(key);
      const now = this.#init.clock.now();
      // A clock that was set back must not make it good for longer.
      if (known.at <= now && now < known.until) {
        this.#known.set(key, known);
        return known.principal;
      }
    }
    const open = this.#open.get(key);
    if (open !== undefined) return await open;
    if (this.#open.size >= this.#init.mostOpen) throw new Unavailable();
    const found = this.#find(key, token).finally(() => this.#open.delete(key));
    this.#open.set(key, found);
    return await found;
  }

  async #find(key: string, token: string): Promise<Principal> {
    const { clock, ttlMs, most, find } = this.#init;
    const principal = await find(token);
    const at = clock.now();
    const until = Math.min(at + ttlMs, principal.expiresAt ?? Infinity);
    if (until <= at) return principal;
    this.#known.set(key, { principal, at, until });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= most) break;
      this.#known.delete(oldest);
    }
    return principal;
  }
}

async function hash(token: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(token));
  return String.fromCharCode(...new Uint8Array(digest));
}
