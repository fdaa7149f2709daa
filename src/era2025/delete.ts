/**
 * Answers DELETE in the 2025 era: ends a session.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import { sessionNotFound, storeUnavailable } from "../http/refusals.ts";
import { type Reply, reply } from "../http/reply.ts";
import type { Era2025Components } from "./components.ts";
import { checkVersion } from "./version.ts";

const ENDED: Reply = reply(204, {}, null);

/** Answers a DELETE (2025-11-25, Transports, Session Management). */
export async function deleteSession(
  components: Era2025Components,
  inbound: Inbound,
): Promise<Reply> {
  const { sessions, versions, cluster } = components;
  const session = await sessions.find(inbound);
  if (session.kind === "elsewhere") return await cluster.forward(inbound, session.id);
  if (session.kind === "refusal") return session;
  const refused = checkVersion(inbound, session.record?.protocolVersion, versions);
  if (refused !== undefined) return refused;
  try {
    return await sessions.end(session.id, "deleted") ? ENDED : sessionNotFound("session-unknown");
  } catch (error) {
    return storeUnavailable("ending a session", error);
  }
}
