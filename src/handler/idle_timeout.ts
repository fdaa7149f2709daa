/**
 * Adjusts the idle timeout of connections, on hosts that have one.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import type { Reply } from "../http/reply.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";

/** A host with an idle timeout. `Bun.serve` passes its server as context. */
interface IdleHost {
  /** Sets the idle timeout of a request's connection, in seconds; 0 for none. */
  timeout(request: Request, seconds: number): void;
}

/** The idle timeout of a connection without a running request, in seconds: Bun's default. */
const IDLE_S = 10;

/** The maximum idle timeout of Bun, in seconds. */
const MOST_S = 255;

/**
 * Suspends the idle timeout of a request's connection until its reply. For a synchronous reply, only the
 * context is checked.
 *
 * @param inbound The request, with the host's value, or a Hono context that contains it, as its context
 * @param keepAliveMs The time between keep-alive comments on an idle stream, in milliseconds
 */
export function suspendIdleTimeout(
  inbound: Inbound,
  reply: MaybePromise<Reply>,
  keepAliveMs: number,
): MaybePromise<Reply> {
  const host = idleHost(inbound.context);
  if (host === undefined) return reply;
  const { request } = inbound;
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

/** Returns an idle timeout that is longer than the time between comments, so that streams stay open. */
function streamIdleS(keepAliveMs: number): number {
  const seconds = 3 * Math.ceil(keepAliveMs / 1_000);
  return seconds > MOST_S ? 0 : seconds;
}

/** Tells whether a reply is a stream. */
function isStream({ body }: Reply): boolean {
  return typeof body === "object" && body !== null;
}

/** Returns the host: the context, or the `env` or `env.server` of a Hono context. */
function idleHost(context: unknown): IdleHost | undefined {
  let host: unknown = context;
  for (const key of ["env", "server"]) {
    if (isIdleHost(host)) return host;
    if (typeof host !== "object" || host === null) return undefined;
    // Reading any property of an object is safe.
    host = (host as Record<string, unknown>)[key];
  }
  return isIdleHost(host) ? host : undefined;
}

function isIdleHost(host: unknown): host is IdleHost {
  return typeof host === "object" && host !== null && "timeout" in host &&
    typeof host.timeout === "function";
}
