/**
 * Compares the owners of sessions and calls.
 *
 * @module
 */
import type { Principal } from "../protocol/exchange.ts";

/**
 * Makes the owner key of a principal, of its issuer, id and client: credentials may change. Principals
 * that differ in one of them never have the same key, whatever characters they consist of: the lengths
 * in front tell where each part ends. Most principals are an id alone, which is its own key unless it
 * begins like a longer key.
 */
export function ownerKey({ issuer, id, clientId }: Principal): string {
  if (issuer === undefined && clientId === undefined && !id.startsWith(",")) return id;
  return `,${issuer?.length ?? ""},${clientId?.length ?? ""},${issuer ?? ""}${clientId ?? ""}${id}`;
}

/** Tells whether two principals are the same owner. */
export function isSameOwner(one: Principal, other: Principal): boolean {
  return one.id === other.id && one.issuer === other.issuer && one.clientId === other.clientId;
}
