/**
 * Keeps the events of one session's streams in memory: one list in the order of arrival, and counters
 * for each stream.
 *
 * @module
 */
import type { DelayLine } from "../internal/delay_line.ts";
import { isWithinBytes } from "../internal/utf8.ts";
import type { EventBudget } from "./event_budget.ts";
import { EventEntry, type LogEntry, StreamEntry, WholeStreamEntry } from "./log_entries.ts";
import { framedData } from "./sse.ts";
import { StreamLog } from "./stream_log.ts";
import type { EventLogLimits, LoggedEvent, Slice } from "./types.ts";

const NOTHING: readonly LoggedEvent[] = [];

/**
 * The log of one session. An ended stream without events counts as one event, so that the limit of
 * events limits streams too. Responses count once they were delivered: until then only the budget, which
 * all sessions share, drops them.
 *
 * A stream that was appended as a whole is kept as text, in one entry, until it is read or measured,
 * which is rare. The entry is then replaced by its events.
 */
export class SessionLog {
  readonly #limits: Required<EventLogLimits>;
  readonly #retention: DelayLine;
  readonly #budget: EventBudget;
  readonly #onEmpty: () => void;
  /** The streams by name, except those that are kept as text. */
  readonly #streams = new Map<string, StreamLog>();
  /**
   * The entries except undelivered responses: at most as many as the limit of events, so few that a linear
   * search is fine.
   */
  #entries: (LogEntry | undefined)[] = [];
  /** The index of the oldest entry. Removing it doesn't move the others. */
  #begin = 0;
  /** The number of streams that are kept as text. */
  #wholeStreams = 0;
  #count = 0;
  /** The bytes of the measured entries. */
  #bytes = 0;
  /** The characters of the other entries, the newest ones: most logs are too small to need measuring. */
  #chars = 0;
  #share: string | undefined;

  /**
   * Creates an empty log.
   *
   * @param limits The limits of the log
   * @param retention The delay line whose waits end with a stream being forgotten
   * @param budget The memory of all logs
   * @param onEmpty Called when nothing is left after a stream was forgotten
   */
  constructor(
    limits: Required<EventLogLimits>,
    retention: DelayLine,
    budget: EventBudget,
    onEmpty: () => void,
  ) {
    this.#limits = limits;
    this.#retention = retention;
    this.#budget = budget;
    this.#onEmpty = onEmpty;
  }

  /** The share that the log takes memory from; `undefined` while its session has no owner. */
  get share(): string | undefined {
    return this.#share;
  }
  set share(share: string | undefined) {
    this.#share = share;
    for (const entry of this.#all()) {
      this.#budget.give(entry);
      this.#budget.take(entry, share);
    }
  }

  /** Returns a stream by name, known or only watched. */
  get(id: string): StreamLog | undefined {
    const stream = this.#streams.get(id);
    if (stream !== undefined || this.#wholeStreams === 0) return stream;
    const at = this.#entries.findIndex((entry) =>
      entry instanceof WholeStreamEntry && entry.id === id
    );
    return at === -1 ? undefined : this.#expand(at);
  }

  /** Returns a stream by name, and creates it if there is none. */
  open(id: string): StreamLog {
    let stream = this.get(id);
    if (stream === undefined) this.#streams.set(id, stream = new StreamLog(this, id));
    return stream;
  }

