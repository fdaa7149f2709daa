/**
 * Decides which requests of clients without a session share upstream sessions.
 *
 * @module
 */
import type { Exchange } from "../../../mod.ts";
import { isAnonymous, ownerKey } from "../../kit.ts";
import { HOPS_HEADER } from "../shared/hops.ts";
import { upstreamCapabilities } from "./translate.ts";

/** What is known about the sender of a message. */
export type SharingFacts = Pick<
  Exchange,
  "principal" | "client" | "protocolVersion" | "localPeer" | "request"
>;

/** The most characters by which clients of one address are told apart. */
const MOST_NAME = 200;

/**
 * Returns a key that is equal for requests of one owner whose clients have equal capabilities; `undefined`
 * if the owner is unknown, so that nothing may be shared. Somebody who isn't authenticated is known by a
 * program on this machine: by the loopback address of the connection and the client's name. Behind any
 * other address there may be many users.
 */
export function sharingKey(sender: SharingFacts, isAlone: boolean): string | undefined {
  const { client, protocolVersion: version } = sender;
  const user = userKey(sender);
  return user && JSON.stringify([user, version, upstreamCapabilities(client, version, isAlone)]);
}

/** Returns a key that is equal for requests of one owner, as {@linkcode sharingKey} tells owners apart. */
export function userKey(sender: SharingFacts): string | undefined {
  const { principal, client, localPeer: peer, request } = sender;
  if (!isAnonymous(principal)) return ownerKey(principal);
  if (peer === undefined || request.headers.has(HOPS_HEADER)) return undefined;
  const { name = "", version: release = "" } = client.info ?? {};
  const program = JSON.stringify([name, release]).slice(0, MOST_NAME);
  return JSON.stringify([ownerKey(principal), peer, program]);
}

/**
 * Returns a key that is equal for requests of one owner, or of anybody who isn't authenticated, whose
 * clients have equal capabilities. Lists may be shared by it, but no state.
 */
export function listsKey(
  { principal, client, protocolVersion: version }: SharingFacts,
  isAlone: boolean,
): string {
  const capabilities = upstreamCapabilities(client, version, isAlone);
  return JSON.stringify([ownerKey(principal), version, capabilities]);
}
