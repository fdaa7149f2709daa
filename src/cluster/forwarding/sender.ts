/**
 * Writes the headers and the principal of a request as JSON, for another node. Both may contain secrets:
 * what is written is only sent or kept encrypted.
 *
 * @module
 */
import type { Principal } from "../../protocol/exchange.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { copyPrincipal } from "../../sessions/owner.ts";

/** The headers and the principal of a request. */
export interface Sender {
  readonly headers: Headers;
  readonly principal: Principal;
}

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

/** Writes a sender as JSON. */
export function writeSender({ headers, principal }: Sender): JsonObject {
  const kept = [...headers].filter(([name]) => !DROPPED.has(name));
  const { expiresAt = Infinity, ...rest } = copyPrincipal(principal);
  // JSON has no infinite number.
  const sender = expiresAt === Infinity ? rest : { ...rest, expiresAt };
  return { headers: kept, principal: sender };
}

/** Reads a sender that a node of this cluster has written with {@linkcode writeSender}. */
export function readSender(written: JsonObject): Sender | undefined {
  if (!isObject(written.principal)) return undefined;
  // Only nodes of the cluster write both.
  const headers = new Headers(written.headers as [string, string][]);
  const principal = written.principal as unknown as Principal;
  return { headers, principal };
}
