/**
 * Implements the Origin gate: pages of other sites can't send requests, under any host name of the
 * endpoint (DNS rebinding).
 *
 * @module
 */
import { isLoopback } from "../../internal/loopback.ts";
import { clip } from "../../internal/quote.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal } from "../reply.ts";
import { DEFAULT_PORTS, hostOf, matchesHost, parseAuthority } from "./authority.ts";
import type { GateSettings } from "./options.ts";

/** Tells whether pages of an origin may send this request. */
export function originAllowed(inbound: Inbound, origin: string, settings: GateSettings): boolean {
  if (settings.exactOrigins.has(origin)) return true;
  const at = origin.indexOf("://");
  if (at === -1) return false;
  const scheme = origin.slice(0, at).toLowerCase();
  const authority = parseAuthority(origin.slice(at + 3));
  if (authority === undefined) return false;
  const { host, port = DEFAULT_PORTS.get(scheme) } = authority;
  const web = DEFAULT_PORTS.has(scheme);
  for (const rule of settings.origins) {
    if (rule.scheme === undefined ? !web : rule.scheme !== scheme) continue;
    if (matchesHost(rule.host, host, port)) return true;
  }
  return web && isLoopback(host) && isLoopback(parseAuthority(hostOf(inbound))?.host ?? "");
}

/** Refuses a request from a page whose origin is not allowed. */
export function checkOrigin(inbound: Inbound, settings: GateSettings): Refusal | undefined {
  const { origin } = inbound;
  if (origin === null || originAllowed(inbound, origin, settings)) return undefined;
  const message = origin === "null"
    ? "Call from a page that has an origin: null is never allowed"
    : `Add the origin to the option allowedOrigins to let its pages call: ${clip(origin, 100)}`;
  return refusal({ status: 403, code: ErrorCode.Refused, message, reason: "origin" });
}
