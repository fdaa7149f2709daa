/**
 * Work deferred to the end of the present turn of the event loop.
 *
 * @module
 */
import { Linked, LinkedList } from "./linked_list.ts";

/** What some hosts have besides timers. */
interface Host {
  readonly setImmediate?: (callback: () => void) => unknown;
}

/** Deferred work, with its place in the list. */
export class Deferred extends Linked<Deferred> {
  /** Called at the end of the turn. */
  readonly callback: () => void;

  /** Makes work that is in no list yet. */
  constructor(callback: () => void) {
    super();
    this.callback = callback;
  }

  /** Takes the work back: its callback is not called. */
  cancel(): void {
    this.list?.remove(this);
  }
}

/**
 * Calls functions once everything that is ready to run has run. A turn may be long: cancel work that
 * isn't needed any more, or it is kept until then.
 */
export class EndOfTurn {
  #deferred = new LinkedList<Deferred>();
  #scheduled = false;

  /** Defers a function to the end of the turn. It must not throw. */
  defer(callback: () => void): Deferred {
    const work = new Deferred(callback);
    this.#deferred.append(work);
    // One callback serves all work deferred in the same turn.
    if (!this.#scheduled) {
      this.#scheduled = true;
      afterTurn(() => this.#run());
    }
    return work;
  }

  #run(): void {
    const deferred = this.#deferred;
    // Work deferred from here on waits for the next end.
    this.#deferred = new LinkedList();
    this.#scheduled = false;
    for (let work = deferred.first; work !== undefined; work = deferred.first) {
      work.cancel();
      work.callback();
    }
  }
}

function afterTurn(callback: () => void): void {
  const { setImmediate }: Host = globalThis;
  if (setImmediate === undefined) setTimeout(callback, 0);
  else setImmediate(callback);
}
