/**
 * Writes lines in their order, one call of the writer at a time, and counts those that it can't.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { MaybePromise } from "../internal/types.ts";

/** Options for {@linkcode LineQueue}. */
export interface LineQueueInit {
  readonly write: (lines: string) => MaybePromise<void>;
  /** The maximum number of characters that wait. */
  readonly mostChars: number;
  readonly clock: Clock;
  /** Creates the line that says how many lines were dropped before it. */
  readonly droppedLine: (count: number) => string;
}

/** The number of times that lines are tried. */
const TRIES = 3;
/** The time between two tries, in milliseconds. */
const RETRY_MS = 1_000;
/** The number of characters of one write, unless a single line is longer. */
const CHUNK_CHARS = 65_536;

/** Lines that wait to be written. */
export class LineQueue {
  readonly #init: LineQueueInit;
  readonly #lines: string[] = [];
  /** The number of lines that have been taken from the front of the array. */
  #taken = 0;
  #chars = 0;
  #running: Promise<void> | undefined;
  #written = 0;
  #dropped = 0;
  #failures = 0;
  /** The lines that were dropped since the last line that says so. */
  #unsaid = 0;
  /** The lines that the writer has now. */
  #writing = 0;
  #closed = false;
  /** Whether close() has stopped waiting for the writer. */
  #abandoned = false;
  #wake: (() => void) | undefined;

  constructor(init: LineQueueInit) {
    this.#init = init;
  }

  get stats() {
    return {
      written: this.#written,
      dropped: this.#dropped,
      queued: this.#waiting + this.#writing,
      failures: this.#failures,
    };
  }

  /**
   * Adds a line, or drops it.
   *
   * @param fraction The part of the queue that may be taken when the line is added
   */
  add(line: string, fraction = 1): void {
    if (this.#closed || this.#chars + line.length > this.#init.mostChars * fraction) {
      this.#drop(1);
      return;
    }
    this.#lines.push(line);
    this.#chars += line.length;
    this.#running ??= this.#run();
  }

  /** Resolves when every line is written or dropped. */
  async flush(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Takes no more lines, and drops those that are not written in time. */
  async close(ms: number): Promise<void> {
    if (this.#closed) return await this.flush();
    this.#closed = true;
    // A writer that failed is tried at once.
    this.#wake?.();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const stop = this.#init.clock.timer(ms, resolve);
    await Promise.race([this.flush(), late]);
    stop();
    this.#dropped += this.#waiting + this.#writing;
    this.#abandoned = true;
    this.#writing = 0;
    this.#lines.length = this.#taken = 0;
    this.#running = undefined;
  }

  get #waiting(): number {
    return this.#lines.length - this.#taken;
  }

  async #run(): Promise<void> {
    // Lines of the same turn are written together.
    await undefined;
    let works = true;
    while (!this.#abandoned && (this.#waiting > 0 || (works && this.#unsaid > 0))) {
      works = await this.#writeSome();
    }
    this.#running = undefined;
  }

  /** Writes the first lines, after one that says how many were dropped. Returns whether that worked. */
  async #writeSome(): Promise<boolean> {
    const unsaid = this.#unsaid;
    const { lines, text } = this.#take();
    this.#writing = lines;
    const works = await this.#try(unsaid === 0 ? text : this.#init.droppedLine(unsaid) + text);
    // close() has stopped waiting: it counts the lines as dropped.
    if (this.#abandoned) return false;
    this.#writing = 0;
    this.#chars -= text.length;
    if (works) {
      this.#written += lines;
      this.#unsaid -= unsaid;
    } else {
      this.#drop(lines);
    }
    return works;
  }

  /** Takes the first lines out of the queue: as many as one write has, at least one. */
  #take(): { readonly lines: number; readonly text: string } {
    const first = this.#taken;
    let chars = 0;
    for (; this.#taken < this.#lines.length; this.#taken++) {
      chars += this.#lines[this.#taken]?.length ?? 0;
      if (chars > CHUNK_CHARS && this.#taken > first) break;
    }
    const lines = this.#taken - first;
    const text = this.#lines.slice(first, this.#taken).join("");
    if (this.#taken * 2 >= this.#lines.length) {
      this.#lines.splice(0, this.#taken);
      this.#taken = 0;
    }
    return { lines, text };
  }

  /** Tries to write, a few times. Returns whether that worked. */
  async #try(text: string): Promise<boolean> {
    for (let left = TRIES; left > 0; left--) {
      try {
        await this.#init.write(text);
        return true;
      } catch {
        this.#failures++;
        if (this.#closed) return false;
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        const stop = this.#init.clock.timer(RETRY_MS, resolve);
        await promise;
        stop();
        this.#wake = undefined;
      }
    }
    return false;
  }

  #drop(count: number): void {
    this.#dropped += count;
    this.#unsaid += count;
  }
}
