/**
 * Refuses protocol versions that the endpoint doesn't serve (2026-07-28, Versioning).
 *
 * @module
 */
import { clip } from "../internal/quote.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { type Refusal, refusal } from "./reply.ts";

/**
 * Refuses a version, and lists the served ones.
 *
 * @param requested The version that the client sent: any value
 */
export function unsupportedVersion(
  id: RequestId | null,
  requested: unknown,
  versions: readonly ProtocolVersion[],
): Refusal {
  // Converting a value that is not a string may throw.
  const named = typeof requested === "string" ? clip(requested, 100) : typeof requested;
  return refusal({
    status: 400,
    code: ErrorCode.UnsupportedVersion,
    message: `Use a supported protocol version: ${versions.join(", ")}`,
    data: { supported: versions, requested: named },
    reason: "version",
    id,
  });
}
