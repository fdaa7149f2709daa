/**
 * The events of one session's streams, in memory: one list in the order of their arrival, and a few
 * counters for each stream.
 *
 * @module
 */
import type { DelayLine } from "../internal/delay_line.ts";
import { EventEntry, type LogEntry, StreamEntry, WholeStreamEntry } from "./log_entries.ts";
import { framedData } from "./sse.ts";
import { StreamLog } from "./stream_log.ts";
import type { EventLogLimits, LoggedEvent, Slice } from "./types.ts";

const NOTHING: readonly LoggedEvent[] = [];

/**
 * One session's log. An ended stream without events takes one of the entries for events, so that
 * streams are bounded as events are.
 *
 * What is kept of a stream that came whole is its text, in one entry, until somebody asks for it or it
 * has to be looked at: most streams are, and nobody ever does. Its events are then put in its entry.
 */
export class SessionLog {
  readonly #limits: Required<EventLogLimits>;
  readonly #retention: DelayLine;
  readonly #emptied: () => void;
  /** Streams by their name, but for those that are kept as text. */
  readonly #streams = new Map<string, StreamLog>();
  /** As many as the limit of events allows: few enough to look through. */
  #entries: (LogEntry | undefined)[] = [];
  /** Where the oldest entry is: moving all the others up for each that goes would touch them all. */
  #begin = 0;
  /** How many streams are kept as text. */
  #wholes = 0;
  #count = 0;
  /** Bytes of the events that were measured. */
  #bytes = 0;
  /** Characters of the rest, the newest ones: measuring takes time, and most logs are small. */
  #chars = 0;

  /**
   * Makes an empty log.
   *
   * @param limits How much it keeps
   * @param retention Where streams wait until they are forgotten
   * @param emptied Called when nothing is left after a stream was forgotten
   */
  constructor(limits: Required<EventLogLimits>, retention: DelayLine, emptied: () => void) {
    this.#limits = limits;
    this.#retention = retention;
    this.#emptied = emptied;
  }

  /** A stream by its name, whether known or only watched. */
  get(id: string): StreamLog | undefined {
    const stream = this.#streams.get(id);
    if (stream !== undefined || this.#wholes === 0) return stream;
    const at = this.#entries.findIndex((entry) =>
      entry instanceof WholeStreamEntry && entry.id === id
    );
    return at === -1 ? undefined : this.#unfold(at);
  }

  /** A stream by its name, made if need be. */
  open(id: string): StreamLog {
    let stream = this.get(id);
    if (stream === undefined) this.#streams.set(id, stream = new StreamLog(this, id));
    return stream;
  }

  /** Adds an event to a stream that has not ended, and throws away what is then too much. */
  append(stream: StreamLog, data: string): LoggedEvent {
    stream.known = true;
    stream.last += 1;
    const event = new EventEntry(stream, stream.last, data);
    this.#append(event);
    return event;
  }

  /** Adds a stream that has ended and was delivered, as its text. */
  appendStream(id: string, frames: string, count: number): void {
    const whole = new WholeStreamEntry(this, id, frames, count);
    this.#retention.begin(whole);
    this.#wholes += 1;
    this.#append(whole);
  }

  /** Ends a stream. */
  end(stream: StreamLog): void {
    stream.known = stream.ended = true;
    if (stream.entries === 0) this.#append(new StreamEntry(stream));
    this.#retain(stream);
  }

  /** Notes up to where a stream was delivered. */
  deliver(stream: StreamLog, n: number): void {
    if (n <= stream.delivered) return;
    stream.delivered = Math.min(n, stream.last);
    this.#retain(stream);
  }

  /** What a stream holds after `after`: as many steps as the session has events since then. */
  read(stream: StreamLog, after: number): Slice {
    const { ended, first, last } = stream;
    let missing = last - Math.max(after, first - 1);
    const events = missing > 0 ? new Array<LoggedEvent>(missing) : NOTHING as LoggedEvent[];
    for (let at = this.#entries.length - 1; missing > 0 && at >= this.#begin; at--) {
      const entry = this.#entries[at];
      if (!(entry instanceof EventEntry) || entry.stream !== stream) continue;
      const { n, data } = entry;
      events[--missing] = { n, data };
    }
    return { events, ended, gap: after < first - 1, last };
  }

  /** Forgets a stream whose time is over. */
  expire(stream: StreamLog | WholeStreamEntry): void {
    if (stream instanceof StreamLog) this.#forget(stream);
    else this.#removeWhole(this.#entries.indexOf(stream), stream);
    this.#tell();
  }

