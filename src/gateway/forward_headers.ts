/**
 * Which headers of a client's request an upstream gets: those that were named on purpose, and never
 * those that belong to the client's own connection, session or login.
 *
 * @module
 */
import { HOPS_HEADER } from "./hops.ts";

/**
 * Headers of the client's request to hand on: their names, or their names and what the upstream gets
 * them as. `authorization` needs the second form, since it hands the client's own login on.
 */
export type ForwardHeaders = readonly string[] | Readonly<Record<string, string>>;

/** How much of a value is handed on, in characters. */
const MOST_CHARACTERS = 4096;

/** What is about one connection, one message or one session, or tells who somebody is. */
const NEVER: ReadonlySet<string> = new Set([
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
  // About this message
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
  // About this client's session and login
  "cookie",
  "cookie2",
  "set-cookie",
  "last-event-id",
  "www-authenticate",
  // Who the client is, as whoever stands before the gateway tells it
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

/** Families of the same kinds, by how their names begin. */
const NEVER_PREFIXES = ["x-forwarded-", "x-original-", "mcp-", "x-mcp-", "sec-", "proxy-"] as const;

const AUTHORIZATION = "authorization";
const TOKEN = /^[!#$%&'*+.^`|~0-9a-z-]+$/;
// deno-lint-ignore no-control-regex -- these are what must not be in a value
const CONTROLS = /[\x00-\x1f\x7f]/g;

/** Hands headers on. */
export type Forwarding = (headers: Headers) => Readonly<Record<string, string>>;

/** The names on both sides, checked. Empty when nothing is handed on. */
export function checkForwardHeaders(
  given: ForwardHeaders | undefined,
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  if (given === undefined) return names;
  if (typeof given !== "object" || given === null) {
    throw new TypeError(`Give names, or names and names, as "forwardHeaders": ${typeof given}`);
  }
  const isList = Array.isArray(given);
  // `Array.isArray` doesn't narrow a readonly array away
  const pairs = isList ? given.map((name) => [name, name]) : Object.entries(given);
  for (const [from, to] of pairs) {
    const [own, theirs] = [checkName(from), checkName(to)];
    if (isList && own === AUTHORIZATION) {
      throw new TypeError(
        'Give { authorization: "authorization" } as "forwardHeaders" to hand the login on',
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
    throw new TypeError(`Leave a header that is never handed on out of "forwardHeaders": ${lower}`);
  }
  return lower;
}

/** Whether a header may be handed on at all. The name is in lower case. */
function isForwardable(name: string): boolean {
  return !NEVER.has(name) && !NEVER_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** What hands the named headers on. */
export function forwarding(names: ReadonlyMap<string, string>): Forwarding {
  return (headers) => {
    const handed: Record<string, string> = {};
    if (names.size === 0) return handed;
    const nominated = hopByHop(headers);
    for (const [from, to] of names) {
      const value = headers.get(from);
      if (value === null || nominated.has(from)) continue;
      handed[to] = cleanValue(value);
    }
    return handed;
  };
}

/** The headers that the client's request itself says end here (RFC 9110 §7.6.1). */
function hopByHop(headers: Headers): ReadonlySet<string> {
  const connection = headers.get("connection");
  if (connection === null) return new Set();
  return new Set(connection.split(",").map((name) => name.trim().toLowerCase()));
}

/** A value without control characters, and no longer than it may be. */
export function cleanValue(value: string): string {
  return value.slice(0, MOST_CHARACTERS * 2).replace(CONTROLS, "").slice(0, MOST_CHARACTERS).trim();
}
