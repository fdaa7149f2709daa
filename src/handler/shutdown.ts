/**
 * Closes a handler: nothing new, a time to finish, then the end of everything.
 *
 * @module
 */
import { endSession } from "./end_session.ts";
import { type Endpoint, serverMeta } from "./endpoint.ts";
import { SERVER_STREAM } from "./server_stream.ts";

/** Closes an endpoint. It settles soon after `graceMs`, whatever handlers do. */
export async function shutDown(endpoint: Endpoint, graceMs: number): Promise<void> {
  endpoint.closing = true;
  // Clients go elsewhere for what they listen to; what they wait for may still be answered here.
  closeStreams(endpoint, (stream) => stream === SERVER_STREAM);
  for (const listen of [...endpoint.listens]) listen.end("shutdown", serverMeta(endpoint));
  await new Promise<void>((resolve) => {
    const stop = endpoint.settings.clock.timer(graceMs, resolve);
    endpoint.requests.whenFree(() => {
      stop();
      resolve();
    });
  });
  for (const session of endpoint.live.values()) session.inflight.stopAll("shutdown");
  endpoint.stray.stopAll("shutdown");
  closeStreams(endpoint, () => true);
  if (endpoint.settings.ownStore) await endSessions(endpoint);
  endpoint.dispose();
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
