/**
 * What a connection is told when it begins.
 *
 * @module
 */
import type { DelayLine } from "../internal/delay_line.ts";
import type { McpEvent, StreamCloseReason } from "../protocol/events.ts";
import type { EventLog } from "./types.ts";

/** What a connection reads, and how. */
export interface ConnectionOptions {
  /** What it reads from. */
  readonly log: EventLog;
  /** The session's id. */
  readonly session: string;
  /** The stream's name in its session. */
  readonly stream: string;
  /** Where to begin: with the events after this number. */
  readonly after: number;
  /** Whether to send the event that primes the client to come back first (2025-11-25). */
  readonly priming: boolean;
  /** How long the client is told to wait before it comes back, in milliseconds. */
  readonly retryMs: number;
  /** Line of keep-alive waits shared by all connections. */
  readonly keepAlive: DelayLine;
  /**
   * Bytes that may wait in the response's own buffer; one event more always may.
   *
   * @default {65536}
   */
  readonly bufferBytes?: number;
  /**
   * Called exactly once when the connection is over, never before the constructor has returned. It
   * must not throw.
   */
  readonly onClose: (reason: StreamCloseReason) => void;
  /**
   * Told of a failing log, and of events that were thrown away before the connection began. It must
   * not throw.
   */
  readonly report: (event: McpEvent) => void;
}
