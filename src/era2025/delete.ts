/**
 * DELETE in the 2025 era: the owner ends a session.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import { sessionNotFound, storeUnavailable } from "../http/refusals.ts";
import { type Reply, reply } from "../http/reply.ts";
import type { Era2025Parts } from "./parts.ts";
import { checkVersion } from "./version.ts";

const ENDED: Reply = reply(204, {}, null);

/** Answers a DELETE. */
export async function deleteSession(parts: Era2025Parts, inbound: Inbound): Promise<Reply> {
  const { sessions, versions, forward } = parts;
  const session = await sessions.find(inbound);
  if (session.kind === "elsewhere") return await forward(inbound, session.id);
  if (session.kind === "refusal") return session;
  const refused = checkVersion(inbound, session.record?.protocolVersion, versions);
  if (refused !== undefined) return refused;
  try {
    return await sessions.end(session.id, "deleted") ? ENDED : sessionNotFound("session-unknown");
  } catch (error) {
    return storeUnavailable("ending a session", error);
  }
}