  /** Forgets a stream if nothing is left of it that anybody could want. */
  tidy(stream: StreamLog): void {
    if (stream.watched) return;
    const hollow = stream.ended && stream.entries === 0;
    if (hollow || !stream.known) this.#forget(stream);
    this.#tell();
  }

  /** Ends every wait, and wakes everybody. The log is not used after this. */
  close(): void {
    for (const entry of this.#entries) if (entry instanceof WholeStreamEntry) entry.cancel();
    for (const stream of this.#streams.values()) stream.cancel();
    for (const stream of this.#streams.values()) stream.wake();
  }

  /** Says so when there is nothing worth keeping. */
  #tell(): void {
    if (this.#streams.size === 0 && this.#wholes === 0) this.#emptied();
  }

  /** Begins to forget a stream that has ended and was delivered. */
  #retain(stream: StreamLog): void {
    if (!stream.ended || stream.delivered < stream.last || stream.pending) return;
    this.#retention.begin(stream);
  }

  #forget(stream: StreamLog): void {
    stream.cancel();
    if (this.#streams.get(stream.id) === stream) this.#streams.delete(stream.id);
    for (let at = this.#entries.length - 1; stream.entries > 0 && at >= this.#begin; at--) {
      const entry = this.#entries[at];
      if (entry instanceof StreamEntry && entry.stream === stream) this.#remove(at, entry);
    }
    stream.first = stream.last + 1;
  }

  #append(entry: LogEntry): void {
    this.#entries.push(entry);
    this.#count += entry.count;
    this.#chars += entry.chars;
    if (entry instanceof StreamEntry) entry.stream.entries += 1;
    while (this.#count > this.#limits.events || this.#tooLong()) {
      const oldest = this.#entries[this.#begin];
      const last = this.#begin === this.#entries.length - 1;
      if (oldest === undefined || (last && oldest.count === 1)) return;
      this.#throwAway(oldest);
    }
  }

  /** Whether there are too many bytes: measured only where there may be. */
  #tooLong(): boolean {
    const { eventBytes } = this.#limits;
    if (this.#bytes + 3 * this.#chars <= eventBytes) return false;
    for (let at = this.#entries.length - 1; at >= this.#begin; at--) {
      let entry = this.#entries[at];
      if (entry instanceof WholeStreamEntry) {
        this.#unfold(at);
        at += entry.count - 1;
        entry = this.#entries[at];
      }
      if (!(entry instanceof StreamEntry) || entry.bytes !== undefined) break;
      this.#chars -= entry.chars;
      this.#bytes += entry.measure();
    }
    return this.#bytes > eventBytes;
  }

  /** Throws the oldest event away. */
  #throwAway(oldest: LogEntry): void {
    if (oldest instanceof StreamEntry) {
      this.#remove(this.#begin, oldest);
      this.tidy(oldest.stream);
    } else if (oldest.count === 1) {
      oldest.cancel();
      this.#removeWhole(this.#begin, oldest);
    } else {
      oldest.count -= 1;
      this.#count -= 1;
    }
  }

  /** Puts the events of a stream that came whole in its entry. */
  #unfold(at: number): StreamLog {
    const whole = this.#entries[at] as WholeStreamEntry; // both who call this have looked
    const { id, frames, last, count } = whole;
    const stream = new StreamLog(this, id);
    stream.known = stream.ended = true;
    stream.last = stream.delivered = last;
    stream.first = last - count + 1;
    whole.replaceWith(stream);
    this.#streams.set(id, stream);
    this.#discount(whole);
    const entries = framedData(frames).slice(-count)
      .map((data, index) => new EventEntry(stream, stream.first + index, data));
    this.#entries.splice(at, 1, ...entries);
    for (const { chars } of entries) this.#chars += chars;
    this.#count += count;
    stream.entries = count;
    return stream;
  }

  #removeWhole(at: number, whole: WholeStreamEntry): void {
    this.#cut(at);
    this.#discount(whole);
  }

  #discount(whole: WholeStreamEntry): void {
    this.#wholes -= 1;
    this.#count -= whole.count;
    this.#chars -= whole.chars;
  }

  #remove(at: number, entry: StreamEntry): void {
    const { stream, bytes, chars } = entry;
    this.#cut(at);
    stream.entries -= 1;
    if (entry instanceof EventEntry) stream.first = entry.n + 1;
    this.#count -= 1;
    if (bytes === undefined) this.#chars -= chars;
    else this.#bytes -= bytes;
  }

  /** Takes a entry out. Mostly it is the oldest that goes. */
  #cut(at: number): void {
    if (at !== this.#begin) {
      this.#entries.splice(at, 1);
      return;
    }
    this.#entries[at] = undefined;
    this.#begin += 1;
    if (this.#begin * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#begin);
    this.#begin = 0;
  }
}
