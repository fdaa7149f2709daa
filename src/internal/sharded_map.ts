/**
 * A map that can have very many entries.
 *
 * @module
 */

/** How many parts there are: a power of two. */
const SHARDS = 64;

/**
 * A map from texts in many parts: which one is for a text is decided by its last two characters, so
 * these should differ, as those of random ids do. When a map outgrows its table, or has too many holes in it, all of
 * it is put into a new one at once, which takes 5 to 11 ms for 100,000 entries. A part of them is done
 * in a fraction of a millisecond.
 */
export class ShardedMap<V> {
  /** The parts, each in the order in which its entries were set. */
  readonly shards: readonly Map<string, V>[] = Array.from({ length: SHARDS }, () => new Map());

  #size = 0;

  /** How many entries there are. */
  get size(): number {
    return this.#size;
  }

  /** The value of a key. */
  get(key: string): V | undefined {
    return this.#shardOf(key).get(key);
  }

  /** Whether there is a value for a key. */
  has(key: string): boolean {
    return this.#shardOf(key).has(key);
  }

  /** Sets the value of a key. */
  set(key: string, value: V): void {
    const shard = this.#shardOf(key);
    const { size } = shard;
    shard.set(key, value);
    this.#size += shard.size - size;
  }

  /** Forgets a key. `false` when it was unknown. */
  delete(key: string): boolean {
    const known = this.#shardOf(key).delete(key);
    if (known) this.#size -= 1;
    return known;
  }

  /** All keys, part by part. */
  *keys(): IterableIterator<string> {
    for (const shard of this.shards) yield* shard.keys();
  }

  /** All values, part by part. */
  *values(): IterableIterator<V> {
    for (const shard of this.shards) yield* shard.values();
  }

  #shardOf(key: string): Map<string, V> {
    const { length } = key;
    const hash = key.charCodeAt(length - 1) * 31 + key.charCodeAt(length - 2) * 7;
    // There is a part for each of these numbers.
    return this.shards[hash & (SHARDS - 1)] as Map<string, V>;
  }
}
