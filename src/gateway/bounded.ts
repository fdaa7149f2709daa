/**
 * Waiting for other people's code: never longer than is said, whatever it does.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { McpEvent } from "../protocol/events.ts";
import { onAbort } from "../calls/scope.ts";
import { UpstreamError } from "./upstream_error.ts";
import type { OpenInit, Upstream, UpstreamSession } from "./types.ts";

/**
 * Waits for a promise until a signal aborts, or somebody lets it fail.
 *
 * @param failing Where there is a function to let it fail with, for as long as it waits
 * @throws {AbortSignal["reason"]} When the signal aborts first
 */
export function raced<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  failing?: Set<(error: unknown) => void>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const ignore = signal.aborted ? undefined : onAbort(signal, () => fail(signal.reason));
    const over = () => {
      ignore?.();
      failing?.delete(fail);
    };
    const fail = (error: unknown) => {
      over();
      reject(error);
    };
    promise.then((value) => {
      over();
      resolve(value);
    }, fail);
    if (ignore === undefined) fail(signal.reason);
    else failing?.add(fail);
  });
}

/** A signal that aborts after a time, or when another one does. `stop` lets go of both. */
export function deadline(
  clock: Clock,
  ms: number,
  other?: AbortSignal,
): { readonly signal: AbortSignal; readonly stop: () => void } {
  const controller = new AbortController();
  const { signal } = controller;
  const follow = () => controller.abort(other?.reason);
  if (other?.aborted) follow();
  other?.addEventListener("abort", follow, { once: true });
  const stopTimer = clock.timer(ms, () => controller.abort(new UpstreamError("timeout")));
  return {
    signal,
    stop: () => {
      stopTimer();
      other?.removeEventListener("abort", follow);
    },
  };
}

/** How ends of sessions are bounded and told. */
export interface Closing {
  readonly name: string;
  readonly clock: Clock;
  readonly closeTimeoutMs: number;
  readonly report: (event: McpEvent) => void;
}

/** Ends a session. One that doesn't end within twice its time is left to itself. It never rejects. */
export async function closeBounded(session: UpstreamSession, closing: Closing): Promise<void> {
  const { name: upstream, clock, closeTimeoutMs, report } = closing;
  const { signal, stop } = deadline(clock, 2 * closeTimeoutMs);
  try {
    await raced((async () => await session.close())(), signal);
  } catch (error) {
    report(
      signal.aborted
        ? { type: "upstream-abandoned", upstream }
        : { type: "upstream-failed", upstream, during: "closing", error },
    );
  } finally {
    stop();
  }
}

/**
 * Begins a session. One that comes too late is ended.
 *
 * @throws {UpstreamError} Of the kind `"timeout"`, when it takes longer than `timeoutMs`
 * @throws {AbortSignal["reason"]} When the signal of `init` aborts
 */
export async function openBounded(
  upstream: Upstream,
  init: OpenInit,
  closing: Closing,
  timeoutMs: number,
): Promise<UpstreamSession> {
  const { signal, stop } = deadline(init.clock, timeoutMs, init.signal);
  const opening = (async () => await upstream.open({ ...init, signal }))();
  try {
    return await raced(opening, signal);
  } catch (error) {
    opening.then((session) => closeBounded(session, closing), () => {});
    throw error;
  } finally {
    stop();
  }
}
