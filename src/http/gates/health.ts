/**
 * Answers health checks: says that the process responds, and nothing else about it.
 *
 * @module
 */
import type { Inbound } from "../inbound.ts";
import { type Reply, reply } from "../reply.ts";
import type { GateSettings } from "./options.ts";

const HEALTHY = reply(
  200,
  { "content-type": "application/json", "cache-control": "no-store" },
  '{"status":"ok"}',
);

/** Answers a GET of the health path; passes every other request. */
export function checkHealth(
  inbound: Inbound,
  path: string,
  { healthPath }: GateSettings,
): Reply | undefined {
  return path === healthPath && inbound.method === "GET" ? HEALTHY : undefined;
}
