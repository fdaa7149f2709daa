/**
 * The Host gate: the endpoint answers only under its own names.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { hostOf, type HostRule, matchesHost, parseAuthority } from "./authority.ts";
import type { GateSettings } from "./options.ts";
import { quoted, refusal, type Report } from "../reply.ts";

/** Refuses a request that was sent to a host outside `allowedHosts`. */
export function checkHost(
  request: Request,
  settings: GateSettings,
  report: Report,
): Response | undefined {
  if (settings.hosts === undefined) return undefined;
  const host = hostOf(request);
  if (hostAllowed(host, settings.hosts)) return undefined;
  return refusal({
    status: 403,
    code: ErrorCode.Refused,
    message: `Add the host to the option allowedHosts to be reached under it: ${quoted(host)}`,
    reason: "host",
  }, report);
}

function hostAllowed(text: string, rules: readonly HostRule[]): boolean {
  const authority = parseAuthority(text);
  if (authority === undefined) return false;
  const { host, port } = authority;
  for (const rule of rules) {
    if (matchesHost(rule, host, port)) return true;
    // Behind a proxy the request's own scheme is unknown, so a host without a port may be on either.
    if (port === undefined && (matchesHost(rule, host, 80) || matchesHost(rule, host, 443))) {
      return true;
    }
  }
  return false;
}
