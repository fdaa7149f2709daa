/**
 * The health path: says that the process answers, and nothing about it.
 *
 * @module
 */
import type { GateSettings } from "./options.ts";

/** Answers a GET of the health path. Everything else goes on. */
export function checkHealth(
  request: Request,
  pathname: string,
  settings: GateSettings,
): Response | undefined {
  if (pathname !== settings.healthPath || request.method !== "GET") return undefined;
  return new Response('{"status":"ok"}', {
    headers: { "content-type": "application/json", "cache-control": "no-store" },
  });
}
