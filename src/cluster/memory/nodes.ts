/**
 * Implements the registries of nodes and claims in memory.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import type { Claims, NodeFacts, Nodes } from "../types.ts";

/** A value that expires. */
export interface Expirable<T> {
  readonly value: T;
  /** When the value expires, in milliseconds since the epoch. */
  readonly until: number;
}

/** Values by key that expire. Expired values are removed when others are set. */
class ExpiringEntry<T> {
  readonly #clock: Clock;
  readonly #values: Map<string, Expirable<T>>;

  constructor(clock: Clock, values = new Map<string, Expirable<T>>()) {
    this.#clock = clock;
    this.#values = values;
  }

  get(key: string): T | undefined {
    const entry = this.#values.get(key);
    return entry !== undefined && entry.until > this.#clock.now() ? entry.value : undefined;
  }

  set(key: string, value: T, ttlMs: number): void {
    const now = this.#clock.now();
    // The oldest values come first, so the loop stops at the first one that has not expired.
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
  readonly #nodes: ExpiringEntry<NodeFacts>;

  /** Creates a registry without nodes. */
  constructor(clock: Clock) {
    this.#nodes = new ExpiringEntry(clock);
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
  readonly #holders: ExpiringEntry<string>;

  /**
   * Creates a registry.
   *
   * @param clock The source of time
   * @param holders What it keeps; nothing at first when left out
   */
  constructor(clock: Clock, holders?: Map<string, Expirable<string>>) {
    this.#holders = new ExpiringEntry(clock, holders);
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
