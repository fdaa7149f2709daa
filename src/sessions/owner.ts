/**
 * Identifies and compares the owners of sessions and calls, and the users whose shares they take.
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

/**
 * Returns a copy of a principal. An application's own class may have getters for the fields of
 * {@linkcode Principal}, which copying its own properties would lose: these are read by name.
 */
export function copyPrincipal(principal: Principal): Principal {
  const { id, issuer, clientId, scopes, expiresAt, claims } = principal;
  return {
    ...principal,
    id,
    ...issuer !== undefined && { issuer },
    ...clientId !== undefined && { clientId },
    ...scopes !== undefined && { scopes },
    ...expiresAt !== undefined && { expiresAt },
    ...claims !== undefined && { claims },
  };
}

/** Returns the issuer, id and client of the principal that an owner key belongs to. */
export function principalOf(owner: string): Pick<Principal, "id" | "issuer" | "clientId"> {
  const [head, issuer, client] = /^,(\d*),(\d*),/.exec(owner) ?? [];
  if (head === undefined) return { id: owner };
  const begin = head.length + Number(issuer);
  const end = begin + Number(client);
  return {
    id: owner.slice(end),
    ...issuer !== "" && { issuer: owner.slice(head.length, begin) },
    ...client !== "" && { clientId: owner.slice(begin, end) },
  };
}

/**
 * Returns the share key of an owner: the owner key of the same user without the client. Limits for each
 * principal count by it, so that a user with many clients has one share.
 *
 * @param owner A key that {@linkcode ownerKey} returned; any other text is its own share key
 */
export function shareKey(owner: string): string {
  // Most keys have no client: the pattern is only tried on those that may have one.
  if (!owner.startsWith(",")) return owner;
  const [head, issuer, client] = /^,(\d*),(\d+),/.exec(owner) ?? [];
  if (head === undefined) return owner;
  const end = head.length + Number(issuer);
  return ownerKey({
    issuer: issuer === "" ? undefined : owner.slice(head.length, end),
    id: owner.slice(end + Number(client)),
  });
}
