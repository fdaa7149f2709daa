/**
 * Implements the required header gate: a header that makes browsers send a preflight, or that a proxy
 * adds.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal } from "../reply.ts";
import type { RequiredHeader } from "./options.ts";

/** Refuses a request without the header, or with another value. */
export function checkRequiredHeader(
  inbound: Inbound,
  required: RequiredHeader,
): Refusal | undefined {
  const value = inbound.header(required.name);
  if (value !== null && (required.value === undefined || value === required.value)) {
    return undefined;
  }
  return refusal({
    status: 403,
    code: ErrorCode.Refused,
    message: `Send the header that the endpoint requires: ${required.name}`,
    reason: "required-header",
  });
}
