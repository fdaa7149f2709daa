/**
 * How many requests everybody may make, as the configuration says.
 *
 * @module
 */
import type { HttpBindings } from "@hono/node-server";
import { tokenBucket } from "../http/gates/token_bucket.ts";
import type { RateLimiter } from "../http/gates/types.ts";
import type { Config } from "./config_schema.ts";

/** What a handler is given beside the request: Hono's context of a request of `node:http`. */
interface Context {
  readonly env: Pick<HttpBindings, "incoming">;
}

/** The longest key that is told apart, in characters. */
const LONGEST = 200;

/**
 * A limiter that counts by the address of the connection, or by the last entry of a header: the one
 * that the nearest proxy wrote.
 */
export function rateLimiter(given: NonNullable<Config["rateLimit"]>): RateLimiter {
  const { perSecond, burst, header } = given;
  return tokenBucket({
    perSecond,
    ...burst !== undefined && { burst },
    key(request, context) {
      const named = header === undefined ? undefined : request.headers.get(header);
      const last = named?.split(",").at(-1)?.trim();
      // Routes hand over nothing else
      const { env: { incoming } } = context as Context;
      return (last || incoming.socket.remoteAddress || "nobody").slice(0, LONGEST);
    },
  });
}
