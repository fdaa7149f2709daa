/**
 * Keeps a connection open while its reply is made, on hosts that end quiet connections.
 *
 * @module
 */
import type { Reply } from "../http/reply.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";

/** A host that ends quiet connections unless told otherwise. `Bun.serve` passes itself as context. */
interface IdleHost {
  /** Sets how many seconds a request's connection may be quiet; 0 is without limit. */
  timeout(request: Request, seconds: number): void;
}

/** How long an idle connection may be quiet, in seconds: Bun's default. */
const IDLE_S = 10;

/** The longest time that Bun counts, in seconds. */
const MOST_S = 255;

/**
 * Holds the connection open until the reply is there. A request that is answered at once only costs a
 * check of the context.
 *
 * @param context What the host passed beside the request, or a Hono context around that
 * @param keepAliveMs How often a quiet stream gets a comment, in milliseconds
 */
export function suspendIdleTimeout(
  request: Request,
  context: unknown,
  reply: MaybePromise<Reply>,
  keepAliveMs: number,
): MaybePromise<Reply> {
  const host = idleHost(context);
  if (host === undefined) return reply;
  if (!isPromise(reply)) {
    if (isStream(reply)) host.timeout(request, streamIdleS(keepAliveMs));
    return reply;
  }
  host.timeout(request, 0);
  return reply.then((reply) => {
    host.timeout(request, isStream(reply) ? streamIdleS(keepAliveMs) : IDLE_S);
    return reply;
  });
}

/** A time longer than the pause between comments: only connections whose stream has ended time out. */
function streamIdleS(keepAliveMs: number): number {
  const seconds = 3 * Math.ceil(keepAliveMs / 1_000);
  return seconds > MOST_S ? 0 : seconds;
}

/** Tells whether more may follow the reply's head. */
function isStream({ body }: Reply): boolean {
  return typeof body === "object" && body !== null;
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
