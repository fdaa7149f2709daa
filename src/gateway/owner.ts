/**
 * Who owns what, as one text to compare.
 *
 * @module
 */
import type { Principal } from "../protocol/exchange.ts";

/** The same for the same issuer, id and client, and for no other. */
export function ownerOf({ issuer, id, clientId }: Principal): string {
  return JSON.stringify([issuer, clientId, id]);
}

/** Whether two principals own the same. */
export function isSameOwner(one: Principal, other: Principal): boolean {
  return one.id === other.id && one.issuer === other.issuer && one.clientId === other.clientId;
}