  /**
   * Appends an event to a stream that has not ended, and drops the oldest events above the limits. An event
   * that is too large by itself is not kept, only returned.
   *
   * @param answer Whether it is a response
   */
  append(stream: StreamLog, data: string, answer: boolean): LoggedEvent {
    stream.known = true;
    stream.last += 1;
    const event = new EventEntry(stream, stream.last, data);
    const fits = answer || isWithinBytes(data, this.#limits.eventBytes);
    if (!fits || !this.#budget.fits(event.size)) stream.first = stream.last + 1;
    else if (answer) this.#keepAnswer(event);
    else this.#append(event);
    return event;
  }

  /** Appends a whole stream, which has ended and was delivered, as its text. */
  appendStream(id: string, frames: string, count: number): void {
    const whole = new WholeStreamEntry(this, id, frames, count);
    if (!this.#budget.fits(whole.size)) return this.#notifyIfEmpty();
    this.#retention.begin(whole.retention);
    this.#wholeStreams += 1;
    this.#append(whole);
  }

  /** Ends a stream. */
  end(stream: StreamLog): void {
    stream.known = stream.ended = true;
    const placeholder = stream.entries === 0 ? new StreamEntry(stream) : undefined;
    if (placeholder !== undefined && this.#budget.fits(placeholder.size)) this.#append(placeholder);
    this.#retain(stream);
    this.tidy(stream);
  }

  /** Notes that a stream was delivered up to event `n`. */
  deliver(stream: StreamLog, n: number): void {
    if (n <= stream.delivered) return;
    stream.delivered = Math.min(n, stream.last);
    if (stream.answers.length > 0) this.#countAnswers(stream);
    this.#retain(stream);
  }

  /** Returns the part of a stream after event `after`, in a linear scan of the newer entries. */
  read(stream: StreamLog, after: number): Slice {
    const { ended, first, last } = stream;
    const gap = after < first - 1;
    if (after >= last) return { events: NOTHING, ended, gap, last };
    const events: LoggedEvent[] = [];
    // Before `first` only responses are left; without any the number of events is known.
    const most = Math.min(last - after, stream.entries);
    for (const { n, data } of stream.answers) if (n > after) events.push({ n, data });
    for (let at = this.#entries.length - 1; events.length < most && at >= this.#begin; at--) {
      const entry = this.#entries[at];
      if (!(entry instanceof EventEntry) || entry.stream !== stream) continue;
      const { n, data } = entry;
      if (n > after) events.push({ n, data });
    }
    events.sort((one, other) => one.n - other.n);
    return { events, ended, gap, last };
  }

  /** Forgets a stream whose retention has elapsed. */
  expire(stream: StreamLog | WholeStreamEntry): void {
    if (stream instanceof StreamLog) this.#forget(stream);
    else this.#removeWhole(this.#entries.indexOf(stream), stream);
    this.#notifyIfEmpty();
  }

  /** Drops an entry whose memory is needed. */
  evict(entry: StreamEntry): void {
    const { stream } = entry;
    const at = this.#entries.indexOf(entry, this.#begin);
    if (at === -1) this.#removeAnswer(stream, entry);
    else this.#remove(at, entry);
    this.tidy(stream);
  }

  /** Drops a whole stream whose memory is needed. */
  evictWhole(whole: WholeStreamEntry): void {
    whole.retention.cancel();
    this.#removeWhole(this.#entries.indexOf(whole, this.#begin), whole);
    this.#notifyIfEmpty();
  }

  /** Forgets a stream without watchers that is unknown, or that has ended and has no entries. */
  tidy(stream: StreamLog): void {
    if (stream.watched) return;
    const hollow = stream.ended && stream.entries === 0;
    if (hollow || !stream.known) this.#forget(stream);
    this.#notifyIfEmpty();
  }

  /**
   * Cancels every wait, gives all memory back, and wakes every watcher. The log must not be used after
   * this.
   */
  close(): void {
    for (const entry of this.#all()) {
      if (entry instanceof WholeStreamEntry) entry.retention.cancel();
      this.#budget.give(entry);
    }
    for (const stream of this.#streams.values()) stream.cancel();
    for (const stream of this.#streams.values()) stream.wake();
  }

  /** Calls `onEmpty` if no stream is left. */
  #notifyIfEmpty(): void {
    if (this.#streams.size === 0 && this.#wholeStreams === 0) this.#onEmpty();
  }

  /** Begins the retention of a stream, if it has ended and was delivered. */
  #retain(stream: StreamLog): void {
    if (!stream.ended || stream.delivered < stream.last || stream.pending) return;
    this.#retention.begin(stream);
  }

  /** Lists all entries, oldest first, apart from undelivered responses. */
  #all(): LogEntry[] {
    const kept = this.#entries.slice(this.#begin).filter((entry) => entry !== undefined);
    return [...kept, ...[...this.#streams.values()].flatMap(({ answers }) => answers)];
  }

  #forget(stream: StreamLog): void {
    stream.cancel();
    if (this.#streams.get(stream.id) === stream) this.#streams.delete(stream.id);
    for (const answer of stream.answers) this.#removeAnswer(stream, answer);
    for (let at = this.#entries.length - 1; stream.entries > 0 && at >= this.#begin; at--) {
      const entry = this.#entries[at];
      if (entry instanceof StreamEntry && entry.stream === stream) this.#remove(at, entry);
    }
    stream.first = stream.last + 1;
  }

  #append(entry: LogEntry): void {
    this.#count += entry.count;
    this.#chars += entry.chars;
    this.#entries.push(entry);
    if (entry instanceof StreamEntry) entry.stream.entries += 1;
    this.#budget.take(entry, this.#share);
    this.#trim();
  }

  /** Keeps a response until it is delivered, however much the session has. */
  #keepAnswer(answer: EventEntry): void {
    const { stream } = answer;
    stream.answers = [...stream.answers, answer];
    stream.entries += 1;
    this.#budget.take(answer, this.#share);
  }

  /** Counts responses for the limits, as the newest entries, once they were delivered. */
  #countAnswers(stream: StreamLog): void {
    const { answers, delivered } = stream;
    if (answers.every(({ n }) => n > delivered)) return;
    stream.answers = answers.filter(({ n }) => n > delivered);
    for (const answer of answers) {
      if (answer.n > delivered) continue;
      this.#count += 1;
      this.#chars += answer.chars;
      this.#entries.push(answer);
    }
    this.#trim();
  }

  #removeAnswer(stream: StreamLog, answer: StreamEntry): void {
    const { length } = stream.answers;
    stream.answers = stream.answers.filter((each) => each !== answer);
    if (stream.answers.length === length) return;
    stream.entries -= 1;
    if (answer instanceof EventEntry) stream.first = Math.max(stream.first, answer.n + 1);
    this.#budget.give(answer);
  }

  /** Drops the oldest entries above the limits, but never the newest. */
  #trim(): void {
    while (this.#count > this.#limits.events || this.#exceedsBytes()) {
      const oldest = this.#entries[this.#begin];
      const last = this.#begin === this.#entries.length - 1;
      if (oldest === undefined || (last && oldest.count === 1)) return;
      this.#dropOldest(oldest);
    }
  }

  /** Tells whether the log has too many bytes. Measures entries only if it may. */
  #exceedsBytes(): boolean {
    const { eventBytes } = this.#limits;
    if (this.#bytes + 3 * this.#chars <= eventBytes) return false;
    for (let at = this.#entries.length - 1; at >= this.#begin; at--) {
      let entry = this.#entries[at];
      if (entry instanceof WholeStreamEntry) {
        this.#expand(at);
        at += entry.count - 1;
        entry = this.#entries[at];
      }
      if (!(entry instanceof StreamEntry) || entry.bytes !== undefined) break;
      this.#chars -= entry.chars;
      this.#bytes += entry.measure();
    }
    return this.#bytes > eventBytes;
  }

  /** Drops the oldest event. */
  #dropOldest(oldest: LogEntry): void {
    if (oldest instanceof StreamEntry) {
      this.#remove(this.#begin, oldest);
      this.tidy(oldest.stream);
    } else if (oldest.count === 1) {
      oldest.retention.cancel();
      this.#removeWhole(this.#begin, oldest);
    } else {
      oldest.count -= 1;
      this.#count -= 1;
    }
  }

