/**
 * Implements the method gate: only POST, GET, DELETE and CORS preflights are served.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { allowedMethods, preflight } from "../cors.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal, type Reply } from "../reply.ts";
import type { GateSettings } from "./options.ts";

/** Passes POST, GET and DELETE, answers a CORS preflight, and refuses other methods. */
export function checkMethod(
  inbound: Inbound,
  settings: GateSettings,
): Reply | Refusal | undefined {
  const { method } = inbound;
  if (method === "POST" || method === "GET" || method === "DELETE") return undefined;
  if (method === "OPTIONS" && settings.cors) return preflight(inbound, settings);
  const allow = allowedMethods(settings.cors);
  return refusal({
    status: 405,
    code: ErrorCode.Refused,
    message: `Use one of the methods ${allow}`,
    reason: "method",
    headers: { allow },
  });
}
