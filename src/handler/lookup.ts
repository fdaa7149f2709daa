/**
 * Finds the session of a request: known, owned, spoken to in its own version.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";
import { ASSUMED_VERSION, isVersion, type ProtocolVersion } from "../protocol/versions.ts";
import { refusal } from "../http/reply.ts";
import { isSessionId } from "../sessions/id.ts";
import type { Found } from "../sessions/types.ts";
import { endedByStore } from "./end_session.ts";
import type { Endpoint } from "./endpoint.ts";
import { forward, type SentInit } from "./forward.ts";
import type { LiveSession } from "./live_session.ts";
import { sessionNotFound, unavailable } from "./responses.ts";
import { armSweep } from "./sweep.ts";

/**
 * Finds the session that a request names, for its owner.
 *
 * @returns The session; or the refusal, the same one for a session that is unknown, over, expired or
 * somebody else's; or the whole answer, where another node holds the session
 */
export function findSession(
  endpoint: Endpoint,
  init: SentInit,
): MaybePromise<LiveSession | Response> {
  const { request, owner } = init;
  const id = request.headers.get(HeaderName.SessionId);
  if (id === null) return sessionMissing(endpoint, request);
  const live = endpoint.live.get(id);
  // What is known here needs no closer look, which costs as much as finding it.
  if (live === undefined && !isSessionId(id)) return sessionNotFound(endpoint, "session-unknown");
  try {
    const found = endpoint.backplane.sessions.use(id, owner);
    if (!isPromise(found)) return sessionOf(endpoint, init, id, found, live);
    return found.then(
      (value) => {
        // The store may have answered just before the session ended.
        if (endpoint.ended.has(id)) return sessionNotFound(endpoint, "session-unknown");
        return sessionOf(endpoint, init, id, value, endpoint.live.get(id));
      },
      (error) => unavailable(endpoint, "looking up a session", error),
    );
  } catch (error) {
    return unavailable(endpoint, "looking up a session", error);
  }
}

function sessionOf(
  endpoint: Endpoint,
  init: SentInit,
  id: string,
  found: Found,
  live: LiveSession | undefined,
): MaybePromise<LiveSession | Response> {
  if (found.record !== undefined) {
    const { pins } = endpoint;
    if (pins !== undefined && live?.claimed !== true) return forward(endpoint, pins, init, id);
    const session = live ?? endpoint.session(id);
    if (live === undefined) armSweep(endpoint);
    if (session.ended) return sessionNotFound(endpoint, "session-unknown");
    session.record = found.record;
    session.used = true;
    return session;
  }
  if (found.refusal === "expired") endedByStore(endpoint, [found.ended]);
  return sessionNotFound(endpoint, `session-${found.refusal}`);
}

function sessionMissing(endpoint: Endpoint, { method }: Request): Response {
  const hint = "Send the Mcp-Session-Id header that the initialize response carried";
  return refusal({
    status: 400,
    code: ErrorCode.Refused,
    // Clients of the old HTTP+SSE transport (2024-11-05) begin with a GET.
    message: method === "GET" ? `${hint}: begin by POSTing initialize to this URL` : hint,
    reason: "session-missing",
  }, endpoint.report);
}

/** The MCP-Protocol-Version header. */
export function versionHeader({ headers }: Request): string | null {
  return headers.get(HeaderName.ProtocolVersion);
}

/**
 * The version that a request is spoken in: the one that its session agreed on. A header that says
 * anything else is refused.
 */
export function versionOf(
  endpoint: Endpoint,
  header: string | null,
  session: LiveSession | undefined,
  id: RequestId | null = null,
): ProtocolVersion | Response {
  const agreed = session?.record?.protocolVersion;
  if (header === agreed && agreed !== undefined) return agreed;
  if (header === null) return agreed ?? ASSUMED_VERSION;
  const { versions2025 } = endpoint.settings;
  if (!isVersion(header) || !versions2025.includes(header)) {
    return versionRefused(endpoint, "Send a supported version as MCP-Protocol-Version", id);
  }
  if (agreed === undefined) return header;
  return versionRefused(
    endpoint,
    "Send the version that the session agreed on as MCP-Protocol-Version",
    id,
  );
}

function versionRefused(endpoint: Endpoint, message: string, id: RequestId | null): Response {
  return refusal({
    status: 400,
    code: ErrorCode.Refused,
    message: `${message}: ${endpoint.settings.versions2025.join(", ")}`,
    reason: "version",
    id,
    data: { supported: endpoint.settings.versions2025 },
  }, endpoint.report);
}
