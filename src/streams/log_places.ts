/**
 * What a session's log is a list of: single events, and streams that came whole.
 *
 * @module
 */
import type { Delay } from "../internal/delay_line.ts";
import { Linked } from "../internal/linked_list.ts";
import { utf8Length } from "../internal/utf8.ts";
import type { StreamLog } from "./session_log.ts";
import type { LoggedEvent } from "./types.ts";

/** A place in the list. */
export type Place = EventPlace | WholePlace;

/** An event, or what stands for an ended stream without any. */
export class EventPlace extends Linked<Place> {
  readonly stream: StreamLog;
  readonly event: LoggedEvent | undefined;
  /** How many events it counts as. */
  readonly count = 1;
  /** Its bytes as UTF-8, once they were measured. */
  bytes: number | undefined;

  constructor(stream: StreamLog, event: LoggedEvent | undefined) {
    super();
    this.stream = stream;
    this.event = event;
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

/** What a stream is that came whole. */
export interface WholeInit {
  /** The stream's name. */
  readonly id: string;
  /** All its events, as they were sent. */
  readonly frames: string;
  /** How many events it has. */
  readonly count: number;
  /** The wait after which it is forgotten. */
  readonly retention: Delay;
}

/** A stream that came whole, as its text. It is never measured. */
export class WholePlace extends Linked<Place> {
  readonly id: string;
  readonly frames: string;
  readonly retention: Delay;
  /** How many events it had. */
  readonly last: number;
  /** How many of them are kept: the newest ones. */
  count: number;
  readonly bytes = undefined;

  constructor({ id, frames, count, retention }: WholeInit) {
    super();
    this.id = id;
    this.frames = frames;
    this.retention = retention;
    this.last = this.count = count;
  }

  /** How many characters it has, at the most. */
  get chars(): number {
    return this.frames.length;
  }
}
