/**
 * Recognizes the hosts that only this machine reaches.
 *
 * @module
 */

/** The names of loopback that a server on this machine answers to. */
export const LOOPBACK_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

const IPV4 = /^127\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})$/;

/**
 * Tells whether a host is loopback: `localhost` in any case, 127.0.0.0/8, or `::1` with or without
 * brackets. Names below `localhost` are not: some resolvers ask the network for them.
 */
export function isLoopback(host: string): boolean {
  if (host === "::1" || LOOPBACK_HOSTS.includes(host.toLowerCase())) return true;
  return IPV4.exec(host)?.slice(1).every((byte) => Number(byte) <= 255) ?? false;
}
