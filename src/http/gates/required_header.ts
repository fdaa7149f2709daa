/**
 * The required header gate: a header that no page can send unasked, or that a proxy adds.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { refusal, type Report } from "../reply.ts";
import type { RequiredHeader } from "./types.ts";

/** Refuses a request that lacks the header, or has another value in it. */
export function checkRequiredHeader(
  headers: Headers,
  required: RequiredHeader | undefined,
  report: Report,
): Response | undefined {
  if (required === undefined) return undefined;
  const value = headers.get(required.name);
  if (value !== null && (required.value === undefined || value === required.value)) {
    return undefined;
  }
  return refusal({
    status: 403,
    code: ErrorCode.Refused,
    message: `Send the header that the endpoint requires: ${required.name}`,
    reason: "required-header",
  }, report);
}
