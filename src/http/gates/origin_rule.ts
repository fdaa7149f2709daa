/**
 * Parses the entries of the option `allowedOrigins`.
 *
 * @module
 */
import { DEFAULT_PORTS, type HostRule, parseHostRule } from "./authority.ts";

/** The origins that an entry of `allowedOrigins` matches. */
export interface OriginRule {
  /** Without its colon; `undefined` stands for `http` and `https`. */
  readonly scheme: string | undefined;
  /** The hosts and ports. */
  readonly host: HostRule;
}

const SCHEME = /^[a-z][a-z0-9+.-]*$/;

/** Parses an entry of `allowedOrigins`; `undefined` when it can't be parsed. */
export function parseOriginRule(text: string): OriginRule | undefined {
  const at = text.indexOf("://");
  const scheme = at === -1 ? undefined : text.slice(0, at).toLowerCase();
  if (scheme !== undefined && !SCHEME.test(scheme)) return undefined;
  const host = parseHostRule(at === -1 ? text : text.slice(at + 3));
  // A bare "null" would be read as a host name, but is meant for the origin that nobody can trust.
  if (host === undefined || (scheme === undefined && host.host === "null")) return undefined;
  return { scheme, host };
}

/** The origins that rules allow as they stand, as browsers write them: found without parsing. */
export function exactOrigins(rules: readonly OriginRule[]): ReadonlySet<string> {
  const exact = new Set<string>();
  for (const { scheme, host: { host, port } } of rules) {
    for (const one of scheme === undefined ? DEFAULT_PORTS.keys() : [scheme]) {
      exact.add(port === undefined ? `${one}://${host}` : `${one}://${host}:${port}`);
    }
  }
  return exact;
}
