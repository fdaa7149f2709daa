/**
 * Counts the gateways that a request has passed, so that gateways that point at each other don't
 * relay it in a loop.
 *
 * @module
 */
import { ErrorCode, McpError } from "../../../mod.ts";

/** The name of the header that carries the count. */
export const HOPS_HEADER = "mooring-hops";

/** The most gateways in a row. */
const MAX_HOPS = 5;

/**
 * Reads how many gateways a request has passed; the largest count where there are several.
 *
 * @throws {McpError} If the count is malformed or at the limit
 */
export function hopsOf(headers: Headers): number {
  const given = headers.get(HOPS_HEADER);
  if (given === null) return 0;
  const counts = given.split(",").map((part) => part.trim());
  if (!counts.every((count) => /^\d{1,6}$/.test(count))) {
    throw new McpError(ErrorCode.Refused, `Send one number as ${HOPS_HEADER}, or omit the header`);
  }
  const hops = Math.max(...counts.map(Number));
  if (hops < MAX_HOPS) return hops;
  throw new McpError(ErrorCode.Refused, `Remove the loop between gateways: ${hops} in a row`);
}

/** Returns the count to send to an upstream. */
export function nextHops({ headers }: Request): string {
  return String(hopsOf(headers) + 1);
}
