/**
 * Who sent a request and in what words, on its way from one node to another: sealed, since headers
 * hold what nobody else may see.
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

/** A state that was sealed for a client can't be taken for one of these. */
const BINDING: StateBinding = { owner: "", method: "mooring/forward", params: {} };

/** Headers that speak of one connection (RFC 9110, section 7.6.1), or of a body that isn't there. */
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

/** Seals a sender. */
export async function sealSender(
  sealer: StateSealer,
  { headers, principal }: Sender,
): Promise<string> {
  const kept = [...headers].filter(([name]) => !DROPPED.has(name));
  // JSON has no number for what never ends.
  const { expiresAt = Infinity, ...rest } = principal;
  const sender = expiresAt === Infinity ? rest : principal;
  return await sealer.seal({ headers: kept, principal: sender }, BINDING);
}

/** Opens a sender: `undefined` when no node has sealed it. */
export async function openSender(
  sealer: StateSealer,
  sealed: string,
): Promise<Sender | undefined> {
  const opened = await sealer.open(sealed, BINDING);
  if (opened === undefined || !isObject(opened.principal)) return undefined;
  // A node has written both, and nobody else can have.
  const headers = new Headers(opened.headers as [string, string][]);
  const principal = opened.principal as unknown as Principal;
  return { headers, principal };
}
