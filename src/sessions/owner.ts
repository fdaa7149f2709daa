/**
 * Who owns a session, as one text to compare.
 *
 * @module
 */
import type { Principal } from "../protocol/exchange.ts";

/**
 * The owner's key of a principal: its issuer, id and client, whose credentials may change. No two
 * principals that differ in one of them have the same key, whatever characters they are made of: the
 * lengths in front say where each part ends. Most principals are an id alone, which is its own key as
 * long as it doesn't begin like the others.
 */
export function ownerKey({ issuer, id, clientId }: Principal): string {
  if (issuer === undefined && clientId === undefined && !id.startsWith(",")) return id;
  return `,${issuer?.length ?? ""},${clientId?.length ?? ""},${issuer ?? ""}${clientId ?? ""}${id}`;
}
