/**
 * Counts what happened lately: in the last minute second by second, and in the last hour in slots of 15 seconds
 * and minutes. Nothing older is kept, and no timer runs.
 *
 * @module
 */
import { emptyBuckets } from "./histogram.ts";

const SECOND = 1_000;
/** The seconds of the last minute. */
const SECONDS = 60;
/** The time that one point of the history stands for, in milliseconds. */
export const SLOT_MS = 15_000;
/** The number of points: an hour. */
export const SLOTS = 240;
const MINUTE_MS = 60_000;
const MINUTES = 60;

/** Calls that ended within a time. */
export interface CallCounts {
  /** The number of calls. */
  readonly count: number;
  /** Those that ended in an error, a failed tool, or not at all. */
  readonly errors: number;
  /** The number of calls by duration. */
  readonly buckets: readonly number[];
}

/** The events of the last minute: of the current second and the 59 before it. */
export class LastMinute {
  readonly #seconds = new Float64Array(SECONDS).fill(-1);
  readonly #counts = new Uint32Array(SECONDS);

  /** Counts one at a time in milliseconds. */
  add(now: number): void {
    const second = Math.floor(now / SECOND);
    const at = second % SECONDS;
    if (this.#seconds[at] !== second) {
      this.#seconds[at] = second;
      this.#counts[at] = 0;
    }
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  /** Returns the number of the last minute. */
  sum(now: number): number {
    const second = Math.floor(now / SECOND);
    let sum = 0;
    for (let at = 0; at < SECONDS; at++) {
      const age = second - (this.#seconds[at] ?? -1);
      if (age >= 0 && age < SECONDS) sum += this.#counts[at] ?? 0;
    }
    return sum;
  }
}

/** Counts calls with their durations. */
interface CountedCalls {
  count: number;
  errors: number;
  readonly buckets: number[];
}

function noCalls(): CountedCalls {
  return { count: 0, errors: 0, buckets: emptyBuckets() };
}

function countCall(calls: CountedCalls, failed: boolean, bucket: number | undefined): void {
  calls.count += 1;
  if (failed) calls.errors += 1;
  if (bucket !== undefined) calls.buckets[bucket] = (calls.buckets[bucket] ?? 0) + 1;
}

/** The calls of the last minute, with their durations. */
export class CallsOfMinute {
  readonly #slots: (CountedCalls & { readonly second: number })[] = [];

  /**
   * Counts a call.
   *
   * @param bucket The bucket of its duration; `undefined` if that isn't known
   */
  add(now: number, failed: boolean, bucket: number | undefined): void {
    const second = Math.floor(now / SECOND);
    let last = this.#slots.at(-1);
    if (last?.second !== second) {
      last = { second, ...noCalls() };
      this.#slots.push(last);
      this.#forget(second);
    }
    countCall(last, failed, bucket);
  }

  /** Returns the calls of the last minute. */
  sum(now: number): CallCounts {
    this.#forget(Math.floor(now / SECOND));
    const sum = noCalls();
    for (const { count, errors, buckets } of this.#slots) {
      sum.count += count;
      sum.errors += errors;
      for (const [at, more] of buckets.entries()) sum.buckets[at] = (sum.buckets[at] ?? 0) + more;
    }
    return sum;
  }

  #forget(second: number): void {
    while (
      this.#slots.length > SECONDS || second - (this.#slots[0]?.second ?? second) >= SECONDS
    ) this.#slots.shift();
  }
}

/** What there was at a node at one time. */
export interface Gauges {
  readonly sessions: number;
  readonly calls: number;
  readonly streams: number;
}

/** One point of the history. */
export interface HistoryPoint extends CallCounts {
  /** When its 15 seconds began, in milliseconds since the epoch. */
  readonly at: number;
  /** The other requests that ended, such as `initialize`. */
  readonly requests: number;
  /** What there was at their end, or is now. */
  readonly gauges: Gauges;
}

/** The last hour, in points of 15 seconds. */
export class History {
  readonly #points: (CountedCalls & { at: number; requests: number; gauges: Gauges })[] = [];
  readonly #gauges: () => Gauges;

  /**
   * Creates an empty history.
   *
   * @param gauges Returns what there is now
   */
  constructor(gauges: () => Gauges) {
    this.#gauges = gauges;
  }

  /** Counts a call of a tool, a prompt or a resource. */
  addCall(now: number, failed: boolean, bucket: number | undefined): void {
    countCall(this.#at(now), failed, bucket);
  }

  /** Counts another request. */
  addRequest(now: number): void {
    this.#at(now).requests += 1;
  }

  /** Begins a new point if it is time, so that the one before keeps what there was. */
  touch(now: number): void {
    this.#at(now);
  }

  /** Returns the points, the oldest first; where nothing happened there is none. */
  points(now: number): readonly HistoryPoint[] {
    this.#at(now).gauges = this.#gauges();
    return this.#points;
  }

  #at(now: number) {
    const at = Math.floor(now / SLOT_MS) * SLOT_MS;
    let last = this.#points.at(-1);
    // A clock that goes back adds to the point that there is.
    if (last !== undefined && last.at >= at) return last;
    last = { at, requests: 0, gauges: this.#gauges(), ...noCalls() };
    this.#points.push(last);
    while ((this.#points[0]?.at ?? at) <= at - SLOT_MS * SLOTS) this.#points.shift();
    return last;
  }
}

/** One minute of a tool. */
export interface ToolMinute extends CallCounts {
  /** When it began, in milliseconds since the epoch. */
  readonly at: number;
}

/** The last hour of one tool; minutes without calls aren't kept. */
export class ToolHour {
  readonly #minutes: (CountedCalls & { readonly at: number })[] = [];

  /** Counts a call. */
  add(now: number, failed: boolean, bucket: number | undefined): void {
    const at = Math.floor(now / MINUTE_MS) * MINUTE_MS;
    let last = this.#minutes.at(-1);
    if (last === undefined || last.at < at) {
      last = { at, ...noCalls() };
      this.#minutes.push(last);
      this.#forget(at);
    }
    countCall(last, failed, bucket);
  }

  /** Returns the minutes, the oldest first. */
  minutes(now: number): readonly ToolMinute[] {
    this.#forget(Math.floor(now / MINUTE_MS) * MINUTE_MS);
    return this.#minutes;
  }

  #forget(at: number): void {
    while ((this.#minutes[0]?.at ?? at) <= at - MINUTES * MINUTE_MS) this.#minutes.shift();
  }
}
