/**
 * Passes events to the application's `onEvent`, and runs background work whose failures become events.
 *
 * @module
 */
import { isPromise } from "../internal/types.ts";
import type { McpEvent } from "./events.ts";

/** Receives an event. Never throws. */
export type Report = (event: McpEvent) => void;

/** Calls the application's `onEvent`, and catches what it throws and what its promise rejects with. */
export class Reporter {
  /** Whether there is an `onEvent`: create an event only if this is true. */
  readonly enabled: boolean;
  readonly #onEvent: Report | undefined;

  /**
   * Creates a reporter.
   *
   * @param onEvent The application's function; without one events are dropped
   */
  constructor(onEvent: Report | undefined) {
    this.#onEvent = onEvent;
    this.enabled = onEvent !== undefined;
  }

  /** Calls `onEvent` with an event. Bound, so that it can be passed as a function. */
  readonly report: Report = (event) => {
    try {
      // It may be an async function: nothing else would handle its rejection.
      const done: unknown = this.#onEvent?.(event);
      if (isPromise(done)) done.then(undefined, () => {});
    } catch {
      // The application's own function failed: it can't be reported anywhere else.
    }
  };

  /** Reports an error that is not sent to the client. */
  failed(during: string, error: unknown): void {
    this.report({ type: "error", during, error });
  }

  /**
   * Runs work that no request waits for, and reports its error.
   *
   * @param during The name of the work, for the event
   * @param onFailure Called after an error was reported
   * @returns A promise that resolves when the work has settled; `undefined` for synchronous work
   */
  background(
    during: string,
    work: () => unknown,
    onFailure?: () => void,
  ): Promise<unknown> | undefined {
    const failed = (error: unknown) => {
      this.failed(during, error);
      onFailure?.();
    };
    try {
      const done = work();
      return isPromise(done) ? done.then(undefined, failed) : undefined;
    } catch (error) {
      failed(error);
      return undefined;
    }
  }
}
