/**
 * The part of a session that its calls need.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { ExchangeSession } from "../protocol/exchange.ts";
import type { InFlight } from "./inflight.ts";
import type { Questions } from "./questions.ts";

/** A session, as its calls see it. */
export interface CallSession extends ExchangeSession {
  /** Whether the session has ended: a call of it must stop. */
  readonly ended: boolean;
  /** The calls that run in the session. */
  readonly inflight: InFlight;
  /** The questions that wait for the client's reply. */
  readonly questions: Questions;
  /** Keeps the session from expiring and from being evicted. */
  hold(): void;
  /** Ends one hold. */
  release(): void;
  /**
   * Sends a question on the session's server-to-client stream.
   *
   * @returns `false` when the client has no such stream open, on any node
   */
  sendQuestion(text: string): MaybePromise<boolean>;
}
