/**
 * Parses and compares hosts with their ports.
 *
 * @module
 */
import { HeaderName } from "../../protocol/headers.ts";
import type { Inbound } from "../inbound.ts";

/** A host with an optional port. */
export interface Authority {
  /** The host in lower case, IPv6 in brackets. */
  readonly host: string;
  /** The port, if given. */
  readonly port: number | undefined;
}

/** The hosts that an entry of `allowedHosts` or `allowedOrigins` matches. */
export interface HostRule extends Authority {
  /** The host after a dot, if the entry also matches subdomains. */
  readonly below: string | undefined;
}

/** The default port of each scheme. */
export const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([["http", 80], ["https", 443]]);

const NAME = /^[a-z0-9._-]+$/;
const IPV6 = /^\[[0-9a-f:.]+\]$/;
const PORT = /^:[0-9]{1,5}$/;

/** Parses `host` or `host:port`, as in the Host header. Returns `undefined` for anything else. */
export function parseAuthority(text: string): Authority | undefined {
  const lower = text.toLowerCase();
  const colon = lower.indexOf(":", lower.indexOf("]") + 1);
  const host = colon === -1 ? lower : lower.slice(0, colon);
  if (!NAME.test(host) && !IPV6.test(host)) return undefined;
  if (colon === -1) return { host, port: undefined };
  const port = lower.slice(colon);
  return PORT.test(port) ? { host, port: Number(port.slice(1)) } : undefined;
}

/** Parses an entry of `allowedHosts`, or the part after the scheme of an entry of `allowedOrigins`. */
export function parseHostRule(text: string): HostRule | undefined {
  const dotted = text.startsWith(".");
  const rest = dotted ? text.slice(1) : text;
  const [, name, colonPort] = /^(\[[^\]]*\]|[^:]*)(:.*)?$/.exec(rest) ?? [];
  if (name === undefined || name === "" || (colonPort && !PORT.test(colonPort))) return undefined;
  const host = canonicalHost(name);
  if (host === undefined) return undefined;
  const port = colonPort ? Number(colonPort.slice(1)) : undefined;
  return { host, port, below: dotted ? `.${host}` : undefined };
}

/** Tells whether a rule matches a host. `port` is the effective port, also if it is the scheme's default. */
export function matchesHost(rule: HostRule, host: string, port: number | undefined): boolean {
  if (rule.port !== undefined && rule.port !== port) return false;
  return host === rule.host || (rule.below !== undefined && host.endsWith(rule.below));
}

/** Returns the host that a request was sent to: its Host header, else the authority of its URL. */
export function hostOf(inbound: Inbound): string {
  return inbound.header(HeaderName.Host) ?? new URL(inbound.source.url).host;
}

/** Normalizes a host as clients send it: in ASCII, IP addresses in their shortest form. */
function canonicalHost(name: string): string | undefined {
  if (/[\s/?#@\\%]/.test(name)) return undefined;
  try {
    const { host } = new URL(`http://${name}`);
    return NAME.test(host) || IPV6.test(host) ? host : undefined;
  } catch {
    return undefined;
  }
}
