/**
 * Answers health checks: says that the process responds or is closing, and nothing else about it.
 *
 * @module
 */
import type { Inbound } from "../inbound.ts";
import { type Reply, reply } from "../reply.ts";
import type { GateSettings } from "./options.ts";

const HEADERS = { "content-type": "application/json", "cache-control": "no-store" };
const HEALTHY = reply(200, HEADERS, '{"status":"ok"}');
/** For who decides where requests go: it refuses new ones. */
const CLOSING = reply(503, HEADERS, '{"status":"closing"}');

/** Answers a GET of the health path; passes every other request. */
export function checkHealth(
  inbound: Inbound,
  path: string,
  { healthPath }: GateSettings,
  isClosing = false,
): Reply | undefined {
  if (path !== healthPath || inbound.method !== "GET") return undefined;
  return isClosing ? CLOSING : HEALTHY;
}
