/**
 * What an endpoint tells of itself at any moment.
 *
 * @module
 */

/** What is there now. */
export interface HandlerStats {
  /** Sessions. */
  readonly sessions: number;
  /** Open connections of streams. */
  readonly streams: number;
  /** Requests that run. */
  readonly requests: number;
  /** Questions to clients that wait for an answer. */
  readonly questions: number;
  /** Open `subscriptions/listen` requests. */
  readonly listens: number;
  /** 1 while new sessions are refused, on every node; left out otherwise. */
  readonly draining?: number;
  /** Documents that all nodes are to go by and this one can't, or not yet; left out where none. */
  readonly unapplied?: number;
}
