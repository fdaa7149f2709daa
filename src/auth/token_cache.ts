/**
 * Caches the principals of valid tokens, without keeping the tokens themselves.
 *
 * @module
 */
import { BoundedMap } from "../internal/bounded_map.ts";
import type { Clock } from "../internal/clock.ts";
import type { Principal } from "../protocol/exchange.ts";
import { Unavailable } from "./errors.ts";

/** Options for {@linkcode TokenCache}. */
export interface TokenCacheInit {
  /** The source of time. */
  readonly clock: Clock;
  /** The time for which a principal is cached, in milliseconds; 0 turns the cache off. */
  readonly ttlMs: number;
  /** The maximum number of cached principals. */
  readonly maxEntries: number;
  /** The maximum number of tokens that are verified at a time. */
  readonly maxPending: number;
  /** Returns the principal of a token that is not in the cache, if it is for one of the audiences. */
  readonly verify: (token: string, audiences: readonly string[]) => Promise<Principal>;
}

interface CachedPrincipal {
  readonly principal: Principal;
  readonly at: number;
  readonly until: number;
}

const encoder = new TextEncoder();

/** A bounded cache of principals by the hash of their token. Concurrent requests share a verification. */
export class TokenCache {
  readonly #init: TokenCacheInit;
  /** The least recently used entry comes first. */
  readonly #entries: BoundedMap<string, CachedPrincipal>;
  readonly #pending = new Map<string, Promise<Principal>>();

  constructor(init: TokenCacheInit) {
    this.#init = init;
    this.#entries = new BoundedMap(init.maxEntries);
  }

  /**
   * Returns the principal of a token for one of some audiences. Failures are not cached.
   *
   * @throws {Unavailable} If too many tokens are being verified
   */
  async get(token: string, audiences: readonly string[] = []): Promise<Principal> {
    // A token has no spaces
    const key = await hash([token, ...audiences].join(" "));
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      this.#entries.delete(key);
      const now = this.#init.clock.now();
      // A clock that was set back must not extend the entry's life.
      if (entry.at <= now && now < entry.until) {
        this.#entries.set(key, entry);
        return entry.principal;
      }
    }
    // A verification must not wait for another request, which may end before.
    if (this.#init.clock.perRequest === true) return await this.#verify(key, token, audiences);
    const pending = this.#pending.get(key);
    if (pending !== undefined) return await pending;
    if (this.#pending.size >= this.#init.maxPending) throw new Unavailable();
    const verified = this.#verify(key, token, audiences).finally(() => this.#pending.delete(key));
    this.#pending.set(key, verified);
    return await verified;
  }

  async #verify(key: string, token: string, audiences: readonly string[]): Promise<Principal> {
    const { clock, ttlMs, verify } = this.#init;
    const principal = await verify(token, audiences);
    const at = clock.now();
    const until = Math.min(at + ttlMs, principal.expiresAt ?? Infinity);
    if (until <= at) return principal;
    this.#entries.set(key, { principal, at, until });
    return principal;
  }
}

async function hash(token: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(token));
  return String.fromCharCode(...new Uint8Array(digest));
}
