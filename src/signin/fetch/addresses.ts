/**
 * Tells public addresses from all others: those of this machine, of the networks around it, of a cloud's
 * inner services, and those that carry one of them inside.
 *
 * @module
 */
import type { IPv4, IPv6 } from "ipaddr.js";
import { installed } from "../../kit.ts";

const { default: ipaddr } = await installed("ipaddr.js", import("ipaddr.js"));

/** Addresses that are public by their range, and lead inwards all the same, or that no one may have. */
const REFUSED: readonly (readonly [IPv4 | IPv6, number])[] = [
  // The inner service of Azure for its virtual machines
  "168.63.129.16/32",
  // 6to4, and Teredo among the IETF's own: IPv4 addresses inside
  "2002::/16",
  "2001::/23",
  // Documentation (RFC 9637)
  "3fff::/20",
].map((range) => ipaddr.parseCIDR(range));

/** All of IPv6 that is given to anybody: NAT64, mapped and unique local addresses lie outside. */
const GIVEN = ipaddr.IPv6.parseCIDR("2000::/3");

/**
 * Tells whether an address is one that everybody on the internet reaches as the same machine.
 *
 * IPv4 addresses inside IPv6 ones (mapped, compatible, NAT64, 6to4, Teredo) are not, whatever they are:
 * such a host has an IPv4 address of its own to be reached by.
 *
 * @param text An address in any of its spellings, without brackets
 */
export function isPublicAddress(text: string): boolean {
  if (text.includes("%") || !ipaddr.isValid(text)) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== "unicast") return false;
  if (address instanceof ipaddr.IPv6 && !address.match(GIVEN)) return false;
  return !REFUSED.some(([range, bits]) => {
    return range.kind() === address.kind() && address.match(range, bits);
  });
}

/** Tells whether an address is this machine's own, 127.0.0.0/8 or `::1`. */
export function isLoopbackAddress(text: string): boolean {
  return ipaddr.isValid(text) && !text.includes("%") && ipaddr.parse(text).range() === "loopback";
}

/** Returns the address that a host of a URL is, without brackets, or `undefined` if it is a name. */
export function literalAddress(host: string): string | undefined {
  const bare = host.startsWith("[") ? host.slice(1, -1) : host;
  return ipaddr.isValid(bare) ? bare : undefined;
}

/**
 * Returns what stands for the network of a sender: an IPv4 address itself, and the first 64 bits of an
 * IPv6 address, since one sender has all addresses below. Any other text stands for itself.
 */
export function networkOf(sender: string): string {
  const bare = sender.replace(/%.*$/, "");
  if (!ipaddr.isValid(bare)) return sender;
  const address = ipaddr.process(bare);
  if (address instanceof ipaddr.IPv4) return address.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/64`).toString()}/64`;
}
