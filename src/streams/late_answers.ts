/**
 * Writes responses, and the ends of streams, to the log that it could not take at first: their clients may
 * have resumed elsewhere, and the node is alive, so that nobody else answers for it.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { EventLog } from "./types.ts";

/** The time between two attempts, in milliseconds. */
const AGAIN_MS = 1_000;
/** The maximum number of attempts. */
const MOST_TRIES = 120;
/** The maximum number of streams whose end is kept: with more that wait, it isn't. */
const MOST_ENDS = 10_000;
/** The maximum number of characters that wait. */
const MOST_CHARS = 64 * 1024 * 1024;

/** What waits for one stream: its end, after its responses unless they are in the log. */
interface Late {
  readonly session: string;
  readonly stream: string;
  readonly texts: string[];
  tries: number;
}

/** The responses and ends that a log has failed to take. */
export class LateAnswers {
  readonly #log: EventLog;
  readonly #clock: Clock;
  readonly #reporter: Reporter;
  readonly #late = new Map<string, Late>();
  #chars = 0;
  #stop: (() => void) | undefined;

  /** Creates an empty set; no timer runs until something waits. */
  constructor(log: EventLog, clock: Clock, reporter: Reporter) {
    this.#log = log;
    this.#clock = clock;
    this.#reporter = reporter;
  }

  /** The number of streams that wait. */
  get size(): number {
    return this.#late.size;
  }

  /**
   * Keeps a response whose append failed, and ends its stream with it once the log is back. It may have been
   * appended even so, or yet be: then nothing more is written.
   *
   * @returns `false` if the log can't tell that, or too much waits
   */
  add(session: string, stream: string, text: string): boolean {
    if (this.#log.endRun === undefined || this.#chars + text.length > MOST_CHARS) return false;
    this.#keep(session, stream).texts.push(text);
    this.#chars += text.length;
    return true;
  }

  /** Ends a stream whose end failed, once the log is back: its responses are in the log. */
  addEnd(session: string, stream: string): void {
    if (this.#late.size < MOST_ENDS) this.#keep(session, stream);
  }

  /** Keeps nothing any more. */
  clear(): void {
    this.#stop?.();
    this.#late.clear();
    this.#chars = 0;
  }

  #keep(session: string, stream: string): Late {
    const key = JSON.stringify([session, stream]);
    const late = this.#late.get(key) ?? { session, stream, texts: [], tries: 0 };
    this.#late.set(key, late);
    this.#stop ??= this.#clock.timer(AGAIN_MS, () => this.#writeAll());
    return late;
  }

  #writeAll(): void {
    const writing = [...this.#late].map(async ([key, late]) => {
      // Redis may be away for long: each attempt fails, and only the first failure was news.
      const written = await this.#write(late).catch(() => false);
      if (!written && ++late.tries < MOST_TRIES) return;
      this.#late.delete(key);
      for (const { length } of late.texts) this.#chars -= length;
      if (written) return;
      this.#reporter.failed("appending a response", new Error("The log did not take it in time"));
    });
    void Promise.all(writing).then(() => {
      this.#stop = this.#late.size === 0
        ? undefined
        : this.#clock.timer(AGAIN_MS, () => this.#writeAll());
    });
  }

  /** Ends a stream, with its responses if any wait. Returns `false` if it has requests that have none yet. */
  async #write({ session, stream, texts }: Late): Promise<boolean> {
    if (texts.length === 0) {
      await this.#log.end(session, stream);
      return true;
    }
    const run = await this.#log.run?.(session, stream);
    // Without a run it was never opened, or has ended meanwhile.
    if (run === undefined) return true;
    const open = run.requests.length;
    if (open > 0 && open !== texts.length) return false;
    return await this.#log.endRun?.(session, stream, run, open === 0 ? [] : texts) === true;
  }
}
