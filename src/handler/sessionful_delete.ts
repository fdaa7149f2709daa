/**
 * DELETE in the 2025 era: the owner ends a session.
 *
 * @module
 */
import { isResponse } from "../internal/whole.ts";
import { endSession } from "./end_session.ts";
import type { Endpoint } from "./endpoint.ts";
import type { SentInit } from "./forward.ts";
import { findSession, versionHeader, versionOf } from "./lookup.ts";
import { sessionNotFound, unavailable } from "./responses.ts";

/** Answers a DELETE of the 2025 era. */
export async function remove(
  endpoint: Endpoint,
  init: SentInit,
): Promise<Response> {
  const session = await findSession(endpoint, init);
  if (isResponse(session)) return session;
  const version = versionOf(endpoint, versionHeader(init.request), session);
  if (typeof version !== "string") return version;
  try {
    if (await endSession(endpoint, session.id, "deleted")) {
      return new Response(null, { status: 204 });
    }
  } catch (error) {
    return unavailable(endpoint, "ending a session", error);
  }
  return sessionNotFound(endpoint, "session-unknown");
}
