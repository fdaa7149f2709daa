/**
 * Compares what the credentials of requests allow.
 *
 * @module
 */
import { shortHash } from "../../kit.ts";
import type { Caller } from "../types.ts";

/**
 * Returns a key that is equal for requests of one owner whose credentials allow the same. Upstreams may
 * decide by anything that an application's `auth` derives their credentials from: scopes, claims and
 * the client's own token. Holds no token.
 */
export function rightsKey({ principal: { scopes, claims }, request }: Caller): string {
  const token = request.headers.get("authorization") ?? "";
  return JSON.stringify([scopes, shortHash(JSON.stringify(claims) ?? ""), shortHash(token)]);
}
