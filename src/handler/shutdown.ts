/**
 * Closes a handler: refuses new requests, lets running ones finish for a time, then ends everything.
 *
 * @module
 */
import type { PinnedSessions } from "../cluster/pinned_sessions.ts";
import { SERVER_STREAM } from "../sessions/server_streams.ts";
import type { Eras } from "./eras.ts";
import type { HandlerHost } from "./dispatcher_host.ts";
import type { HandlerComponents } from "./components.ts";

/** How long giving up pinned sessions may take, in milliseconds. */
const UNPIN_MS = 500;

/** Closes a handler. It settles soon after `graceMs`, whatever tool handlers do. */
export async function shutDown(
  components: HandlerComponents,
  eras: Eras,
  host: HandlerHost,
  graceMs: number,
): Promise<void> {
  const { calls, streams, sessions, cluster, settings: { clock, shared } } = components;
  calls.closing = streams.closing = sessions.closing = true;
  // Clients reconnect elsewhere for what they listen to; what they wait for may still be answered here.
  closeStreams(components, (stream) => stream === SERVER_STREAM);
  cluster.pinned?.giveUp((verb) => verb === "GET");
  eras.endListens();
  await new Promise<void>((resolve) => {
    const stop = clock.timer(graceMs, resolve);
    calls.slots.whenFree(() => {
      stop();
      resolve();
    });
  });
  for (const session of sessions.live.values()) session.inflight.stopAll("shutdown");
  calls.sessionless.stopAll("shutdown");
  closeStreams(components, () => true);
  // The sessions of a store that no other handler has end with this one.
  if (!shared) {
    for (const id of [...await sessions.store.ids()]) await sessions.end(id, "shutdown");
  }
  if (cluster.pinned !== undefined) await unpin(components, cluster.pinned);
  dispose(components, host);
}

/** Ends all waits and leaves the other nodes. */
function dispose(
  { gates, calls, streams, sessions, cluster }: HandlerComponents,
  host: HandlerHost,
): void {
  host.dispose();
  sessions.dispose();
  cluster.dispose();
  calls.dispose();
  streams.dispose();
  gates.close();
}

/**
 * Ends the sessions whose live state is here, and tells the other nodes that this one is gone. Where
 * the store fails or is slow, they notice by themselves.
 */
async function unpin(
  { sessions, reporter, settings: { clock } }: HandlerComponents,
  pinned: PinnedSessions,
): Promise<void> {
  const held = [...sessions.live.values()].filter(({ claimed }) => claimed);
  const work = [
    pinned.close(),
    ...held.map(({ id }) => sessions.end(id, "shutdown")),
  ].map((done) =>
    done.catch((error: unknown) => reporter.failed("giving up pinned sessions", error))
  );
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const stop = clock.timer(UNPIN_MS, resolve);
  await Promise.race([Promise.all(work), late]);
  stop();
}

function closeStreams(
  { sessions, settings: { streams: { retryMs } } }: HandlerComponents,
  which: (stream: string) => boolean,
): void {
  for (const session of sessions.live.values()) {
    for (const [stream, connection] of [...session.connections]) {
      if (which(stream)) connection.close("shutdown", { retryMs });
    }
  }
}
