/**
 * Defines the entries of a session's log: single events, and whole streams that are kept as text.
 *
 * @module
 */
import { Wait } from "../internal/delay_line.ts";
import { utf8Length } from "../internal/utf8.ts";
import type { SessionLog } from "./session_log.ts";
import type { StreamLog } from "./stream_log.ts";
import type { LoggedEvent } from "./types.ts";

/** An entry of a session's log. */
export type LogEntry = StreamEntry | WholeStreamEntry;

/** An entry of a stream: the placeholder of an ended stream without events, or an {@linkcode EventEntry}. */
export class StreamEntry {
  readonly stream: StreamLog;
  /** The size in bytes as UTF-8, once measured. */
  bytes: number | undefined;

  constructor(stream: StreamLog) {
    this.stream = stream;
  }

  /** The number of events that it counts as. */
  get count(): number {
    return 1;
  }

  /** The size in characters. */
  get chars(): number {
    return 0;
  }

  /** Measures and stores the size in bytes. */
  measure(): number {
    return this.bytes = 0;
  }
}

/** An event. The event object itself is the entry, since there may be very many. */
export class EventEntry extends StreamEntry implements LoggedEvent {
  readonly n: number;
  readonly data: string;

  constructor(stream: StreamLog, n: number, data: string) {
    super(stream);
    this.n = n;
    this.data = data;
  }

  override get chars(): number {
    return this.data.length;
  }

  override measure(): number {
    return this.bytes = utf8Length(this.data);
  }
}

/**
 * A stream that was appended as a whole, as its text, and the wait until it is forgotten: one object,
 * since there is one for each response that was a stream. Its bytes are never measured.
 */
export class WholeStreamEntry extends Wait {
  /** The stream's name. */
  readonly id: string;
  /** The text of all its events, as they were sent. */
  readonly frames: string;
  /** The number of its events. */
  readonly last: number;
  /** The number of events that are kept, the newest ones. */
  count: number;
  readonly #log: SessionLog;

  constructor(log: SessionLog, id: string, frames: string, count: number) {
    super();
    this.#log = log;
    this.id = id;
    this.frames = frames;
    this.last = this.count = count;
  }

  /** An upper bound of the size in characters. */
  get chars(): number {
    return this.frames.length;
  }

  /** The size in bytes, which is unknown. */
  get bytes(): undefined {
    return undefined;
  }

  /** Forgets the stream. */
  elapsed(): void {
    this.#log.expire(this);
  }
}
