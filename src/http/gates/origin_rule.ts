/**
 * Parses the entries of the option `allowedOrigins`.
 *
 * @module
 */
import { DEFAULT_PORTS, type HostRule, parseHostRule } from "./authority.ts";

/** The origins that an entry of `allowedOrigins` matches. */
export interface OriginRule {
  /** The scheme without its colon; `undefined` for both `http` and `https`. */
  readonly scheme: string | undefined;
  /** The hosts and ports. */
  readonly host: HostRule;
}

const SCHEME = /^[a-z][a-z0-9+.-]*$/;

/** Parses an entry of `allowedOrigins`. Returns `undefined` if it is malformed. */
export function parseOriginRule(text: string): OriginRule | undefined {
  const at = text.indexOf("://");
  const scheme = at === -1 ? undefined : text.slice(0, at).toLowerCase();
  if (scheme !== undefined && !SCHEME.test(scheme)) return undefined;
  const host = parseHostRule(at === -1 ? text : text.slice(at + 3));
  // A bare "null" would be parsed as a host name, but means the opaque origin, which is never allowed.
  if (host === undefined || (scheme === undefined && host.host === "null")) return undefined;
  // An origin without a port has its scheme's (RFC 6454 §4).
  const port = host.port ?? (scheme === undefined ? undefined : DEFAULT_PORTS.get(scheme));
  return { scheme, host: { ...host, port } };
}

/** Lists the origins that rules allow, as browsers serialize them, to be matched without parsing. */
export function exactOrigins(rules: readonly OriginRule[]): ReadonlySet<string> {
  const exact = new Set<string>();
  for (const { scheme, host: { host, port } } of rules) {
    for (const one of scheme === undefined ? DEFAULT_PORTS.keys() : [scheme]) {
      const isDefault = port === undefined || port === DEFAULT_PORTS.get(one);
      exact.add(isDefault ? `${one}://${host}` : `${one}://${host}:${port}`);
    }
  }
  return exact;
}
