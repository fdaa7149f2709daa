/**
 * What is known of one stream in memory, beside its events.
 *
 * @module
 */
import { Wait } from "../internal/delay_line.ts";
import type { SessionLog } from "./session_log.ts";
import type { LoggedEvent } from "./types.ts";

/** Somebody who waits for news of a stream. */
export interface Watcher {
  /** Called with the number of the stream's oldest kept event, and the one that was appended. */
  readonly wake: (oldest: number, appended?: LoggedEvent) => void;
}

const NOBODY: readonly Watcher[] = [];

/** One stream's counters, and the wait until it is forgotten. The session's log alone changes them. */
export class StreamLog extends Wait {
  /** Its name in the session. */
  readonly id: string;
  /** Whether it was opened, appended to or ended, not only watched. */
  known = false;
  /** Whether nothing can be appended any more. */
  ended = false;
  /** The newest event's number. */
  last = 0;
  /** The oldest kept event's number, or one more than the newest's. */
  first = 1;
  /** How many entries of the session's list are its own. */
  entries = 0;
  /** Up to where it was delivered. */
  delivered = 0;
  readonly #log: SessionLog;
  /** Replaced, never changed, so that waking goes on undisturbed; few, so that finding one is quick. */
  #watchers = NOBODY;

  /** Makes a stream that is not known yet. */
  constructor(log: SessionLog, id: string) {
    super();
    this.#log = log;
    this.id = id;
  }

  /** Whether somebody waits for news. */
  get watched(): boolean {
    return this.#watchers.length > 0;
  }

  /** Adds somebody who waits. */
  watch(watcher: Watcher): void {
    this.#watchers = this.#watchers.concat(watcher);
  }

  /** Takes somebody out who waits no more. */
  unwatch(watcher: Watcher): void {
    this.#watchers = this.#watchers.filter((each) => each !== watcher);
  }

  /** Calls everybody who waits. */
  wake(appended?: LoggedEvent): void {
    const watchers = this.#watchers;
    const [only] = watchers;
    if (watchers.length === 1) return only?.wake(this.first, appended);
    for (const watcher of watchers) {
      if (this.#watchers.includes(watcher)) watcher.wake(this.first, appended);
    }
  }

  /** Its time is over. */
  elapsed(): void {
    this.#log.expire(this);
    this.wake();
  }
}
