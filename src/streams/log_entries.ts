/**
 * Defines the entries of a session's log: single events, and whole streams that are kept as text.
 *
 * @module
 */
import { Wait } from "../internal/delay_line.ts";
import { stringMemory } from "../internal/memory_size.ts";
import { utf8Length } from "../internal/utf8.ts";
import { Charge } from "./event_budget.ts";
import type { SessionLog } from "./session_log.ts";
import type { StreamLog } from "./stream_log.ts";
import type { LoggedEvent } from "./types.ts";

/** The bytes of memory that an entry takes beside its text, with those of a stream that has only this one. */
export const ENTRY_BYTES = 512;

/** An entry of a session's log. */
export type LogEntry = StreamEntry | WholeStreamEntry;

/** An entry of a stream: the placeholder of an ended stream without events, or an {@linkcode EventEntry}. */
export class StreamEntry extends Charge {
  readonly stream: StreamLog;
  /** The size in bytes as UTF-8, once measured. */
  bytes: number | undefined;

  constructor(stream: StreamLog) {
    super();
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

  get size(): number {
    return ENTRY_BYTES;
  }

  /** Measures and stores the size in bytes. */
  measure(): number {
    return this.bytes = 0;
  }

  evict(): void {
    this.stream.evict(this);
  }
}

/** An event. The event object itself is the entry, since there may be very many. */
export class EventEntry extends StreamEntry implements LoggedEvent {
  readonly n: number;
  readonly data: string;
  readonly #size: number;

  constructor(stream: StreamLog, n: number, data: string) {
    super(stream);
    this.n = n;
    this.data = data;
    this.#size = ENTRY_BYTES + stringMemory(data);
  }

  override get chars(): number {
    return this.data.length;
  }

  override get size(): number {
    return this.#size;
  }

  override measure(): number {
    return this.bytes = utf8Length(this.data);
  }
}

/** The wait until a whole stream is forgotten. */
class WholeStreamWait extends Wait {
  readonly #entry: WholeStreamEntry;

  constructor(entry: WholeStreamEntry) {
    super();
    this.#entry = entry;
  }

  elapsed(): void {
    this.#entry.log.expire(this.#entry);
  }
}

/** A stream that was appended as a whole, as its text. Its bytes as UTF-8 are never measured. */
export class WholeStreamEntry extends Charge {
  /** The stream's name. */
  readonly id: string;
  /** The text of all its events, as they were sent. */
  readonly frames: string;
  /** The number of its events. */
  readonly last: number;
  /** The number of events that are kept, the newest ones. */
  count: number;
  readonly size: number;
  readonly log: SessionLog;
  /** The wait until it is forgotten. */
  readonly retention: Wait = new WholeStreamWait(this);

  constructor(log: SessionLog, id: string, frames: string, count: number) {
    super();
    this.log = log;
    this.id = id;
    this.frames = frames;
    this.last = this.count = count;
    // What its events take once it is read: reading it must not exceed the budget.
    this.size = count * ENTRY_BYTES + stringMemory(frames);
  }

  /** An upper bound of the size in characters. */
  get chars(): number {
    return this.frames.length;
  }

  /** The size in bytes as UTF-8, which is unknown. */
  get bytes(): undefined {
    return undefined;
  }

  evict(): void {
    this.log.evictWhole(this);
  }
}
