/**
 * Encrypts the headers and the principal of a forwarded request, which may contain secrets.
 *
 * @module
 */
import type { Principal } from "../protocol/exchange.ts";
import { isObject } from "../protocol/jsonrpc.ts";
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
export async function sealSender(
  sealer: StateSealer,
  { headers, principal }: Sender,
): Promise<string> {
  const kept = [...headers].filter(([name]) => !DROPPED.has(name));
  const { expiresAt = Infinity, ...rest } = copyPrincipal(principal);
  // JSON has no infinite number.
  const sender = expiresAt === Infinity ? rest : { ...rest, expiresAt };
  return await sealer.seal({ headers: kept, principal: sender }, BINDING);
}

/** Decrypts a sender. Returns `undefined` if no node of the cluster encrypted it. */
export async function openSender(
  sealer: StateSealer,
  sealed: string,
): Promise<Sender | undefined> {
  const opened = await sealer.open(sealed, BINDING);
  if (opened === undefined || !isObject(opened.principal)) return undefined;
  // Decryption proves that a node of the cluster wrote both.
  const headers = new Headers(opened.headers as [string, string][]);
  const principal = opened.principal as unknown as Principal;
  return { headers, principal };
}
