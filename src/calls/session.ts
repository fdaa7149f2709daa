/**
 * Defines the part of a session that its calls need.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { ExchangeSession } from "../protocol/exchange.ts";
import type { InFlight } from "./lifetime/inflight.ts";
import type { OpenQuestions } from "./questions/questions.ts";

/** A session, as seen by its calls. */
export interface CallSession extends ExchangeSession {
  /** A hash of the id, for events. */
  readonly name: string;
  /** Whether the session has ended: its calls must stop. */
  readonly ended: boolean;
  /** The calls that run in the session. */
  readonly inflight: InFlight;
  /** The questions that wait for the client's response. */
  readonly questions: OpenQuestions;
  /** Prevents the session from expiring by idleness and from being evicted, until `release()`. */
  hold(): void;
  /** Ends one hold. */
  release(): void;
  /**
   * Sends a question on the session's server-to-client stream.
   *
   * @returns `false` if the client has no such stream open, on any node
   */
  sendQuestion(text: string): MaybePromise<boolean>;
}
