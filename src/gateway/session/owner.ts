/**
 * Compares the owners of requests.
 *
 * @module
 */
import type { Principal } from "../../protocol/exchange.ts";

/** Returns a key that is equal for the same issuer, id and client, and different for all others. */
export function ownerKey({ issuer, id, clientId }: Principal): string {
  return JSON.stringify([issuer, clientId, id]);
}

/** Tells whether two principals are the same owner. */
export function isSameOwner(one: Principal, other: Principal): boolean {
  return one.id === other.id && one.issuer === other.issuer && one.clientId === other.clientId;
}
