/**
 * Implements a binary heap whose items change their weight.
 *
 * @module
 */

/** An item of at most one {@linkcode MaxHeap} at a time. Only the heap writes its index. */
export interface HeapItem {
  /** The weight. After it has changed, call {@linkcode MaxHeap.update}. */
  readonly weight: number;
  /** The item's index in the heap. */
  index: number;
}

/** Finds the heaviest of its items. Each change takes logarithmic time at most. */
export class MaxHeap<T extends HeapItem> {
  readonly #items: T[] = [];

  /** The heaviest item. */
  get first(): T | undefined {
    return this.#items[0];
  }

  /** Adds an item. */
  add(item: T): void {
    this.#items.push(item);
    item.index = this.#items.length - 1;
    this.update(item);
  }

  /** Restores the order after an item's weight has changed. */
  update(item: T): void {
    let parent = this.#parent(item);
    if (parent === undefined || parent.weight >= item.weight) return this.#sink(item);
    while (parent !== undefined && parent.weight < item.weight) {
      this.#swap(item, parent);
      parent = this.#parent(item);
    }
  }

  /** Removes an item. */
  remove(item: T): void {
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    last.index = item.index;
    this.#items[last.index] = last;
    this.update(last);
  }

  #sink(item: T): void {
    for (let child = this.#heavierChild(item); child !== undefined;) {
      if (child.weight <= item.weight) return;
      this.#swap(child, item);
      child = this.#heavierChild(item);
    }
  }

  #parent({ index }: T): T | undefined {
    return index === 0 ? undefined : this.#items[(index - 1) >> 1];
  }

  #heavierChild({ index }: T): T | undefined {
    const left = this.#items[2 * index + 1];
    const right = this.#items[2 * index + 2];
    return left !== undefined && right !== undefined && right.weight > left.weight ? right : left;
  }

  #swap(one: T, other: T): void {
    const { index } = one;
    one.index = other.index;
    other.index = index;
    this.#items[one.index] = one;
    this.#items[other.index] = other;
  }
}
