/**
 * Parses event ids, and finds the event after which a client resumes a stream (2025-11-25, Transports,
 * Resumability and Redelivery).
 *
 * @module
 */
import { isPromise } from "../internal/types.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { EventLog, Slice } from "./types.ts";

/** The id of an event. */
export interface EventId {
  /** The stream's name in its session. */
  readonly stream: string;
  /** The event's number; 0 is before the first. */
  readonly n: number;
}

/** The event after which a client resumes. */
export interface ResumePoint {
  /** The stream's name in its session. */
  readonly stream: string;
  /** The number of the last event that the client has received. */
  readonly after: number;
  /** Whether the client has received everything: the stream has ended, and nothing follows. */
  readonly complete: boolean;
}

/** The reason why a client can't resume. */
export interface NoResumePoint {
  /** The reason. */
  readonly failed:
    /** The text is not an event id. */
    | "malformed"
    /** The session's log has no such stream or event. */
    | "unknown"
    /** Events after it have been dropped. */
    | "gap";
}

const EVENT_ID = /^([A-Za-z0-9_-]{1,32})\.(0|[1-9][0-9]{0,15})$/;

/** Writes an event id. */
export function eventId(stream: string, n: number): string {
  return `${stream}.${n}`;
}

/** Parses an event id. Returns `undefined` for any other text. */
export function parseEventId(text: string): EventId | undefined {
  const [, stream, digits] = EVENT_ID.exec(text) ?? [];
  const n = Number(digits);
  return stream !== undefined && Number.isSafeInteger(n) ? { stream, n } : undefined;
}

/**
 * Finds the event after which a client resumes, in its own session only.
 *
 * @param lastEventId The client's `Last-Event-ID` header
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
  return { stream, after: n, complete: slice.ended && n === slice.last };
}
