/**
 * The nodes of one process, and what they hold.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { Claims, NodeFacts, Nodes } from "./types.ts";

interface Dated<T> {
  readonly value: T;
  /** When it is forgotten, in milliseconds since the epoch. */
  readonly until: number;
}

/** Values by key, each with its own end. What is over is thrown away as others are written. */
class Expiring<T> {
  readonly #clock: Clock;
  readonly #values = new Map<string, Dated<T>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: string): T | undefined {
    const dated = this.#values.get(key);
    return dated !== undefined && dated.until > this.#clock.now() ? dated.value : undefined;
  }

  set(key: string, value: T, ttlMs: number): void {
    const now = this.#clock.now();
    // Those written longest ago come first, so what is looked at is nearly always thrown away.
    this.#values.delete(key);
    for (const [old, { until }] of this.#values) {
      if (until > now) break;
      this.#values.delete(old);
    }
    this.#values.set(key, { value, until: now + ttlMs });
  }

  delete(key: string): void {
    this.#values.delete(key);
  }
}

/** {@linkcode Nodes} in memory. */
export class MemoryNodes implements Nodes {
  readonly #nodes: Expiring<NodeFacts>;

  /** Makes a place where no node lives. */
  constructor(clock: Clock) {
    this.#nodes = new Expiring(clock);
  }

  beat(node: NodeFacts, ttlMs: number): void {
    this.#nodes.set(node.id, node, ttlMs);
  }

  find(id: string): NodeFacts | undefined {
    return this.#nodes.get(id);
  }

  leave(id: string): void {
    this.#nodes.delete(id);
  }
}

/** {@linkcode Claims} in memory. */
export class MemoryClaims implements Claims {
  readonly #holders: Expiring<string>;

  /** Makes a place where nothing is claimed. */
  constructor(clock: Clock) {
    this.#holders = new Expiring(clock);
  }

  claim(session: string, node: string, ttlMs: number): string {
    const holder = this.#holders.get(session) ?? node;
    if (holder === node) this.#holders.set(session, node, ttlMs);
    return holder;
  }

  holder(session: string): string | undefined {
    return this.#holders.get(session);
  }

  release(session: string, node: string): void {
    if (this.#holders.get(session) === node) this.#holders.delete(session);
  }
}
