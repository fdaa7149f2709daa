/**
 * What a session's log is a list of: single events, and streams that came whole.
 *
 * @module
 */
import { Wait } from "../internal/delay_line.ts";
import { utf8Length } from "../internal/utf8.ts";
import type { SessionLog } from "./session_log.ts";
import type { StreamLog } from "./stream_log.ts";
import type { LoggedEvent } from "./types.ts";

/** A entry in the list. */
export type LogEntry = StreamEntry | WholeStreamEntry;

/** A entry of a stream: what stands for an ended stream without any events, if it isn't an event. */
export class StreamEntry {
  readonly stream: StreamLog;
  /** Its bytes as UTF-8, once they were measured. */
  bytes: number | undefined;

  constructor(stream: StreamLog) {
    this.stream = stream;
  }

  /** How many events it counts as. */
  get count(): number {
    return 1;
  }

  /** How many characters it has. */
  get chars(): number {
    return 0;
  }

  /** Finds out its bytes. */
  measure(): number {
    return this.bytes = 0;
  }
}

/** An event. It is its own entry, since there may be very many. */
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
 * A stream that came whole, as its text, and the wait until it is forgotten: one object, since there is
 * one for each answer that was a stream. It is never measured.
 */
export class WholeStreamEntry extends Wait {
  /** The stream's name. */
  readonly id: string;
  /** All its events, as they were sent. */
  readonly frames: string;
  /** How many events it had. */
  readonly last: number;
  /** How many of them are kept: the newest ones. */
  count: number;
  readonly #log: SessionLog;

  constructor(log: SessionLog, id: string, frames: string, count: number) {
    super();
    this.#log = log;
    this.id = id;
    this.frames = frames;
    this.last = this.count = count;
  }

  /** How many characters it has, at the most. */
  get chars(): number {
    return this.frames.length;
  }

  /** Its bytes are not known. */
  get bytes(): undefined {
    return undefined;
  }

  /** Its time is over. */
  elapsed(): void {
    this.#log.expire(this);
  }
}
