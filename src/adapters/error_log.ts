/**
 * Writes failures to stderr for an author who doesn't listen to events: a tool that throws, a result that
 * doesn't fit its schema, an `authenticate` that fails.
 *
 * @module
 */
import { BoundedMap } from "../internal/bounded_map.ts";
import { booleanOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import { escapeInvisible } from "../internal/invisible.ts";
import { clip } from "../internal/quote.ts";
import type { McpEvent } from "../protocol/events.ts";

/** Options of every adapter that writes failures to stderr. */
export interface LogOptions {
  /**
   * Whether failures are written to stderr: errors that a client isn't told, such as those that a tool
   * throws, each with its stack. The same failure is written once a minute, and counted. `onEvent` gets
   * every failure, with all other events.
   *
   * @default {true} if `onEvent` is left out
   */
  readonly log?: boolean;
}

/** The time for which a failure is only counted after it was written, in milliseconds. */
const QUIET_MS = 60_000;
/** The maximum number of different failures that are written in that time. */
const MOST_ENTRIES = 50;
/** The maximum number of different failures that are counted. */
const MOST_COUNTED = 200;
/** The maximum length of an entry, in characters. */
const LONGEST = 8_000;
/** The maximum number of causes in an entry. */
const MOST_CAUSES = 3;

interface Failure {
  /** The first line of its entries. */
  readonly title: string;
  /** When it was last written. */
  writtenAt: number;
  /** How often it happened in all. */
  count: number;
  /** How often it happened since it was last written. */
  unwritten: number;
}

/** Options for {@linkcode ErrorLog}. */
export interface ErrorLogInit {
  /** The source of time. */
  readonly clock?: Clock;
  /** Writes an entry. */
  readonly write?: (entry: string) => void;
}

/** Writes failures as readable entries: each in full, and its repetitions as a count. */
export class ErrorLog {
  readonly #clock: Clock;
  readonly #write: (entry: string) => void;
  readonly #failures = new BoundedMap<string, Failure>(MOST_COUNTED);
  #windowFrom = -Infinity;
  #windowEntries = 0;
  #leftOut = 0;

  /** Creates a log. It writes with `console.error` unless it is told otherwise. */
  // deno-lint-ignore no-console -- the one place where an adapter tells an author of a failure
  constructor({ clock = systemClock, write = (entry) => console.error(entry) }: ErrorLogInit = {}) {
    this.#clock = clock;
    this.#write = write;
  }

  /** Writes or counts the failure that an event reports. Ignores all other events. Bound. */
  readonly report = (event: McpEvent): void => {
    if (event.type !== "error") return;
    const { during, error } = event;
    const title = `${safe(during, 200)}: ${safe(headline(error), 500)}`;
    const now = this.#clock.now();
    const known = this.#failures.get(title);
    const failure = known ?? { title, writtenAt: -Infinity, count: 0, unwritten: 0 };
    this.#failures.set(title, failure);
    failure.count++;
    failure.unwritten++;
    // The second time is written at once: its author looks for it.
    if (now - failure.writtenAt < QUIET_MS) {
      if (failure.count === 2) this.#repeat(failure, now);
      return;
    }
    if (!this.#mayWrite(now)) return;
    const times = failure.count > 1 ? ` (${failure.count} times so far)` : "";
    failure.writtenAt = now;
    failure.unwritten = 0;
    this.#print(clip(`[mooring] ${title}${times}${details(error)}`, LONGEST));
  };

  /** Writes the counts of what was not written. */
  end(): void {
    for (const failure of this.#failures.values()) {
      if (failure.unwritten === 0) continue;
      failure.unwritten = 0;
      this.#print(`[mooring] ${failure.title} (${failure.count} times in all)`);
    }
    this.#tellLeftOut();
  }

  #repeat(failure: Failure, now: number): void {
    if (!this.#mayWrite(now)) return;
    failure.unwritten = 0;
    this.#print(
      `[mooring] ${failure.title} (again; counted from now on, and written once a minute)`,
    );
  }

  #mayWrite(now: number): boolean {
    if (now - this.#windowFrom >= QUIET_MS) {
      this.#tellLeftOut();
      this.#windowFrom = now;
      this.#windowEntries = 0;
    }
    if (this.#windowEntries < MOST_ENTRIES) {
      this.#windowEntries++;
      return true;
    }
    this.#leftOut++;
    return false;
  }

  #tellLeftOut(): void {
    if (this.#leftOut === 0) return;
    const left = this.#leftOut;
    this.#leftOut = 0;
    this.#print(`[mooring] ${left} other failures in a minute were not written`);
  }

  #print(entry: string): void {
    try {
      this.#write(entry);
    } catch {
      // A closed stderr must not fail a request.
    }
  }
}

/**
 * Returns the log of an adapter, or `undefined` if its user listens to events or wants none.
 *
 * @throws {TypeError} If `log` is not a boolean
 */
export function errorLogFor(
  { log, onEvent, clock }: LogOptions & { readonly onEvent?: unknown; readonly clock?: Clock },
): ErrorLog | undefined {
  return booleanOption("log", log, onEvent === undefined) ? new ErrorLog({ clock }) : undefined;
}

/** Returns the name and message of an error, or a description of anything else that was thrown. */
function headline(error: unknown): string {
  try {
    if (error instanceof Error) return `${error.name}: ${error.message}`;
    return `${typeof error} thrown: ${String(error)}`;
  } catch {
    return "An error that has no text";
  }
}

/** Returns the lines of an error's stack, and those of its causes. */
function details(error: unknown): string {
  try {
    let text = frames(error);
    let cause = error instanceof Error ? error.cause : undefined;
    for (let at = 0; at < MOST_CAUSES && cause !== undefined; at++) {
      text += `\n  Caused by ${safe(headline(cause), 500)}${frames(cause)}`;
      cause = cause instanceof Error ? cause.cause : undefined;
    }
    return text;
  } catch {
    return "";
  }
}

function frames(error: unknown): string {
  if (!(error instanceof Error) || typeof error.stack !== "string") return "";
  const lines = error.stack.split("\n").map((line) => line.trim());
  // V8 writes "at f (file:1:2)"; JavaScriptCore, in some hosts, "f@file:1:2".
  const own = lines.filter((line) => /^at |^[^\s]*@.+:\d+/.test(line));
  return own.map((line) => `\n    ${safe(line, 300)}`).join("");
}

function safe(text: string, most: number): string {
  return escapeInvisible(clip(text, most)).replace(/\r?\n/g, "\n    ");
}
