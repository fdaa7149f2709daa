/**
 * Writes lines to a byte stream, and tells when too many wait to be read.
 *
 * @module
 */

const encoder = new TextEncoder();

/** Writes lines in order, as fast as the other side reads them. */
export class LineWriter {
  /** Resolves once writing has failed, or the writer was closed. */
  readonly ended: Promise<void>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #end: () => void;
  readonly #maxWaiting: number;
  readonly #wakes = new Set<() => void>();
  #waiting = 0;
  #ended = false;

  /**
   * Takes the stream.
   *
   * @param maxWaiting The number of bytes above which {@linkcode room} waits
   * @throws {TypeError} If the stream is locked
   */
  constructor(output: WritableStream<Uint8Array>, maxWaiting: number) {
    this.#writer = output.getWriter();
    this.#maxWaiting = maxWaiting;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = () => {
      this.#ended = true;
      for (const wake of this.#wakes) wake();
      this.#wakes.clear();
      resolve();
    };
    // Nobody may be writing when the other side closes.
    this.#writer.closed.then(this.#end, this.#end);
  }

  /**
   * Writes a line.
   *
   * @param text JSON. Line breaks, which it only has between tokens, become spaces
   * @returns Whether the line was written: `false` if the other side doesn't read any more
   */
  async write(text: string): Promise<boolean> {
    if (this.#ended) return false;
    const bytes = encoder.encode(`${/[\r\n]/.test(text) ? text.replace(/[\r\n]+/g, " ") : text}\n`);
    this.#waiting += bytes.length;
    try {
      await this.#writer.write(bytes);
      return true;
    } catch {
      this.#end();
      return false;
    } finally {
      this.#waiting -= bytes.length;
      if (this.#waiting <= this.#maxWaiting) {
        for (const wake of this.#wakes) wake();
        this.#wakes.clear();
      }
    }
  }

  /** Waits while more bytes wait to be written than may. */
  room(): Promise<void> | undefined {
    if (this.#ended || this.#waiting <= this.#maxWaiting) return undefined;
    return new Promise((resolve) => this.#wakes.add(resolve));
  }

  /**
   * Closes the stream when everything is written, or when the time is up.
   *
   * @param ms The time limit, in milliseconds
   */
  async close(ms: number): Promise<void> {
    const timer = setTimeout(this.#end, ms);
    this.#writer.close().then(this.#end, this.#end);
    await this.ended;
    clearTimeout(timer);
  }
}
