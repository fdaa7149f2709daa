/**
 * Tells the eras apart: a request with the `_meta` envelope is 2026, one without is 2025 (2026-07-28,
 * Versioning, Backward Compatibility).
 *
 * @module
 */
import { envelopeVersion } from "../protocol/envelope.ts";
import { type Era, isModern } from "../protocol/versions.ts";
import type { Settings } from "./options.ts";
import type { Posted } from "./sessionful_post.ts";

/** The era that a POST is of. One whose envelope is missing is told by its header. */
export function eraOf(
  posted: Posted,
  versionHeader: string | null,
  { modern, versions2025 }: Pick<Settings, "modern" | "versions2025">,
): Era {
  if (versions2025.length === 0) return "2026";
  if (posted.kind === "request" || posted.kind === "notification") {
    const { method, params } = posted.message;
    if (envelopeVersion(params) !== undefined) return "2026";
    // Only the handshake says in its own words which version it wants
    if (method === "initialize") return "2025";
  }
  // Where the era isn't served its header is as wrong as one that nobody knows
  return modern && versionHeader !== null && isModern(versionHeader) ? "2026" : "2025";
}
