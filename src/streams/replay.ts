/**
 * Event ids, and where a client that comes back with one goes on reading (2025-11-25, Transports,
 * Resumability and Redelivery).
 *
 * @module
 */
import { isPromise } from "../internal/types.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { EventLog, Slice } from "./types.ts";

/** A place in a stream. */
export interface EventId {
  /** The stream's name in its session. */
  readonly stream: string;
  /** The event's number; 0 is before the first. */
  readonly n: number;
}

/** Where to go on reading. */
export interface ResumePoint {
  /** The stream's name in its session. */
  readonly stream: string;
  /** The number of the last event that the client has. */
  readonly after: number;
  /** Whether the client has everything: the stream has ended, and nothing follows. */
  readonly over: boolean;
}

/** Why there is nowhere to go on. */
export interface NoResumePoint {
  /** The reason. */
  readonly failed:
    /** It is no event id. */
    | "malformed"
    /** The session has, or remembers, no such stream or event. */
    | "unknown"
    /** What followed the event has been thrown away. */
    | "gap";
}

const EVENT_ID = /^([A-Za-z0-9_-]{1,32})\.(0|[1-9][0-9]{0,15})$/;

/** The id of a stream's event. */
export function eventId(stream: string, n: number): string {
  return `${stream}.${n}`;
}

/** The place that an event id names, or `undefined` when the text is none. */
export function parseEventId(text: string): EventId | undefined {
  const [, stream, digits] = EVENT_ID.exec(text) ?? [];
  const n = Number(digits);
  return stream !== undefined && Number.isSafeInteger(n) ? { stream, n } : undefined;
}

/**
 * Finds where a client goes on reading, in its own session alone.
 *
 * @param lastEventId What the client sent as `Last-Event-ID`
 */
export function findResumePoint(
  log: EventLog,
  session: string,
  lastEventId: string,
): MaybePromise<ResumePoint | NoResumePoint> {
  const id = parseEventId(lastEventId);
  if (id === undefined) return { failed: "malformed" };
  const slice = log.read(session, id.stream, id.n);
  if (isPromise(slice)) return slice.then((value) => resumePointIn(value, id));
  return resumePointIn(slice, id);
}

function resumePointIn(
  slice: Slice | undefined,
  { stream, n }: EventId,
): ResumePoint | NoResumePoint {
  if (slice === undefined || n > slice.last) return { failed: "unknown" };
  if (slice.gap) return { failed: "gap" };
  return { stream, after: n, over: slice.ended && n === slice.last };
}
