/**
 * Makes keys of addresses, for rate limiters.
 *
 * @module
 */

const MOST_LENGTH = 200;
const BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);
/** An address in brackets with an optional port, or an IPv4 address with a port. */
const WRAPPED = /^\[([0-9a-f:.]+)(?:%[^\]]*)?\](?::[0-9]{1,5})?$|^([0-9.]+):[0-9]{1,5}$/;
const GROUP = /^[0-9a-f]{1,4}$/;
const GROUPS = 8;
/** The number of groups in the network part of an address. */
const NETWORK_GROUPS = 4;

/**
 * Returns the key under which a rate limiter counts an address. Addresses of IPv6 with the same first 64
 * bits have the same key, since a network of that size usually belongs to one sender, who can use all of
 * its addresses. An IPv4 address that is written as one of IPv6 (`::ffff:192.0.2.1`) has the key of the
 * IPv4 address. Brackets, ports and zones are ignored.
 *
 * @param address The address as the host or a proxy gives it
 * @returns The IPv4 address, or the network of the IPv6 address; any other text in lower case, at most 200
 * characters of it
 *
 * @example
 * ```ts
 * import { addressKey, tokenBucket } from "@mooring/mcp";
 *
 * tokenBucket({
 *   perSecond: 50,
 *   key: (request) => addressKey(request.headers.get("x-real-ip") ?? "unknown"),
 * });
 * console.assert(addressKey("2001:DB8::7") === "2001:db8:0:0::/64");
 * console.assert(addressKey("[::ffff:192.0.2.1]:443") === "192.0.2.1");
 * ```
 */
export function addressKey(address: string): string {
  const text = address.trim().toLowerCase();
  const [, bracketed, withPort] = WRAPPED.exec(text) ?? [];
  const bare = bracketed ?? withPort ?? withoutZone(text);
  if (IPV4.test(bare)) return bare;
  const groups = parseIpv6(bare);
  if (groups === undefined) return text.slice(0, MOST_LENGTH);
  const [, , , , , sixth, high = 0, low = 0] = groups;
  if (sixth === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
  }
  const network = groups.slice(0, NETWORK_GROUPS).map((group) => group.toString(16));
  return `${network.join(":")}::/64`;
}

function withoutZone(text: string): string {
  const zone = text.indexOf("%");
  return zone > 0 ? text.slice(0, zone) : text;
}

/** Parses an IPv6 address (RFC 4291 §2.2) to its eight groups; `undefined` for anything else. */
function parseIpv6(text: string): readonly number[] | undefined {
  const [head = "", tail, more] = text.split("::", 3);
  const before = parseGroups(head, tail === undefined);
  if (before === undefined || more !== undefined) return undefined;
  if (tail === undefined) return before.length === GROUPS ? before : undefined;
  const after = parseGroups(tail, true);
  if (after === undefined || before.length + after.length >= GROUPS) return undefined;
  const zeros = Array.from({ length: GROUPS - before.length - after.length }, () => 0);
  return [...before, ...zeros, ...after];
}

/**
 * Parses groups between colons.
 *
 * @param isLast Whether these are the last groups, which may end with an IPv4 address
 */
function parseGroups(text: string, isLast: boolean): readonly number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":", GROUPS + 1);
  const groups: number[] = [];
  for (const [n, part] of parts.entries()) {
    if (GROUP.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    if (!isLast || n < parts.length - 1 || !IPV4.test(part)) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = part.split(".").map(Number);
    groups.push(a << 8 | b, c << 8 | d);
  }
  return groups;
}
