/**
 * The bus between handlers of one process.
 *
 * @module
 */
import type { Bus, BusMember } from "./types.ts";

type Listener = (text: string) => void;

/**
 * A {@linkcode Bus} in memory. Texts arrive after the code that published them has given way, so a
 * listener never runs in the middle of somebody else's work, and what it publishes itself comes after
 * everything published before. What a listener throws is ignored: it can't stop the others.
 */
export class MemoryBus implements Bus {
  readonly #members = new Map<string, Listener>();

  join(node: string, listener: Listener): BusMember {
    const members = this.#members;
    members.set(node, listener);
    const here = () => members.get(node) === listener;
    return {
      publish(text) {
        if (!here()) return;
        for (const [other, hear] of members) {
          if (other !== node) queueMicrotask(() => deliver(members, other, hear, text));
        }
      },
      send(to, text) {
        const hear = members.get(to);
        if (!here() || to === node || hear === undefined) return false;
        queueMicrotask(() => deliver(members, to, hear, text));
        return true;
      },
      leave() {
        if (here()) members.delete(node);
      },
    };
  }
}

/** Hands a text to a member that is still there. */
function deliver(
  members: ReadonlyMap<string, Listener>,
  node: string,
  hear: Listener,
  text: string,
): void {
  if (members.get(node) !== hear) return;
  try {
    hear(text);
  } catch {
    // A member's own trouble: there is nobody here to tell, and the others must hear the rest.
  }
}
