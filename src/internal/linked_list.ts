/**
 * A doubly linked list through the things themselves: joining, leaving and moving to the end cost a
 * few pointers and nothing else.
 *
 * @module
 */

/** Something that can be in one {@linkcode LinkedList} at a time. The list alone writes its fields. */
export class Linked<N extends Linked<N>> {
  /** The list that it is in. */
  list: LinkedList<N> | undefined;
  /** What comes before it. */
  previous: N | undefined;
  /** What comes after it. */
  next: N | undefined;
}

/** Things in the order in which they were appended. */
export class LinkedList<N extends Linked<N>> {
  /** The one that was appended longest ago. */
  first: N | undefined;
  /** The one that was appended last. */
  last: N | undefined;

  /** Puts `node` at the end, taking it out of the list that it was in. */
  append(node: N): void {
    if (this.last === node) return;
    node.list?.remove(node);
    node.list = this;
    node.previous = this.last;
    if (this.last === undefined) this.first = node;
    else this.last.next = node;
    this.last = node;
  }

  /** Puts `node`, which is in no list, before one that is in this list. */
  insert(node: N, next: N): void {
    node.list = this;
    node.previous = next.previous;
    node.next = next;
    if (next.previous === undefined) this.first = node;
    else next.previous.next = node;
    next.previous = node;
  }

  /** Takes `node` out. Nothing happens when it is not in this list. */
  remove(node: N): void {
    if (node.list !== this) return;
    if (node.previous === undefined) this.first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.last = node.previous;
    else node.next.previous = node.previous;
    node.list = node.previous = node.next = undefined;
  }
}
