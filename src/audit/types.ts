/**
 * Defines the audit trail: its options, its records and what it tells about itself.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { McpEvent } from "../protocol/events.ts";

/** What an operator did, for {@linkcode AuditTrail.record}. Never put a token or a session id into it. */
export interface OperatorAct {
  /** What was done, such as `"cancel-call"`. */
  readonly action: string;
  /** Who did it. */
  readonly operator?: string;
  /** What it was done to, and how it ended: texts are clipped to 200 characters. */
  readonly detail?: Readonly<Record<string, string | number | boolean | undefined>>;
}

/** Something that happened beside the requests of a handler, for {@linkcode AuditTrail.note}. */
export interface AuditNote {
  /** The kind of entry, such as `"sign-in"`. */
  readonly act: string;
  /**
   * Whether anybody can cause it at will. Such lines have the same share of the queue as refusals, so that a
   * flood of them doesn't displace the others.
   *
   * @default {false}
   */
  readonly byStrangers?: boolean;
  /** What happened: texts are clipped to 200 characters. Never put a token or a session id into it. */
  readonly detail?: Readonly<Record<string, string | number | boolean | undefined>>;
}

/** Options for {@linkcode audit}. */
export interface AuditOptions {
  /**
   * Writes lines: one or more, each with a newline at its end. It is called again once it has returned,
   * or its promise has settled. If it throws or rejects, the same lines are tried again, 3 times at
   * intervals of a second, and then dropped.
   */
  readonly write: (lines: string) => MaybePromise<void>;
  /**
   * The methods whose calls are recorded.
   *
   * @default {["tools/call", "prompts/get", "resources/read"]}
   */
  readonly methods?: readonly string[];
  /**
   * Characters of lines that may wait for `write`. Above it lines are dropped, and counted. Refusals,
   * which anybody can cause, may take at most half of it.
   *
   * @default {4194304}
   */
  readonly queueChars?: number;
  /**
   * The time that `close()` waits for `write`, in milliseconds.
   *
   * @default {5000}
   */
  readonly closeMs?: number;
  /** The source of time; the system clock when left out. */
  readonly clock?: Clock;
}

/** The numbers of an audit trail. */
export interface AuditStats {
  /** Lines that were written. */
  readonly written: number;
  /** Lines that were dropped: the queue was full, or they could not be written. */
  readonly dropped: number;
  /** Lines that wait to be written. */
  readonly queued: number;
  /** Calls of `write` that failed. */
  readonly failures: number;
}

/** An audit trail: one JSON line for each act that matters for security. */
export interface AuditTrail extends AsyncDisposable {
  /** Records what a handler reports: pass it as `onEvent`, or call it in yours. Bound. */
  readonly onEvent: (event: McpEvent) => void;
  /**
   * Records an operator's act. Bound.
   *
   * @throws {TypeError} If the action is not a non-empty string
   */
  readonly record: (act: OperatorAct) => void;
  /**
   * Records something else that matters for security, such as a step of a login. Bound.
   *
   * @throws {TypeError} If `act` is not a non-empty string
   */
  readonly note: (note: AuditNote) => void;
  /** Returns the numbers of lines. */
  stats(): AuditStats;
  /** Resolves when everything that was recorded before is written or dropped. */
  flush(): Promise<void>;
  /**
   * Writes what waits, for at most `closeMs`; the rest is dropped. Later acts are dropped, too. Closing
   * again does nothing.
   */
  close(): Promise<void>;
}
