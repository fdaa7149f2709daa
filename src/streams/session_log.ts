/**
 * The events of one session's streams, in memory: one list in the order of their arrival, and a few
 * counters for each stream.
 *
 * @module
 */
import type { Delay } from "../internal/delay_line.ts";
import { Linked, LinkedList } from "../internal/linked_list.ts";
import { utf8Length } from "../internal/utf8.ts";
import type { EventLogLimits, LoggedEvent, Slice } from "./types.ts";

/** Somebody who waits for news of a stream. */
export interface Watcher {
  /** Called with the number of the stream's oldest kept event. */
  readonly wake: (oldest: number) => void;
}

const NOBODY: readonly Watcher[] = [];

/** One stream's counters. The session's log alone changes them. */
export class StreamLog {
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
  /** How many places of the session's list are its own. */
  places = 0;
  /** Up to where it was delivered. */
  delivered = 0;
  /** The wait after which it is forgotten. */
  retention: Delay | undefined;
  /** Replaced, never changed, so that waking goes on undisturbed; few, so that finding one is quick. */
  #watchers = NOBODY;

  /** Makes a stream that is not known yet. */
  constructor(id: string) {
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
  wake(): void {
    for (const watcher of this.#watchers) {
      if (this.#watchers.includes(watcher)) watcher.wake(this.first);
    }
  }
}

/** A place in the session's list: an event, or what stands for an ended stream without any. */
class Place extends Linked<Place> {
  readonly stream: StreamLog;
  readonly event: LoggedEvent | undefined;
  readonly bytes: number;

  constructor(stream: StreamLog, event: LoggedEvent | undefined, bytes: number) {
    super();
    this.stream = stream;
    this.event = event;
    this.bytes = bytes;
  }
}

const NOTHING: readonly LoggedEvent[] = [];

/**
 * One session's log. An ended stream without events takes one of the places for events, so that
 * streams are bounded as events are.
 */
export class SessionLog {
  readonly #limits: Required<EventLogLimits>;
  readonly #streams = new Map<string, StreamLog>();
  readonly #places = new LinkedList<Place>();
  #count = 0;
  #bytes = 0;

  /** Makes an empty log. */
  constructor(limits: Required<EventLogLimits>) {
    this.#limits = limits;
  }

  /** Whether there is nothing worth keeping. */
  get empty(): boolean {
    return this.#streams.size === 0;
  }

  /** A stream by its name, whether known or only watched. */
  get(id: string): StreamLog | undefined {
    return this.#streams.get(id);
  }

  /** A stream by its name, made if need be. */
  open(id: string): StreamLog {
    let stream = this.#streams.get(id);
    if (stream === undefined) this.#streams.set(id, stream = new StreamLog(id));
    return stream;
  }

  /** All streams. */
  streams(): Iterable<StreamLog> {
    return this.#streams.values();
  }

  /** Adds an event to a stream that has not ended, and throws away what is then too much. */
  append(stream: StreamLog, data: string): number {
    stream.known = true;
    stream.last += 1;
    this.#place(new Place(stream, { n: stream.last, data }, utf8Length(data)));
    return stream.last;
  }

  /** Ends a stream. */
  end(stream: StreamLog): void {
    stream.known = stream.ended = true;
    if (stream.places === 0) this.#place(new Place(stream, undefined, 0));
  }

  /** What a stream holds after `after`: as many steps as the session has events since then. */
  read(stream: StreamLog, after: number): Slice {
    const { ended, first, last } = stream;
    let missing = last - Math.max(after, first - 1);
    const events = missing > 0 ? new Array<LoggedEvent>(missing) : NOTHING as LoggedEvent[];
    for (
      let place = this.#places.last;
      missing > 0 && place !== undefined;
      place = place.previous
    ) {
      if (place.stream === stream && place.event !== undefined) events[--missing] = place.event;
    }
    return { events, ended, gap: after < first - 1, last };
  }

  /** Forgets a stream and its events. */
  forget(stream: StreamLog): void {
    stream.retention?.cancel();
    if (this.#streams.get(stream.id) === stream) this.#streams.delete(stream.id);
    for (let place = this.#places.first; stream.places > 0 && place !== undefined;) {
      const { next } = place;
      if (place.stream === stream) this.#remove(place);
      place = next;
    }
  }

  /** Forgets a stream if nothing is left of it that anybody could want. */
  tidy(stream: StreamLog): void {
    if (stream.watched) return;
    const hollow = stream.ended && stream.places === 0;
    if (hollow || !stream.known) this.forget(stream);
  }

  #place(place: Place): void {
    this.#places.append(place);
    place.stream.places += 1;
    this.#count += 1;
    this.#bytes += place.bytes;
    const { events, eventBytes } = this.#limits;
    let oldest = this.#places.first;
    while (
      (this.#count > events || this.#bytes > eventBytes) && oldest !== undefined && oldest !== place
    ) {
      this.#remove(oldest);
      this.tidy(oldest.stream);
      oldest = this.#places.first;
    }
  }

  #remove(place: Place): void {
    this.#places.remove(place);
    const { stream, event, bytes } = place;
    stream.places -= 1;
    if (event !== undefined) stream.first = event.n + 1;
    this.#count -= 1;
    this.#bytes -= bytes;
  }
}
