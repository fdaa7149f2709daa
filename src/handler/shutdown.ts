/**
 * Closes a handler: nothing new, a time to finish, then the end of everything.
 *
 * @module
 */
import { endSession } from "./end_session.ts";
import { type Endpoint, serverMeta } from "./endpoint.ts";
import type { Pins } from "./pins.ts";
import { SERVER_STREAM } from "./server_stream.ts";

/** How long a closing handler waits until it has given up its pinned sessions, in milliseconds. */
const UNPIN_MS = 500;

/** Closes an endpoint. It settles soon after `graceMs`, whatever handlers do. */
export async function shutDown(endpoint: Endpoint, graceMs: number): Promise<void> {
  endpoint.closing = true;
  const { clock, ownStore } = endpoint.settings;
  // Clients go elsewhere for what they listen to; what they wait for may still be answered here.
  closeStreams(endpoint, (stream) => stream === SERVER_STREAM);
  endpoint.pins?.giveUp((verb) => verb === "GET");
  for (const listen of [...endpoint.listens]) listen.end("shutdown", serverMeta(endpoint));
  await new Promise<void>((resolve) => {
    const stop = clock.timer(graceMs, resolve);
    endpoint.requests.whenFree(() => {
      stop();
      resolve();
    });
  });
  for (const session of endpoint.live.values()) session.inflight.stopAll("shutdown");
  endpoint.stray.stopAll("shutdown");
  closeStreams(endpoint, () => true);
  if (ownStore) await endSessions(endpoint);
  if (endpoint.pins !== undefined) await unpin(endpoint, endpoint.pins);
  endpoint.dispose();
}

/**
 * The sessions whose live state is here end with it, and the others learn that the node is gone. A
 * store that fails or takes too long is left to notice by itself.
 */
async function unpin(endpoint: Endpoint, pins: Pins): Promise<void> {
  const held = [...endpoint.live.values()].filter(({ claimed }) => claimed);
  const work = [
    pins.close(),
    ...held.map(({ id }) => endSession(endpoint, id, "shutdown")),
  ].map((done) =>
    done.catch((error: unknown) => endpoint.failed("giving up pinned sessions", error))
  );
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const stop = endpoint.settings.clock.timer(UNPIN_MS, resolve);
  await Promise.race([Promise.all(work), late]);
  stop();
}

function closeStreams(endpoint: Endpoint, which: (stream: string) => boolean): void {
  const { retryMs } = endpoint.settings.streams;
  for (const session of endpoint.live.values()) {
    for (const [stream, connection] of [...session.connections]) {
      if (which(stream)) connection.close("shutdown", { retryMs });
    }
  }
}

/** The sessions of a store that nobody else has end with their handler. */
async function endSessions(endpoint: Endpoint): Promise<void> {
  for (const id of [...await endpoint.backplane.sessions.ids()]) {
    await endSession(endpoint, id, "shutdown");
  }
}
