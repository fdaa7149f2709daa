/**
 * Bounds waits for code that the gateway doesn't control: by an abort signal, a time limit, or both.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import { onAbort } from "../../kit.ts";
import { UpstreamError } from "./upstream_error.ts";

/** Rejects one pending wait. */
export type Reject = (error: unknown) => void;

/**
 * Waits for a promise until a signal aborts.
 *
 * @param rejects Holds a function that rejects the wait, for as long as it is pending
 * @throws {AbortSignal["reason"]} If the signal aborts first
 */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  rejects?: Set<Reject>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const ignore = signal.aborted ? undefined : onAbort(signal, () => fail(signal.reason));
    const settle = () => {
      ignore?.();
      rejects?.delete(fail);
    };
    const fail = (error: unknown) => {
      settle();
      reject(error);
    };
    promise.then((value) => {
      settle();
      resolve(value);
    }, fail);
    if (ignore === undefined) fail(signal.reason);
    else rejects?.add(fail);
  });
}

/** A time limit as a signal. */
export interface Deadline {
  /** Aborts with an {@linkcode UpstreamError} `"timeout"`, or with the parent's reason. */
  readonly signal: AbortSignal;
  /** Stops the timer and stops following the parent. Safe to call twice. */
  readonly clear: () => void;
}

/**
 * Creates a signal that aborts after a time, or when its parent does.
 *
 * @param ms Time limit in milliseconds
 */
export function deadline(clock: Clock, ms: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const { signal } = controller;
  const follow = () => controller.abort(parent?.reason);
  if (parent?.aborted) follow();
  parent?.addEventListener("abort", follow, { once: true });
  const stopTimer = clock.timer(ms, () => controller.abort(new UpstreamError("timeout")));
  return {
    signal,
    clear: () => {
      stopTimer();
      parent?.removeEventListener("abort", follow);
    },
  };
}

/** Options for {@linkcode withDeadline}. */
export interface DeadlineOptions {
  /** Provides the time. */
  readonly clock: Clock;
  /** Sets the time limit, in milliseconds. */
  readonly ms: number;
  /** Aborts the wait earlier. */
  readonly signal?: AbortSignal;
}

/**
 * Runs work within a time limit. The wait ends at the limit even if the work ignores its signal.
 *
 * @throws {UpstreamError} With the kind `"timeout"`, if the work takes too long
 * @throws {AbortSignal["reason"]} If `signal` aborts first
 */
export async function withDeadline<T>(
  { clock, ms, signal: parent }: DeadlineOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, clear } = deadline(clock, ms, parent);
  try {
    return await abortable(work(signal), signal);
  } finally {
    clear();
  }
}
