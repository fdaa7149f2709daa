/**
 * Stops a server at the first signal, and ends the process at the second.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";

/**
 * The time after the first signal within which another one is the same one, in milliseconds: `npx` and
 * `deno task` forward the signal that the terminal sends to the whole process group.
 */
const REPEAT_MS = 500;

/** Options for {@linkcode onStopSignals}. */
export interface StopSignalsInit {
  /** Calls a listener at each SIGINT and SIGTERM, until the returned function is called. */
  readonly listen: (listener: () => void) => () => void;
  readonly clock: Clock;
  /** Called once, at the first signal. */
  readonly stop: () => void;
  /**
   * Called once, at the next signal that isn't a repetition of the first. Without it, that signal has its
   * default effect: it ends the process.
   */
  readonly force?: () => void;
}

/** Handles the signals that stop a server, until the returned function is called. */
export function onStopSignals({ listen, clock, stop, force }: StopSignalsInit): () => void {
  let state: "running" | "stopping" | "impatient" = "running";
  const forget = listen(() => {
    if (state === "impatient") {
      forget();
      force?.();
    }
    if (state !== "running") return;
    state = "stopping";
    clock.timer(REPEAT_MS, () => {
      state = "impatient";
      if (force === undefined) forget();
    });
    stop();
  });
  return forget;
}
