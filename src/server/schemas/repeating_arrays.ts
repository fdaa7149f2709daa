/**
 * Finds the arrays with equal items in a value, in linear time.
 *
 * @module
 */
import { isObject } from "../../protocol/jsonrpc.ts";

/** Limits the work of comparing arrays in one validation, in values. */
const MOST_COMPARED = 10_000_000;

/**
 * Lists the arrays with equal items of the value that is being validated. The validator's own check of
 * `uniqueItems` compares each item with each other. So it gets `{ not: { enum: this } }` instead: an array
 * has different items if it equals none of these.
 */
export class RepeatingArrays extends Array<readonly unknown[]> {
  readonly #weights = new Map<readonly unknown[], number>();
  readonly #seen = new Set<number>();
  /** Each different value an id. */
  readonly #ids = new Map<string, number>();
  #nodes = 0;
  #compared = 0;

  /** Lists the arrays of a value instead. */
  begin(value: unknown): void {
    this.clear();
    this.#idOf(value);
    this.#ids.clear();
    this.#seen.clear();
  }

  /** Forgets the value. */
  clear(): void {
    this.length = this.#nodes = this.#compared = 0;
    this.#weights.clear();
    this.#ids.clear();
    this.#seen.clear();
  }

  /**
   * Tells whether one of the arrays passes a test.
   *
   * @throws {RangeError} If the tests of this validation take too long
   */
  override some(
    isEqual: (array: readonly unknown[], index: number, all: this) => unknown,
  ): boolean {
    for (const [index, array] of this.entries()) {
      this.#compared += this.#weights.get(array) ?? 1;
      if (this.#compared > MOST_COMPARED) throw new RangeError("Too many arrays to compare");
      if (isEqual(array, index, this)) return true;
    }
    return false;
  }

  /** Keeps the list out of the validator's messages. */
  toJSON(): readonly unknown[] {
    return [];
  }

  /** Returns the same number for equal values, bottom up: each value is read once. */
  #idOf(value: unknown): number {
    const before = this.#nodes++;
    if (Array.isArray(value)) {
      const items = value.map((item) => this.#idOf(item));
      const id = this.#intern(`[${items}]`);
      if (new Set(items).size < items.length && !this.#seen.has(id)) {
        this.#seen.add(id);
        this.#weights.set(value, this.#nodes - before);
        this.push(value);
      }
      return id;
    }
    if (!isObject(value)) return this.#intern(`${typeof value} ${String(value)}`);
    const members = Object.keys(value).sort().map((key) =>
      `${JSON.stringify(key)}:${this.#idOf(value[key])}`
    );
    return this.#intern(`{${members}}`);
  }

  #intern(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const id = this.#ids.size;
    this.#ids.set(text, id);
    return id;
  }
}
