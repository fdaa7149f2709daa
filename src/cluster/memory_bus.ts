/**
 * The bus between handlers of one process.
 *
 * @module
 */
import type { Bus, BusMember, BusMessage } from "./types.ts";

type Listener = (message: BusMessage) => void;

/**
 * A {@linkcode Bus} in memory. Messages arrive after the code that published them has given way, so a
 * listener never runs in the middle of somebody else's work, and what it publishes itself comes after
 * everything published before. What a listener throws is ignored: it can't stop the others.
 */
export class MemoryBus implements Bus {
  readonly #members = new Set<Listener>();

  join(listener: Listener): BusMember {
    const members = this.#members;
    // Each member is a function of its own, although one listener may join twice.
    const member: Listener = (message) => listener(message);
    members.add(member);
    return {
      publish(message) {
        if (!members.has(member)) return;
        for (const other of members) {
          if (other !== member) queueMicrotask(() => deliver(members, other, message));
        }
      },
      leave() {
        members.delete(member);
      },
    };
  }
}

/** Hands a message to a member that is still there. */
function deliver(members: ReadonlySet<Listener>, member: Listener, message: BusMessage): void {
  if (!members.has(member)) return;
  try {
    member(message);
  } catch {
    // A member's own trouble: there is nobody here to tell, and the others must hear the rest.
  }
}
