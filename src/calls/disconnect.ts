/**
 * Notices that the client of a request went away.
 *
 * @module
 */
import type { DelayLine } from "../internal/delay_line.ts";
import type { RequestScope } from "./scope.ts";
import { StopError } from "./stop.ts";

/**
 * Stops a request when its HTTP request is aborted. It is watched only after a while: most requests
 * are over before, and a listener costs more than all else that is done for them.
 *
 * @param line The line of waits after which it is watched
 * @returns Ends the watching
 */
export function watchDisconnect(
  scope: RequestScope,
  request: Request,
  line: DelayLine,
): () => void {
  const stop = () => void scope.stop(new StopError("disconnected"));
  let watched: AbortSignal | undefined;
  const delay = line.add(() => {
    watched = request.signal;
    if (watched.aborted) stop();
    else watched.addEventListener("abort", stop, { once: true });
  });
  return () => {
    delay.cancel();
    watched?.removeEventListener("abort", stop);
  };
}
