/**
 * How many gateways a request has come through, so that gateways that lead to each other don't hand
 * it on for ever.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";

/** The header that carries the count. */
export const HOPS_HEADER = "mooring-hops";

/** At how many gateways a request is refused. */
const MOST_HOPS = 5;

/**
 * How many gateways a request has come through. Where it says so more than once, the most counts.
 *
 * @throws {McpError} If the count can't be read, or there are too many
 */
export function hopsOf(headers: Headers): number {
  const given = headers.get(HOPS_HEADER);
  if (given === null) return 0;
  const counts = given.split(",").map((part) => part.trim());
  if (!counts.every((count) => /^\d{1,6}$/.test(count))) {
    throw new McpError(ErrorCode.Refused, `Send one number as ${HOPS_HEADER}, or leave it out`);
  }
  const hops = Math.max(...counts.map(Number));
  if (hops < MOST_HOPS) return hops;
  throw new McpError(ErrorCode.Refused, `Let gateways not lead in a circle: ${hops} in a row`);
}

/** What a gateway that hands a request on says of its way. */
export function nextHops({ headers }: Request): string {
  return String(hopsOf(headers) + 1);
}
