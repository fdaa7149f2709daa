/**
 * Hands events to the application's `onEvent`, and runs background work whose failures become events.
 *
 * @module
 */
import { isPromise } from "../internal/types.ts";
import type { McpEvent } from "./events.ts";

/** Takes an event. It never throws. */
export type Report = (event: McpEvent) => void;

/** Reports to one `onEvent` function, which can neither throw into the library nor reject unhandled. */
export class Reporter {
  /** Whether anybody listens: build an event only when this is true. */
  readonly enabled: boolean;
  readonly #onEvent: Report | undefined;

  /** @param onEvent The application's function; events are dropped without one */
  constructor(onEvent: Report | undefined) {
    this.#onEvent = onEvent;
    this.enabled = onEvent !== undefined;
  }

  /** Hands an event to `onEvent`. Bound, so that it can be passed on by itself. */
  readonly report: Report = (event) => {
    try {
      // An async function may be given all the same; nothing else would handle its rejection.
      const done: unknown = this.#onEvent?.(event);
      if (isPromise(done)) done.then(undefined, () => {});
    } catch {
      // The application's own listener failed: there is nowhere left to report to.
    }
  };

  /** Reports a failure that the client learns nothing about. */
  failed(during: string, error: unknown): void {
    this.report({ type: "error", during, error });
  }

  /**
   * Runs work that no request waits for, and reports its failure.
   *
   * @param during What the work is, for the event
   * @param onFailure Called after the failure was reported
   * @returns A promise that resolves when the work has settled, or `undefined` when it has already
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
