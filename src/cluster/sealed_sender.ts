/**
 * Encrypts the headers and the principal of a forwarded request: both may hold secrets.
 *
 * @module
 */
import type { Principal } from "../protocol/exchange.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import type { StateBinding, StateSealer } from "../calls/state.ts";

/** A request's headers and its sender. */
export interface Sender {
  readonly headers: Headers;
  readonly principal: Principal;
}

/** A state that was sealed for a client can't be used as one of these. */
const BINDING: StateBinding = { owner: "", method: "mooring/forward", params: {} };

/** Headers of one connection (RFC 9110, section 7.6.1), or of a body that is sent apart. */
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
  // JSON has no infinite number.
  const { expiresAt = Infinity, ...rest } = principal;
  const sender = expiresAt === Infinity ? rest : principal;
  return await sealer.seal({ headers: kept, principal: sender }, BINDING);
}

/** Decrypts a sender; `undefined` when no node of the cluster has encrypted it. */
export async function openSender(
  sealer: StateSealer,
  sealed: string,
): Promise<Sender | undefined> {
  const opened = await sealer.open(sealed, BINDING);
  if (opened === undefined || !isObject(opened.principal)) return undefined;
  // Only a node of the cluster can have written both.
  const headers = new Headers(opened.headers as [string, string][]);
  const principal = opened.principal as unknown as Principal;
  return { headers, principal };
}
