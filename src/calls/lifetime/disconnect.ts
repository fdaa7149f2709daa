/**
 * Detects that the client of a request has disconnected.
 *
 * @module
 */
import type { DelayLine } from "../../internal/delay_line.ts";
import type { RequestScope } from "./scope.ts";
import { StopError } from "./stop.ts";

/**
 * Stops a request when its HTTP request is aborted. Begins to watch after a delay: an abort listener is
 * expensive, and most requests finish before.
 *
 * @param line The delay line of the waits until watching begins
 * @returns Stops watching
 */
export function watchDisconnect(
  scope: RequestScope,
  request: Pick<Request, "signal">,
  line: DelayLine,
): () => void {
  const stop = () => void scope.stop(new StopError("disconnected"));
  let watched: AbortSignal | undefined;
  const delay = line.add(() => {
    watched = request.signal;
    if (watched.aborted) stop();
    else watched.addEventListener("abort", stop, { once: true });
  }, stop);
  return () => {
    delay.cancel();
    watched?.removeEventListener("abort", stop);
  };
}
