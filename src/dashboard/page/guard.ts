/**
 * Protects the dashboard from pages of other sites: checks hosts and origins, and adds the headers that
 * restrict what the page may do.
 *
 * @module
 */
import {
  type HostRule,
  isLoopback,
  matchesHost,
  parseAuthority,
  parseHostRule,
} from "../../kit.ts";

/** Headers of every response: the page runs its own files only, and no page may frame or read it. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/**
 * Parses the option `allowedHosts`.
 *
 * @throws {TypeError} If an entry is not a host
 */
export function hostRules(hosts: readonly string[] | undefined): readonly HostRule[] | undefined {
  return hosts?.map((host) => {
    const rule = typeof host === "string" ? parseHostRule(host) : undefined;
    if (rule !== undefined) return rule;
    throw new TypeError(`Give hosts such as "ops.example" as "allowedHosts": ${String(host)}`);
  });
}

/** Returns the host that a request was sent to. */
function hostOf(request: Request): string {
  return request.headers.get("host") ?? new URL(request.url).host;
}

/** Tells whether the dashboard has the host name of a request (DNS rebinding). */
export function hostAllowed(request: Request, rules: readonly HostRule[] | undefined): boolean {
  const authority = parseAuthority(hostOf(request));
  if (authority === undefined) return false;
  const { host, port } = authority;
  if (rules === undefined) return isLoopback(host);
  return rules.some((rule) =>
    matchesHost(rule, host, port) ||
    (port === undefined && (matchesHost(rule, host, 80) || matchesHost(rule, host, 443)))
  );
}

/**
 * Tells whether a page of another origin sent a request. Programs that are no browser send neither of the
 * headers.
 */
export function isForeign(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none") return true;
  const origin = request.headers.get("origin");
  if (origin === null) return false;
  const host = hostOf(request).toLowerCase();
  // A proxy may have ended TLS: the scheme here can differ from the client's.
  return origin.toLowerCase() !== `http://${host}` && origin.toLowerCase() !== `https://${host}`;
}
