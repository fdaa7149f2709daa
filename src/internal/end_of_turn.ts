/**
 * Defers work to the end of the current turn of the event loop, and lets what became ready in one turn run
 * in a row.
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

/**
 * The most work that runs in a row. What its first part sends leaves when its last part has run: a
 * function that blocks the thread delays at most this many others.
 */
const MOST_IN_A_ROW = 16;
/** The number of rows of one after which work is taken to come one at a time. */
const ROWS_ALONE = 8;
/** Of work that comes one at a time, one in so many waits, to notice when more comes together. */
const PROBE_EVERY = 64;

/** Works that continue one after the other. */
class Row {
  /** Resolves at their turn. */
  readonly turn = Promise.withResolvers<void>();
  /** The number of works. */
  length = 0;
}

/**
 * Gathers what became ready in one turn of the event loop, and lets it continue in order at the end of
 * the turn.
 *
 * A host that reads, answers and writes one request after the other spends most of its time on refilling
 * the processor's caches, since each system call evicts the code of the next step. Where requests come
 * together, each step runs for many of them in a row instead (cohort scheduling). Where they come one at a
 * time there is nothing to gain, and most of them don't wait.
 */
export class TurnQueue {
  /** The rows that wait, the next one first. Only the last has room. */
  readonly #rows: Row[] = [];
  /** The number of rows of one since the last row of more. */
  #alone = 0;
  /** The number of works that didn't wait since the last row. */
  #passed = 0;
  readonly #perRequest: boolean;

  /** @param perRequest Whether a request must not wait for another one's callback: see `Clock` */
  constructor(perRequest = false) {
    this.#perRequest = perRequest;
  }

  /**
   * Waits for the end of the turn, or for that of a later one if much is waiting. A promise rather than a
   * callback: what awaits it continues in its own asynchronous context. A row shares one.
   *
   * @returns `undefined` for work that need not wait
   */
  next(): Promise<void> | undefined {
    if (this.#perRequest) return undefined;
    let row = this.#rows.at(-1);
    if (row === undefined) {
      // What is waiting is not overtaken.
      if (this.#alone >= ROWS_ALONE && ++this.#passed < PROBE_EVERY) return undefined;
      afterTurn(() => this.#run());
    }
    if (row === undefined || row.length === MOST_IN_A_ROW) this.#rows.push(row = new Row());
    row.length++;
    return row.turn.promise;
  }

  #run(): void {
    const row = this.#rows.shift();
    if (row === undefined) return;
    this.#passed = 0;
    this.#alone = row.length === 1 ? this.#alone + 1 : 0;
    if (this.#rows.length > 0) afterTurn(() => this.#run());
    row.turn.resolve();
  }
}
