/**
 * Encrypts the headers and the principal of a forwarded request, which may contain secrets.
 *
 * @module
 */
import type { Principal } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { StateBinding, StateSealer } from "../calls/state.ts";
import { copyPrincipal } from "../sessions/owner.ts";

/** The headers and the principal of a request. */
export interface Sender {
  readonly headers: Headers;
  readonly principal: Principal;
}

/** Distinguishes these from the states that clients have. */
const BINDING: StateBinding = { owner: "", method: "mooring/forward", params: {} };

/** Hop-by-hop headers (RFC 9110 §7.6.1), and headers of the body, which is sent separately. */
const DROPPED: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Encrypts a sender. */
export async function sealSender(sealer: StateSealer, sender: Sender): Promise<string> {
  return await sealer.seal(writeSender(sender), BINDING);
}

/** Writes a sender as JSON. */
export function writeSender({ headers, principal }: Sender): JsonObject {
  const kept = [...headers].filter(([name]) => !DROPPED.has(name));
  const { expiresAt = Infinity, ...rest } = copyPrincipal(principal);
  // JSON has no infinite number.
  const sender = expiresAt === Infinity ? rest : { ...rest, expiresAt };
  return { headers: kept, principal: sender };
}

/** Decrypts a sender. Returns `undefined` if no node of the cluster encrypted it. */
export async function openSender(
  sealer: StateSealer,
  sealed: string,
): Promise<Sender | undefined> {
  const opened = await sealer.open(sealed, BINDING);
  return opened && readSender(opened);
}

/** Reads a sender that {@linkcode writeSender} wrote and this cluster encrypted. */
export function readSender(opened: JsonObject): Sender | undefined {
  if (!isObject(opened.principal)) return undefined;
  // Decryption proves that a node of the cluster wrote both.
  const headers = new Headers(opened.headers as [string, string][]);
  const principal = opened.principal as unknown as Principal;
  return { headers, principal };
}
