/**
 * Defers work to the end of the current turn of the event loop.
 *
 * @module
 */
import { Linked, LinkedList } from "./linked_list.ts";

/** The scheduling function that some runtimes have besides timers. */
interface Host {
  readonly setImmediate?: (callback: () => void) => unknown;
}

/** Deferred work: a node of the list. */
export class Deferred extends Linked<Deferred> {
  /** Called at the end of the turn. */
  readonly callback: () => void;

  /** Creates work that is in no list yet. */
  constructor(callback: () => void) {
    super();
    this.callback = callback;
  }

  /** Cancels the work: its callback is not called. */
  cancel(): void {
    this.list?.remove(this);
  }
}

/**
 * Calls functions when everything that is ready to run has run. A turn may be long: cancel work that
 * is no longer needed, or it stays in memory until then.
 */
export class EndOfTurn {
  #deferred = new LinkedList<Deferred>();
  #scheduled = false;
  readonly #perRequest: boolean;

  /** @param perRequest Whether work must run during the request that deferred it: see `Clock` */
  constructor(perRequest = false) {
    this.#perRequest = perRequest;
  }

  /** Defers a function to the end of the turn. The function must not throw. */
  defer(callback: () => void): Deferred {
    const work = new Deferred(callback);
    this.#deferred.append(work);
    if (this.#perRequest) {
      afterTurn(() => {
        if (work.list === undefined) return;
        work.cancel();
        callback();
      });
      return work;
    }
    // One callback serves all work deferred in the same turn.
    if (!this.#scheduled) {
      this.#scheduled = true;
      afterTurn(() => this.#run());
    }
    return work;
  }

  #run(): void {
    const deferred = this.#deferred;
    // Work deferred from here on runs at the end of the next turn.
    this.#deferred = new LinkedList();
    this.#scheduled = false;
    for (let work = deferred.first; work !== undefined; work = deferred.first) {
      work.cancel();
      work.callback();
    }
  }
}

/** Calls a function when everything that is ready to run has run. */
export function afterTurn(callback: () => void): void {
  const { setImmediate }: Host = globalThis;
  if (setImmediate === undefined) setTimeout(callback, 0);
  else setImmediate(callback);
}
