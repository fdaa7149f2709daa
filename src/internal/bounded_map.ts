/**
 * Limits maps and sets: what was set last pushes out what was set first.
 *
 * @module
 */

/** A map with a limited number of entries. Setting an entry makes it the last; the first is forgotten. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #most: number;
  readonly #onForget: ((value: V, key: K) => void) | undefined;

  /**
   * Creates an empty map.
   *
   * @param most The maximum number of entries
   * @param onForget Called with each entry that was pushed out, not with those that are deleted
   */
  constructor(most: number, onForget?: (value: V, key: K) => void) {
    super();
    this.#most = most;
    this.#onForget = onForget;
  }

  /** Sets an entry, and makes it the last. */
  override set(key: K, value: V): this {
    this.delete(key);
    super.set(key, value);
    if (this.size <= this.#most) return this;
    for (const [oldest, forgotten] of this) {
      this.delete(oldest);
      this.#onForget?.(forgotten, oldest);
      break;
    }
    return this;
  }
}

/** A set with a limited number of values. Adding a value makes it the last; the first is forgotten. */
export class BoundedSet<T> extends Set<T> {
  readonly #most: number;
  readonly #onForget: ((value: T) => void) | undefined;

  /**
   * Creates an empty set.
   *
   * @param most The maximum number of values
   * @param onForget Called with each value that was pushed out, not with those that are deleted
   */
  constructor(most: number, onForget?: (value: T) => void) {
    super();
    this.#most = most;
    this.#onForget = onForget;
  }

  /** Adds a value, and makes it the last. */
  override add(value: T): this {
    this.delete(value);
    super.add(value);
    if (this.size <= this.#most) return this;
    for (const oldest of this) {
      this.delete(oldest);
      this.#onForget?.(oldest);
      break;
    }
    return this;
  }
}
