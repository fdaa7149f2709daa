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

/** A place in the list. */
export type Place = EventPlace | WholePlace;

/** An event, or what stands for an ended stream without any. */
export class EventPlace {
  readonly stream: StreamLog;
  readonly event: LoggedEvent | undefined;
  /** Its bytes as UTF-8, once they were measured. */
  bytes: number | undefined;

  constructor(stream: StreamLog, event: LoggedEvent | undefined) {
    this.stream = stream;
    this.event = event;
  }

  /** How many events it counts as. */
  get count(): number {
    return 1;
  }

  /** How many characters it has. */
  get chars(): number {
    return this.event?.data.length ?? 0;
  }

  /** Finds out its bytes. */
  measure(): number {
    return this.bytes = this.event === undefined ? 0 : utf8Length(this.event.data);
  }
}

/**
 * A stream that came whole, as its text, and the wait until it is forgotten: one object, since there is
 * one for each answer that was a stream. It is never measured.
 */
export class WholePlace extends Wait {
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
  over(): void {
    this.#log.expire(this);
  }
}
