/**
 * Implements the bus between handlers of one process.
 *
 * @module
 */
import type { Bus, BusMember } from "../types.ts";

type BusListener = (text: string) => void;

/**
 * A {@linkcode Bus} in memory. Delivers texts in microtasks, so that a listener never runs during a call
 * of `publish` or `send`, and texts that it publishes arrive after those published before. Errors that a
 * listener throws are ignored.
 */
export class MemoryBus implements Bus {
  readonly #members = new Map<string, BusListener>();

  join(node: string, listener: BusListener): BusMember {
    const members = this.#members;
    members.set(node, listener);
    const here = () => members.get(node) === listener;
    return {
      publish(text) {
        if (!here()) return;
        for (const [other, receive] of members) {
          if (other !== node) queueMicrotask(() => deliver(members, other, receive, text));
        }
      },
      send(to, text) {
        const receive = members.get(to);
        if (!here() || to === node || receive === undefined) return false;
        queueMicrotask(() => deliver(members, to, receive, text));
        return true;
      },
      leave() {
        if (here()) members.delete(node);
      },
    };
  }
}

/** Delivers a text to a member that has not left. */
function deliver(
  members: ReadonlyMap<string, BusListener>,
  node: string,
  receive: BusListener,
  text: string,
): void {
  if (members.get(node) !== receive) return;
  try {
    receive(text);
  } catch {
    // A listener's error must not affect other members.
  }
}
