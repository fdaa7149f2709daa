/**
 * Keeps the counters and watchers of one stream in memory.
 *
 * @module
 */
import { Wait } from "../internal/delay_line.ts";
import type { EventEntry, StreamEntry } from "./log_entries.ts";
import type { SessionLog } from "./session_log.ts";
import type { LoggedEvent } from "./types.ts";

/** A watcher of a stream. */
export interface Watcher {
  /** Called with the number from which on all events are kept, and the event that was appended. */
  readonly wake: (oldest: number, appended?: LoggedEvent) => void;
}

const NO_WATCHERS: readonly Watcher[] = [];
const NO_ANSWERS: readonly EventEntry[] = [];

/** One stream, and the wait until it is forgotten. Only the session's log changes its counters. */
export class StreamLog extends Wait {
  /** The stream's name in its session. */
  readonly id: string;
  /** Whether the stream was opened, appended to or ended, not only watched. */
  known = false;
  /** Whether the stream has ended. */
  ended = false;
  /** The number of the newest event. */
  last = 0;
  /** The number of the first event from which on all are kept, or of the next one if the last is not. */
  first = 1;
  /** The number of its entries in the session's log. */
  entries = 0;
  /** Its responses that have not been delivered yet, which the session's own limits don't drop. */
  answers: readonly EventEntry[] = NO_ANSWERS;
  /** The number of the last delivered event. */
  delivered = 0;
  readonly #log: SessionLog;
  /** The watchers. Replaced, never changed, so that a loop over them is not disturbed. */
  #watchers = NO_WATCHERS;

  /** Creates a stream that is not known yet. */
  constructor(log: SessionLog, id: string) {
    super();
    this.#log = log;
    this.id = id;
  }

  /** Whether the stream has watchers. */
  get watched(): boolean {
    return this.#watchers.length > 0;
  }

  /** Adds a watcher. */
  watch(watcher: Watcher): void {
    this.#watchers = this.#watchers.concat(watcher);
  }

  /** Removes a watcher. */
  unwatch(watcher: Watcher): void {
    this.#watchers = this.#watchers.filter((each) => each !== watcher);
  }

  /** Calls every watcher. */
  wake(appended?: LoggedEvent): void {
    const watchers = this.#watchers;
    const [only] = watchers;
    if (watchers.length === 1) return only?.wake(this.first, appended);
    for (const watcher of watchers) {
      if (this.#watchers.includes(watcher)) watcher.wake(this.first, appended);
    }
  }

  /** Drops an entry whose memory is needed. */
  evict(entry: StreamEntry): void {
    this.#log.evict(entry);
  }

  /** Forgets the stream. */
  elapsed(): void {
    this.#log.expire(this);
    this.wake();
  }
}
