/**
 * Forwards headers of a client's request to an upstream: those that were named, and never those of
 * the client's own connection, session or credentials.
 *
 * @module
 */
import { HOPS_HEADER } from "../shared/hops.ts";

/**
 * Names the headers to forward: as a list, or as a map from the client's names to the upstream's.
 * `authorization` needs the map, as it forwards the client's own credentials.
 */
export type ForwardHeaders = readonly string[] | Readonly<Record<string, string>>;

/** The most characters of a value. */
const MAX_CHARACTERS = 4096;

/** Headers of one connection, message or session, and headers that identify the client. */
const NEVER_FORWARDED: ReadonlySet<string> = new Set([
  // Hop by hop (RFC 9110 §7.6.1)
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-authentication-info",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  // Of this message
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "content-range",
  "content-location",
  "accept",
  "accept-encoding",
  "expect",
  "range",
  "origin",
  "referer",
  // Of this client's session and credentials
  "cookie",
  "cookie2",
  "set-cookie",
  "last-event-id",
  "www-authenticate",
  // Set by proxies in front of the gateway to identify the client
  "forwarded",
  "via",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-envoy-external-address",
  "x-remote-user",
  "true-client-ip",
  "client-ip",
  "fastly-client-ip",
  "cf-connecting-ip",
  "cf-connecting-ipv6",
  HOPS_HEADER,
]);

/** Prefixes of more such headers. */
const NEVER_FORWARDED_PREFIXES = [
  "x-forwarded-",
  "x-original-",
  "mcp-",
  "x-mcp-",
  "sec-",
  "proxy-",
] as const;

const AUTHORIZATION = "authorization";
const TOKEN = /^[!#$%&'*+.^`|~0-9a-z-]+$/;
// deno-lint-ignore no-control-regex -- they are removed from values
const CONTROLS = /[\x00-\x1f\x7f]/g;

/** Checks the option `forwardHeaders`, and returns a map from the client's names to the upstream's. */
export function checkForwardHeaders(
  given: ForwardHeaders | undefined,
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  if (given === undefined) return names;
  if (typeof given !== "object" || given === null) {
    throw new TypeError(`Give an array or an object of names as "forwardHeaders": ${typeof given}`);
  }
  const isList = Array.isArray(given);
  // `Array.isArray` doesn't narrow readonly arrays.
  const pairs = isList ? given.map((name) => [name, name]) : Object.entries(given);
  for (const [from, to] of pairs) {
    const [own, theirs] = [checkName(from), checkName(to)];
    if (isList && own === AUTHORIZATION) {
      throw new TypeError(
        'Give { authorization: "authorization" } as "forwardHeaders" to forward credentials',
      );
    }
    names.set(own, theirs);
  }
  return names;
}

function checkName(name: unknown): string {
  const lower = typeof name === "string" ? name.toLowerCase() : "";
  if (!TOKEN.test(lower)) {
    throw new TypeError(`Give names of headers as "forwardHeaders": ${String(name)}`);
  }
  if (!isForwardable(lower)) {
    throw new TypeError(`Leave a header that is never forwarded out of "forwardHeaders": ${lower}`);
  }
  return lower;
}

/** Tells whether a header may be forwarded. The name is in lower case. */
function isForwardable(name: string): boolean {
  return !NEVER_FORWARDED.has(name) &&
    !NEVER_FORWARDED_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** Returns the headers to forward, under the upstream's names. */
export function forwardedHeaders(
  headers: Headers,
  names: ReadonlyMap<string, string>,
): Readonly<Record<string, string>> {
  const forwarded: Record<string, string> = {};
  if (names.size === 0) return forwarded;
  const ignored = hopByHop(headers);
  for (const [from, to] of names) {
    const value = headers.get(from);
    if (value === null || ignored.has(from)) continue;
    forwarded[to] = cleanValue(value);
  }
  return forwarded;
}

/** Returns the headers that the client's request itself marks as hop-by-hop (RFC 9110 §7.6.1). */
function hopByHop(headers: Headers): ReadonlySet<string> {
  const connection = headers.get("connection");
  if (connection === null) return new Set();
  return new Set(connection.split(",").map((name) => name.trim().toLowerCase()));
}

/** Removes control characters from a value, and truncates it. */
export function cleanValue(value: string): string {
  return value.slice(0, MAX_CHARACTERS * 2).replace(CONTROLS, "").slice(0, MAX_CHARACTERS).trim();
}
