/**
 * The content type gate: POST carries JSON.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { refusal, type Report } from "../reply.ts";

/** Refuses a POST whose body doesn't say that it is JSON. `value` is the Content-Type header. */
export function checkContentType(value: string | null, report: Report): Response | undefined {
  if (value === "application/json" || (value !== null && isJson(value))) return undefined;
  return refusal({
    status: 415,
    code: ErrorCode.Refused,
    message: "Send the header Content-Type: application/json",
    reason: "content-type",
  }, report);
}

function isJson(value: string): boolean {
  const end = value.indexOf(";");
  const essence = end === -1 ? value : value.slice(0, end);
  return essence.trim().toLowerCase() === "application/json";
}
