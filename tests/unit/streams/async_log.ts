/**
 * A log that answers later, as one on another machine does.
 *
 * @module
 */
import type { EventLog, Slice } from "../../../src/streams/types.ts";

/** Wraps a log so that every answer is a promise. */
export class AsyncLog implements EventLog {
  readonly #log: EventLog;
  /** What every call fails with, if anything. */
  failing: Error | undefined;
  /** While set, reads are answered only once `release` is called. */
  held: (() => void)[] | undefined;
  /** How many reads are under way, and how many were at most. */
  reading = 0;
  mostReading = 0;
  reads = 0;
  /** How many watch. */
  watching = 0;

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** Answers the reads that are held back, as things are now, and those that come later. */
  release(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const answer of held) answer();
  }

  async open(session: string, stream: string): Promise<void> {
    await this.#turn();
    await this.#log.open(session, stream);
  }

  async append(session: string, stream: string, data: string): Promise<number> {
    await this.#turn();
    return await this.#log.append(session, stream, data);
  }

  async end(session: string, stream: string): Promise<void> {
    await this.#turn();
    await this.#log.end(session, stream);
  }

  async read(session: string, stream: string, after: number): Promise<Slice | undefined> {
    this.reads += 1;
    this.reading += 1;
    this.mostReading = Math.max(this.mostReading, this.reading);
    try {
      // The answer is taken before the wait: what is appended meanwhile is not in it.
      const slice = await this.#log.read(session, stream, after);
      const { held } = this;
      if (held !== undefined) await new Promise<void>((resolve) => held.push(resolve));
      await this.#turn();
      return slice;
    } finally {
      this.reading -= 1;
    }
  }

  async deliver(session: string, stream: string, n: number): Promise<void> {
    await this.#turn();
    await this.#log.deliver(session, stream, n);
  }

  async delivered(session: string, stream: string): Promise<number> {
    await this.#turn();
    return await this.#log.delivered(session, stream);
  }

  watch(session: string, stream: string, wake: (oldest?: number) => void): () => void {
    this.watching += 1;
    let stop: (() => void) | undefined = this.#log.watch(session, stream, wake);
    return () => {
      if (stop !== undefined) this.watching -= 1;
      stop?.();
      stop = undefined;
    };
  }

  async drop(session: string): Promise<void> {
    await this.#turn();
    await this.#log.drop(session);
  }

  async #turn(): Promise<void> {
    await Promise.resolve();
    if (this.failing !== undefined) throw this.failing;
  }
}
