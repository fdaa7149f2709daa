/**
 * Writes the address of a request's sender for events.
 *
 * @module
 */
import { addressKey } from "./gates/address_key.ts";

/** The number of groups of an IPv6 address that a short one keeps. */
const SHORT_GROUPS = 3;

/** Returns an address as events have it: an IPv4 address as one, also where the host has it as one of IPv6. */
export function fullAddress(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const key = addressKey(address);
  return key.endsWith("::/64") ? address.toLowerCase() : key;
}

/**
 * Returns the network of an address: the first 24 bits of IPv4, the first 48 of IPv6. Of any other text
 * nothing is left.
 */
export function shortAddress(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const key = addressKey(address);
  const [, network] = /^(\d+\.\d+\.\d+)\.\d+$/.exec(key) ?? [];
  if (network !== undefined) return `${network}.0/24`;
  if (!key.endsWith("::/64")) return undefined;
  return `${key.split(":").slice(0, SHORT_GROUPS).join(":")}::/48`;
}
