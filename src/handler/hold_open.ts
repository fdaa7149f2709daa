/**
 * Keeps a connection open while an answer takes its time, on hosts that end quiet connections.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { unreadText } from "../internal/whole.ts";

/** A host that ends quiet connections unless told otherwise. `Bun.serve` hands itself over as context. */
interface IdleHost {
  /** Sets how many seconds a request's connection may be quiet; 0 is for ever. */
  timeout(request: Request, seconds: number): void;
}

/** How long a connection may be quiet when nothing is under way on it, in seconds: Bun's default. */
const IDLE_S = 10;

/** The most seconds that Bun counts. */
const MOST_S = 255;

/**
 * Holds the connection open until the answer is there. A request that is answered at once costs a look
 * at the context and no more.
 *
 * @param context What the host handed over beside the request, or a Hono context around that
 * @param keepAliveMs How far the comments of a quiet stream are apart, in milliseconds
 */
export function holdOpen(
  request: Request,
  context: unknown,
  answer: MaybePromise<Response>,
  keepAliveMs: number,
): MaybePromise<Response> {
  const host = idleHost(context);
  if (host === undefined) return answer;
  if (!isPromise(answer)) {
    if (isStream(answer)) host.timeout(request, streamIdleS(keepAliveMs));
    return answer;
  }
  host.timeout(request, 0);
  return answer.then((response) => {
    host.timeout(request, isStream(response) ? streamIdleS(keepAliveMs) : IDLE_S);
    return response;
  });
}

/** Longer than comments are apart, so that only a connection whose stream has ended is ever ended. */
function streamIdleS(keepAliveMs: number): number {
  const seconds = 3 * Math.ceil(keepAliveMs / 1_000);
  return seconds > MOST_S ? 0 : seconds;
}

/** Whether more may come. What was made of one text has no more to say, and is told sooner. */
function isStream(response: Response): boolean {
  return unreadText(response) === undefined &&
    response.headers.get("content-type") === "text/event-stream";
}

/** The host: the context itself, or what a Hono context has as `env` or `env.server`. */
function idleHost(context: unknown): IdleHost | undefined {
  let host: unknown = context;
  for (const key of ["env", "server"]) {
    if (isIdleHost(host)) return host;
    if (typeof host !== "object" || host === null) return undefined;
    // Any property of an object may be looked at.
    host = (host as Record<string, unknown>)[key];
  }
  return isIdleHost(host) ? host : undefined;
}

function isIdleHost(host: unknown): host is IdleHost {
  return typeof host === "object" && host !== null && "timeout" in host &&
    typeof host.timeout === "function";
}
