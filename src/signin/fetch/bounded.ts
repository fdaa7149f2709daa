/**
 * Bounds of an answer from outside, in time and in size.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import { FetchError } from "./errors.ts";

/**
 * Reads a body.
 *
 * @throws {FetchError} `"invalid"` if it has more bytes, or isn't UTF-8
 */
export async function boundedText(
  body: AsyncIterable<Uint8Array> | null,
  maxBytes: number,
): Promise<string> {
  if (body === null) return "";
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  // Leaving the loop cancels the body.
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new FetchError("invalid", `The answer has over ${maxBytes} bytes`);
    text += decode(decoder, chunk);
  }
  return text + decode(decoder);
}

function decode(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return decoder.decode(chunk, { stream: chunk !== undefined });
  } catch (cause) {
    throw new FetchError("invalid", "The answer isn't UTF-8", { cause });
  }
}

/** What {@linkcode within} gives to the work, and takes of its caller. */
export interface Within {
  /** The time, in milliseconds. */
  readonly timeoutMs: number;
  /** The source of time. */
  readonly clock: Clock;
  /** The caller's own signal. */
  readonly signal?: AbortSignal;
}

/**
 * Runs work that ends in time, even if it ignores its signal.
 *
 * @throws {FetchError} `"unavailable"` if the time is over
 * @throws {AbortSignal["reason"]} If the caller's signal is aborted
 */
export async function within<T>(
  { timeoutMs, clock, signal }: Within,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    controller.signal.addEventListener("abort", () => reject(controller.signal.reason), {
      once: true,
    });
  });
  const onAbort = () => controller.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const stop = clock.timer(timeoutMs, () => {
    controller.abort(new FetchError("unavailable", `No answer within ${timeoutMs} ms`));
  });
  try {
    return await Promise.race([aborted, work(controller.signal)]);
  } finally {
    stop();
    signal?.removeEventListener("abort", onAbort);
    // Nothing of the work goes on, whichever way it ended.
    controller.abort();
    aborted.catch(() => {});
  }
}
