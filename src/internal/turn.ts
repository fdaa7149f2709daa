/**
 * The end of the present turn of the event loop, for what can wait that long and no longer.
 *
 * @module
 */

import { Linked, LinkedList } from "./linked_list.ts";

/** What a host may have besides timers. */
interface Host {
  readonly setImmediate?: (callback: () => void) => unknown;
}

/** Something that waits for the end of the turn. */
export class TurnWait extends Linked<TurnWait> {
  /** Called at the end of the turn. */
  readonly callback: () => void;

  /** Makes a wait that hasn't begun. */
  constructor(callback: () => void) {
    super();
    this.callback = callback;
  }

  /** Ends the wait without its callback being called. */
  cancel(): void {
    this.list?.remove(this);
  }
}

/**
 * Functions that are called when everything has run that is ready to run now. A turn may be long: what
 * need not wait any more must say so, or it is kept until then.
 */
export class Turn {
  #waits = new LinkedList<TurnWait>();
  #ending = false;

  /** Calls a function at the end of the turn, unless its wait is cancelled. It must not throw. */
  end(callback: () => void): TurnWait {
    const wait = new TurnWait(callback);
    this.#waits.append(wait);
    // One look serves all that begin in the same turn.
    if (!this.#ending) {
      this.#ending = true;
      afterTurn(() => this.#over());
    }
    return wait;
  }

  #over(): void {
    const waits = this.#waits;
    // What begins from here on waits for the next end.
    this.#waits = new LinkedList();
    this.#ending = false;
    for (let wait = waits.first; wait !== undefined; wait = waits.first) {
      wait.cancel();
      wait.callback();
    }
  }
}

function afterTurn(callback: () => void): void {
  const { setImmediate }: Host = globalThis;
  if (setImmediate === undefined) setTimeout(callback, 0);
  else setImmediate(callback);
}
