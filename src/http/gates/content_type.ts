/**
 * Implements the Content-Type gate: the body of a POST must be JSON.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { HeaderName } from "../../protocol/headers.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal } from "../reply.ts";

/** Refuses a POST whose Content-Type isn't JSON. Parameters are ignored. */
export function checkContentType(inbound: Inbound): Refusal | undefined {
  const value = inbound.header(HeaderName.ContentType);
  if (value === "application/json" || (value !== null && isJson(value))) return undefined;
  return refusal({
    status: 415,
    code: ErrorCode.Refused,
    message: "Send the header Content-Type: application/json",
    reason: "content-type",
  });
}

function isJson(value: string): boolean {
  const end = value.indexOf(";");
  const essence = end === -1 ? value : value.slice(0, end);
  return essence.trim().toLowerCase() === "application/json";
}
