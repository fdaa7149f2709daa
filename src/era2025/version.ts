/**
 * Checks the MCP-Protocol-Version header of the 2025 era (2025-11-25, Transports, Protocol Version
 * Header).
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import { type Refusal, refusal } from "../http/reply.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { ASSUMED_VERSION, isVersion, type ProtocolVersion } from "../protocol/versions.ts";

/**
 * Fills in the version of a request: the one that its session negotiated. A header that names another
 * one is refused.
 *
 * @param negotiated The session's version, if there is one
 * @param served The served versions of the era, newest first
 */
export function checkVersion(
  inbound: Inbound,
  negotiated: ProtocolVersion | undefined,
  served: readonly ProtocolVersion[],
): Refusal | undefined {
  const header = inbound.versionHeader;
  if (header === null || header === negotiated) {
    inbound.version = negotiated ?? ASSUMED_VERSION;
    return undefined;
  }
  if (!isVersion(header) || !served.includes(header)) {
    return refuse(inbound, "Send a supported version as MCP-Protocol-Version", served);
  }
  if (negotiated !== undefined) {
    const message = "Send the version that the session negotiated as MCP-Protocol-Version";
    return refuse(inbound, message, served);
  }
  inbound.version = header;
  return undefined;
}

function refuse(
  { requestId }: Inbound,
  message: string,
  supported: readonly ProtocolVersion[],
): Refusal {
  return refusal({
    status: 400,
    code: ErrorCode.Refused,
    message: `${message}: ${supported.join(", ")}`,
    reason: "version",
    id: requestId,
    data: { supported },
  });
}
