/**
 * Implements the Host gate: the endpoint only answers under its own names (DNS rebinding).
 *
 * @module
 */
import { clip } from "../../internal/quote.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal } from "../reply.ts";
import { hostOf, type HostRule, matchesHost, parseAuthority } from "./authority.ts";

/** Refuses a request that was sent to a host outside `allowedHosts`. */
export function checkHost(inbound: Inbound, hosts: readonly HostRule[]): Refusal | undefined {
  const host = hostOf(inbound);
  if (hostAllowed(host, hosts)) return undefined;
  return refusal({
    status: 403,
    code: ErrorCode.Refused,
    message: `Add the host to the option allowedHosts: ${clip(host, 100)}`,
    reason: "host",
  });
}

function hostAllowed(text: string, rules: readonly HostRule[]): boolean {
  const authority = parseAuthority(text);
  if (authority === undefined) return false;
  const { host, port } = authority;
  for (const rule of rules) {
    if (matchesHost(rule, host, port)) return true;
    // Behind a proxy the client's scheme is unknown, so a host without a port may be on either port.
    if (port === undefined && (matchesHost(rule, host, 80) || matchesHost(rule, host, 443))) {
      return true;
    }
  }
  return false;
}
