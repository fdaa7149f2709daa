/**
 * The metadata of an OpenID provider, which is read again from time to time, and after a failure.
 *
 * @module
 */
import type { AuthorizationServer } from "oauth4webapi";
import type { Clock } from "../../../mod.ts";

/** The time for which metadata is used before it is read again, in milliseconds. */
const FRESH_MS = 3_600_000;
/** The time for which older metadata is used while it can't be read, in milliseconds. */
const STALE_MS = 24 * FRESH_MS;
/** The time from one failure to the next attempt, while older metadata is used, in milliseconds. */
const RETRY_MS = 5_000;

/** Keeps the metadata of a provider. Callers at the same time share one request. */
export class Discovery {
  readonly #load: () => Promise<AuthorizationServer>;
  readonly #clock: Clock;
  #kept: { readonly metadata: AuthorizationServer; readonly at: number } | undefined;
  #pending: Promise<AuthorizationServer> | undefined;
  #failedAt = -Infinity;

  /**
   * Makes it, without any metadata.
   *
   * @param load Reads the metadata
   * @param clock The source of time
   */
  constructor(load: () => Promise<AuthorizationServer>, clock: Clock) {
    this.#load = load;
    this.#clock = clock;
  }

  /**
   * Returns the metadata.
   *
   * @throws What `load` throws, if there is no older metadata
   */
  async get(): Promise<AuthorizationServer> {
    const kept = this.#kept;
    const age = kept === undefined ? Infinity : this.#since(kept.at);
    if (kept !== undefined && age < FRESH_MS) return kept.metadata;
    if (kept === undefined || age >= STALE_MS) return await this.#read();
    if (this.#since(this.#failedAt) < RETRY_MS) return kept.metadata;
    return await this.#read().catch(() => kept.metadata);
  }

  #read(): Promise<AuthorizationServer> {
    // A request must not wait for another one, which may end before.
    if (this.#clock.perRequest === true) return this.#begin();
    return this.#pending ??= this.#begin().finally(() => this.#pending = undefined);
  }

  async #begin(): Promise<AuthorizationServer> {
    try {
      const metadata = await this.#load();
      this.#kept = { metadata, at: this.#clock.now() };
      return metadata;
    } catch (error) {
      this.#failedAt = this.#clock.now();
      throw error;
    }
  }

  /** Returns the milliseconds since a time; also positive if the clock was set back before it. */
  #since(then: number): number {
    return Math.abs(this.#clock.now() - then);
  }
}
