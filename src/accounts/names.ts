/**
 * Names the records of accounts, without what they are about.
 *
 * @module
 */
import type { Principal } from "../../mod.ts";
import { ownerKey, sha256, toBase64Url } from "../kit.ts";

/** A user: a principal whatever client acts for it. */
export type User = Readonly<Pick<Principal, "id" | "issuer">>;

/** Returns the user that a principal is. */
export function userOf({ id, issuer }: Principal): User {
  return issuer === undefined ? { id } : { id, issuer };
}

/** Tells whether two users are the same. */
export function isSameUser(one: User, other: User): boolean {
  return one.id === other.id && one.issuer === other.issuer;
}

/** Returns a short name for parts: equal for equal parts alone. */
export async function nameOf(...parts: readonly string[]): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  return toBase64Url((await sha256(bytes)).subarray(0, 18));
}

/** Returns the name of a user. */
export async function userName(user: User): Promise<string> {
  return await nameOf("user", ownerKey(userOf(user)));
}

/** Returns the id of the account of a user at an upstream. */
export async function accountId(user: User, upstream: string, url: string): Promise<string> {
  return `${await userName(user)}.${await nameOf("upstream", upstream, url)}`;
}
