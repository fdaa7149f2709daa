/**
 * Ends sessions whose time is over, although nobody uses them any more.
 *
 * @module
 */
import { endedByStore } from "./end_session.ts";
import type { Endpoint } from "./endpoint.ts";

/** How often expired sessions are looked for, in milliseconds. */
const EVERY_MS = 60_000;
/** How many sessions are ended at a stretch, so that nothing else waits long. */
const AT_ONCE = 100;

/** Makes sure that expired sessions are looked for as long as there are any sessions. */
export function armSweep(endpoint: Endpoint): void {
  endpoint.stopSweep ??= endpoint.settings.clock.timer(EVERY_MS, () => void sweep(endpoint));
}

async function sweep(endpoint: Endpoint): Promise<void> {
  const { clock } = endpoint.settings;
  let more = false;
  // A store that can't tell may well have some.
  let any = true;
  try {
    const ended = await endpoint.backplane.sessions.sweep(AT_ONCE);
    endedByStore(endpoint, ended);
    dropIdle(endpoint);
    more = ended.length >= AT_ONCE;
    any = endpoint.backplane.sessions.size > 0 || endpoint.live.size > 0;
  } catch (error) {
    endpoint.failed("looking for expired sessions", error);
  }
  endpoint.stopSweep = undefined;
  if (endpoint.closed || !any) return;
  endpoint.stopSweep = clock.timer(more ? 0 : EVERY_MS, () => void sweep(endpoint));
}

/**
 * Drops this process's part of sessions that were not used since the last time and of which nothing
 * is here: the store knows them, and others may have seen them end.
 */
function dropIdle({ live, settings }: Endpoint): void {
  if (settings.ownStore) return;
  for (const session of live.values()) {
    if (session.used) session.used = false;
    else if (session.idle) live.delete(session.id);
  }
}
