/**
 * The Origin gate: pages of other sites can't call, whatever host name they reach the endpoint under
 * (DNS rebinding).
 *
 * @module
 */
import { clip } from "../../internal/quote.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal } from "../reply.ts";
import {
  hostOf,
  type HostRule,
  isLoopback,
  matchesHost,
  parseAuthority,
  parseHostRule,
} from "./authority.ts";
import type { GateSettings } from "./options.ts";

/** The origins that an entry of `allowedOrigins` matches. */
export interface OriginRule {
  /** Without its colon; `undefined` stands for `http` and `https`. */
  readonly scheme: string | undefined;
  /** The hosts and ports. */
  readonly host: HostRule;
}

const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([["http", 80], ["https", 443]]);
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

/** Tells whether pages of the request's origin may call the endpoint. */
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

/** Refuses a request from a page whose origin may not call. */
export function checkOrigin(inbound: Inbound, settings: GateSettings): Refusal | undefined {
  const { origin } = inbound;
  if (origin === null || originAllowed(inbound, origin, settings)) return undefined;
  const message = origin === "null"
    ? "Call from a page that has an origin: null is never allowed"
    : `Add the origin to the option allowedOrigins to let its pages call: ${clip(origin, 100)}`;
  return refusal({ status: 403, code: ErrorCode.Refused, message, reason: "origin" });
}
