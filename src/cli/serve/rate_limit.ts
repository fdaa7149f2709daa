/**
 * Creates the rate limiter of the endpoints from a configuration.
 *
 * @module
 */
import type { HttpBindings } from "@hono/node-server";
import { addressKey, type RateLimiter, tokenBucket } from "../../../mod.ts";
import type { Config } from "../config/schema.ts";

/** The context of a handler: Hono's context of a request of `node:http`. */
interface Context {
  readonly env: Pick<HttpBindings, "incoming">;
}

/**
 * Creates a limiter that counts by the address of the connection, or by the last entry of a header, which
 * is the one that the nearest proxy wrote.
 */
export function rateLimiter(config: NonNullable<Config["rateLimit"]>): RateLimiter {
  const { perSecond, burst, header } = config;
  return tokenBucket({
    perSecond,
    ...burst !== undefined && { burst },
    key: senderOf(header),
  });
}

/**
 * Returns the function that names the sender of a request: by the last entry of a header, which is the one
 * that the nearest proxy wrote, or by the address of the connection.
 */
export function senderOf(
  header: string | undefined,
): (request: Request, context: unknown) => string {
  return (request, context) => {
    const value = header === undefined ? undefined : request.headers.get(header);
    const last = value?.split(",").at(-1)?.trim();
    // The endpoints pass no other context
    const { env: { incoming } } = context as Context;
    return addressKey(last || incoming.socket.remoteAddress || "unknown");
  };
}
