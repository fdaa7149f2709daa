/**
 * The end of the present turn of the event loop, for what can wait that long and no longer.
 *
 * @module
 */

/** What a host may have besides timers. */
interface Host {
  readonly setImmediate?: (callback: () => void) => unknown;
}

/** Functions that are called when everything has run that is ready to run now. */
export class Turn {
  #waiting: (() => void)[] = [];

  /** Calls a function at the end of the turn. It must not throw. */
  end(callback: () => void): void {
    // One wait serves all that begin in the same turn.
    if (this.#waiting.push(callback) === 1) afterTurn(() => this.#over());
  }

  #over(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) callback();
  }
}

function afterTurn(callback: () => void): void {
  const { setImmediate }: Host = globalThis;
  if (setImmediate === undefined) setTimeout(callback, 0);
  else setImmediate(callback);
}