  /** Replaces the entry of a whole stream by the entries of its events. */
  #expand(at: number): StreamLog {
    const whole = this.#entries[at] as WholeStreamEntry; // both callers have checked it
    const { id, frames, last, count } = whole;
    const stream = new StreamLog(this, id);
    stream.known = stream.ended = true;
    stream.last = stream.delivered = last;
    stream.first = last - count + 1;
    whole.retention.replaceWith(stream);
    this.#streams.set(id, stream);
    this.#discount(whole);
    const entries = framedData(frames).slice(-count)
      .map((data, index) => new EventEntry(stream, stream.first + index, data));
    this.#entries.splice(at, 1, ...entries);
    this.#budget.replace(whole, entries);
    for (const { chars } of entries) this.#chars += chars;
    this.#count += count;
    stream.entries = count;
    return stream;
  }

  #removeWhole(at: number, whole: WholeStreamEntry): void {
    this.#cut(at);
    this.#discount(whole);
    this.#budget.give(whole);
  }

  #discount(whole: WholeStreamEntry): void {
    this.#wholeStreams -= 1;
    this.#count -= whole.count;
    this.#chars -= whole.chars;
  }

  #remove(at: number, entry: StreamEntry): void {
    const { stream, bytes, chars } = entry;
    this.#cut(at);
    this.#budget.give(entry);
    stream.entries -= 1;
    if (entry instanceof EventEntry) stream.first = Math.max(stream.first, entry.n + 1);
    this.#count -= 1;
    if (bytes === undefined) this.#chars -= chars;
    else this.#bytes -= bytes;
  }

  /** Removes an entry: nearly always the oldest. */
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
