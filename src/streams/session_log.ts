/**
 * The events of one session's streams, in memory: one list in the order of their arrival, and a few
 * counters for each stream.
 *
 * @module
 */
import type { Delay } from "../internal/delay_line.ts";
import { LinkedList } from "../internal/linked_list.ts";
import { EventPlace, type Place, WholePlace } from "./log_places.ts";
import { framedData } from "./sse.ts";
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

const NOTHING: readonly LoggedEvent[] = [];

/**
 * One session's log. An ended stream without events takes one of the places for events, so that
 * streams are bounded as events are.
 *
 * What is kept of a stream that came whole is its text, in one place, until somebody asks for it or it
 * has to be looked at: most streams are, and nobody ever does. Its events are then put in its place.
 */
export class SessionLog {
  readonly #limits: Required<EventLogLimits>;
  /** Streams by their name, but for those that are kept as text. */
  readonly #streams = new Map<string, StreamLog>();
  readonly #places = new LinkedList<Place>();
  /** How many streams are kept as text. */
  #wholes = 0;
  #count = 0;
  /** Bytes of the events that were measured. */
  #bytes = 0;
  /** Characters of the rest, the newest ones: measuring takes time, and most logs are small. */
  #chars = 0;

  /** Makes an empty log. */
  constructor(limits: Required<EventLogLimits>) {
    this.#limits = limits;
  }

  /** Whether there is nothing worth keeping. */
  get empty(): boolean {
    return this.#streams.size === 0 && this.#wholes === 0;
  }

  /** A stream by its name, whether known or only watched. */
  get(id: string): StreamLog | undefined {
    const stream = this.#streams.get(id);
    if (stream !== undefined || this.#wholes === 0) return stream;
    const whole = this.#findWhole(id);
    return whole && this.#unfold(whole);
  }

  /** A stream by its name, made if need be. */
  open(id: string): StreamLog {
    let stream = this.get(id);
    if (stream === undefined) this.#streams.set(id, stream = new StreamLog(id));
    return stream;
  }

  /** Adds an event to a stream that has not ended, and throws away what is then too much. */
  append(stream: StreamLog, data: string): number {
    stream.known = true;
    stream.last += 1;
    this.#append(new EventPlace(stream, { n: stream.last, data }));
    return stream.last;
  }

  /** Adds a stream that has ended and was delivered, as its text. */
  addWhole(whole: WholePlace): void {
    this.#wholes += 1;
    this.#append(whole);
  }

  /** Ends a stream. */
  end(stream: StreamLog): void {
    stream.known = stream.ended = true;
    if (stream.places === 0) this.#append(new EventPlace(stream, undefined));
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
      if (place instanceof WholePlace || place.stream !== stream) continue;
      if (place.event !== undefined) events[--missing] = place.event;
    }
    return { events, ended, gap: after < first - 1, last };
  }

  /**
   * Forgets a stream and its events.
   *
   * @returns The stream, if it was known by name
   */
  forget(id: string): StreamLog | undefined {
    const stream = this.#streams.get(id);
    const whole = stream === undefined ? this.#findWhole(id) : undefined;
    if (stream !== undefined) this.#forget(stream);
    if (whole !== undefined) this.#removeWhole(whole);
    return stream;
  }

  /** Forgets a stream if nothing is left of it that anybody could want. */
  tidy(stream: StreamLog): void {
    if (stream.watched) return;
    const hollow = stream.ended && stream.places === 0;
    if (hollow || !stream.known) this.#forget(stream);
  }

  /** Ends every wait, and wakes everybody. The log is not used after this. */
  close(): void {
    for (let place = this.#places.first; place !== undefined; place = place.next) {
      if (place instanceof WholePlace) place.retention.cancel();
    }
    for (const stream of this.#streams.values()) stream.retention?.cancel();
    for (const stream of this.#streams.values()) stream.wake();
  }

  #forget(stream: StreamLog): void {
    stream.retention?.cancel();
    if (this.#streams.get(stream.id) === stream) this.#streams.delete(stream.id);
    for (let place = this.#places.first; stream.places > 0 && place !== undefined;) {
      const { next } = place;
      if (place instanceof EventPlace && place.stream === stream) this.#remove(place);
      place = next;
    }
  }

  #append(place: Place): void {
    this.#places.append(place);
    this.#count += place.count;
    this.#chars += place.chars;
    if (place instanceof EventPlace) place.stream.places += 1;
    while (this.#count > this.#limits.events || this.#tooLong()) {
      const oldest = this.#places.first;
      if (oldest === undefined || (oldest === this.#places.last && oldest.count === 1)) return;
      this.#throwAway(oldest);
    }
  }

  /** Whether there are too many bytes: measured only where there may be. */
  #tooLong(): boolean {
    const { eventBytes } = this.#limits;
    if (this.#bytes + 3 * this.#chars <= eventBytes) return false;
    let place = this.#places.last;
    while (place !== undefined && place.bytes === undefined) {
      if (place instanceof WholePlace) {
        const { next } = place;
        this.#unfold(place);
        place = next === undefined ? this.#places.last : next.previous;
        continue;
      }
      this.#chars -= place.chars;
      this.#bytes += place.measure();
      place = place.previous;
    }
    return this.#bytes > eventBytes;
  }

  /** Throws the oldest event away. */
  #throwAway(oldest: Place): void {
    if (oldest instanceof EventPlace) {
      this.#remove(oldest);
      this.tidy(oldest.stream);
    } else if (oldest.count === 1) {
      oldest.retention.cancel();
      this.#removeWhole(oldest);
    } else {
      oldest.count -= 1;
      this.#count -= 1;
    }
  }
  /** Puts the events of a stream that came whole in its place. */
  #unfold(whole: WholePlace): StreamLog {
    const { id, frames, last, count, retention } = whole;
    const stream = new StreamLog(id);
    stream.known = stream.ended = true;
    stream.last = stream.delivered = last;
    stream.first = last - count + 1;
    stream.retention = retention;
    this.#streams.set(id, stream);
    const data = framedData(frames);
    for (let n = stream.first; n <= last; n++) {
      const place = new EventPlace(stream, { n, data: data[n - 1] ?? "" });
      this.#places.insert(place, whole);
      this.#chars += place.chars;
      this.#count += 1;
      stream.places += 1;
    }
    this.#removeWhole(whole);
    return stream;
  }

  #findWhole(id: string): WholePlace | undefined {
    for (let place = this.#places.first; place !== undefined; place = place.next) {
      if (place instanceof WholePlace && place.id === id) return place;
    }
    return undefined;
  }

  #removeWhole(whole: WholePlace): void {
    this.#places.remove(whole);
    this.#wholes -= 1;
    this.#count -= whole.count;
    this.#chars -= whole.chars;
  }

  #remove(place: EventPlace): void {
    this.#places.remove(place);
    const { stream, event, bytes } = place;
    stream.places -= 1;
    if (event !== undefined) stream.first = event.n + 1;
    this.#count -= 1;
    if (bytes === undefined) this.#chars -= place.chars;
    else this.#bytes -= bytes;
  }
}
