/**
 * Identifies and compares the owners of sessions and calls.
 *
 * @module
 */
import type { Principal } from "../protocol/exchange.ts";

/**
 * Returns the owner key of a principal: its issuer, id and client, without the credentials, which may
 * change. Principals that differ in one of them never have the same key, since the key begins with the
 * lengths of its parts. For a principal with an id only, the key is the id, unless that begins like such
 * a key.
 */
export function ownerKey({ issuer, id, clientId }: Principal): string {
  if (issuer === undefined && clientId === undefined && !id.startsWith(",")) return id;
  return `,${issuer?.length ?? ""},${clientId?.length ?? ""},${issuer ?? ""}${clientId ?? ""}${id}`;
}

/** Tells whether two principals are the same owner. */
export function isSameOwner(one: Principal, other: Principal): boolean {
  return one.id === other.id && one.issuer === other.issuer && one.clientId === other.clientId;
}
