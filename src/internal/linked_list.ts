/**
 * Implements an intrusive doubly linked list: the elements are the nodes, so adding, removing and moving
 * to the end allocate nothing.
 *
 * @module
 */

/** An element of at most one {@linkcode LinkedList} at a time. Only the list writes its fields. */
export class Linked<N extends Linked<N>> {
  /** The list that contains the element. */
  list: LinkedList<N> | undefined;
  /** The element before it. */
  previous: N | undefined;
  /** The element after it. */
  next: N | undefined;
}

/** Elements in the order in which they were appended. */
export class LinkedList<N extends Linked<N>> {
  /** The element that was appended first. */
  first: N | undefined;
  /** The element that was appended last. */
  last: N | undefined;

  /** Moves `node` to the end, from this list or another. */
  append(node: N): void {
    if (this.last === node) return;
    node.list?.remove(node);
    node.list = this;
    node.previous = this.last;
    if (this.last === undefined) this.first = node;
    else this.last.next = node;
    this.last = node;
  }

  /** Inserts `node`, which is in no list, before an element of this list. */
  insert(node: N, next: N): void {
    node.list = this;
    node.previous = next.previous;
    node.next = next;
    if (next.previous === undefined) this.first = node;
    else next.previous.next = node;
    next.previous = node;
  }

  /** Removes `node`. Does nothing when it is not in this list. */
  remove(node: N): void {
    if (node.list !== this) return;
    if (node.previous === undefined) this.first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.last = node.previous;
    else node.next.previous = node.previous;
    node.list = node.previous = node.next = undefined;
  }
}
