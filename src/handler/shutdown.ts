/**
 * Closes a handler: refuses new requests, lets running ones finish for a limited time, then ends
 * everything.
 *
 * @module
 */
import { SERVER_STREAM } from "../sessions/server_streams.ts";
import type { Eras } from "./eras.ts";
import type { HandlerHost } from "./dispatcher_host.ts";
import type { HandlerComponents } from "./components.ts";

/** The time limit for leaving the other nodes, in milliseconds. */
const LEAVE_MS = 500;

/** The least time for sending the last replies to the nodes that forwarded the requests, in milliseconds. */
const FLUSH_MS = 250;

/** The time limit for storing the last responses, beyond what is left of the grace time, in milliseconds. */
const STORE_MS = 400;

/** Closes a handler. Settles soon after `graceMs`, even if tool handlers don't stop. */
export async function shutDown(
  components: HandlerComponents,
  eras: Eras,
  host: HandlerHost,
  graceMs: number,
): Promise<void> {
  const { gates, calls, streams, sessions, cluster, settings } = components;
  const { clock, shared, streams: { retryMs } } = settings;
  const deadline = clock.now() + graceMs;
  gates.beginClosing();
  calls.beginClosing();
  streams.beginClosing();
  sessions.beginClosing();
  // Clients can reconnect server-to-client streams elsewhere; running requests may still finish here.
  sessions.closeStreams((stream) => stream === SERVER_STREAM, retryMs);
  cluster.pinned?.giveUp((verb) => verb === "GET");
  eras.endListens();
  await new Promise<void>((resolve) => {
    const stop = clock.timer(graceMs, resolve);
    calls.slots.whenFree(() =>
      calls.handedOver.whenEmpty(() => {
        stop();
        resolve();
      })
    );
  });
  sessions.stopCalls();
  calls.sessionless.stopAll("shutdown");
  calls.handedOver.stopAll("shutdown");
  await storeResponses(components, deadline);
  sessions.closeStreams(() => true, retryMs);
  await sendReplies(components, deadline);
  // Sessions of a store that no other handler uses end with this one.
  if (!shared) {
    for (const id of [...await sessions.store.ids()]) await sessions.end(id, "shutdown");
  }
  await leave(components);
  dispose(components, host);
}

/**
 * Waits until the log has the last responses. A client that resumes at another node would else be told that
 * this one is lost, since it leaves the cluster next.
 */
async function storeResponses(
  { backplane, settings: { clock } }: HandlerComponents,
  deadline: number,
): Promise<void> {
  const { log } = backplane;
  if (log.written === undefined) return;
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const stop = clock.timer(Math.max(0, deadline - clock.now()) + STORE_MS, resolve);
  // Streams end once their responses are there: that is a second round.
  for (let round = 0; round < 2; round++) await Promise.race([log.written(), late]);
  stop();
}

/** Waits until the nodes that forwarded requests to this one have the replies: their clients wait for them. */
async function sendReplies(
  { cluster: { pinned }, settings: { clock } }: HandlerComponents,
  deadline: number,
): Promise<void> {
  if (pinned === undefined || pinned.incoming.size === 0) return;
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const stop = clock.timer(Math.max(FLUSH_MS, deadline - clock.now()), resolve);
  await Promise.race([pinned.incoming.settled(), late]);
  stop();
}

/** Cancels all waits and leaves the cluster. */
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
 * Ends the sessions that this node has claimed, unless they go on in a later process, and leaves the cluster. If the store fails or is slow,
 * other nodes detect it later.
 */
async function leave(
  { sessions, cluster, reporter, settings: { clock } }: HandlerComponents,
): Promise<void> {
  if (cluster.connection === undefined) return;
  const claimedHere = sessions.restores
    ? []
    : [...sessions.live.values()].filter(({ claimed }) => claimed);
  const work = [
    cluster.leave(),
    cluster.pinned?.close(),
    ...claimedHere.map(({ id }) => sessions.end(id, "shutdown")),
  ].map((done) =>
    done?.catch((error: unknown) => reporter.failed("leaving the other nodes", error))
  );
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const stop = clock.timer(LEAVE_MS, resolve);
  await Promise.race([Promise.all(work), late]);
  stop();
}
