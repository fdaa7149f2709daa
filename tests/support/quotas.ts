/**
 * Quotas in memory that answer as a store on another machine does: later, or not at all. They count what
 * they are asked.
 *
 * @module
 */
import { MemoryQuotas } from "../../src/cluster/memory/quotas.ts";
import type { Clock } from "../../src/internal/clock.ts";
import type {
  QuotaRequest,
  QuotaStore,
  TokenGrant,
  TokenRequest,
} from "../../src/internal/quota_store.ts";

/** A {@linkcode QuotaStore} whose answers come when a test lets them. */
export class RemoteQuotas implements QuotaStore {
  /** How often it was asked. */
  commands = 0;
  /** Whether it can't be reached. */
  away = false;
  /** The time that an answer takes, in milliseconds; 0 for the next turn. */
  latencyMs = 0;
  readonly inner: MemoryQuotas;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.inner = new MemoryQuotas(clock);
  }

  hold(quota: string, node: string, request: QuotaRequest): Promise<number> {
    return this.#answer(() => this.inner.hold(quota, node, request));
  }

  spend(bucket: string, request: TokenRequest): Promise<TokenGrant> {
    return this.#answer(() => this.inner.spend(bucket, request));
  }

  async #answer<T>(make: () => T): Promise<T> {
    this.commands++;
    if (this.away) throw new Error("The store is away");
    const answer = make();
    if (this.latencyMs > 0) {
      await new Promise<void>((resolve) => this.#clock.timer(this.latencyMs, resolve));
    }
    return answer;
  }
}
