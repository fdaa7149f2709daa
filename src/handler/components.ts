/**
 * Creates the components of an endpoint, and passes each only what it needs.
 *
 * @module
 */
import type { AuthorizeSettings } from "../auth/authorize.ts";
import { Calls } from "../calls/calls.ts";
import { StateSealer } from "../calls/state.ts";
import { Cluster } from "../cluster/cluster.ts";
import { Forwarding } from "../cluster/forwarding.ts";
import type { NodeMessage } from "../cluster/messages.ts";
import { PinnedSessions } from "../cluster/pinned_sessions.ts";
import type { Backplane } from "../cluster/types.ts";
import { Gates } from "../http/gates/order.ts";
import type { Inbound } from "../http/inbound.ts";
import type { Reply } from "../http/reply.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import { Reporter } from "../protocol/reporter.ts";
import { ServerStreams } from "../sessions/server_streams.ts";
import { Sessions } from "../sessions/sessions.ts";
import { Streams } from "../streams/streams.ts";
import type { Settings } from "./settings.ts";

/** The components of one endpoint. */
export interface HandlerComponents {
  readonly settings: Settings;
  readonly reporter: Reporter;
  readonly gates: Gates;
  /** The options of authentication and authorization. */
  readonly auth: AuthorizeSettings;
  readonly calls: Calls;
  readonly streams: Streams;
  readonly sessions: Sessions;
  readonly cluster: Cluster;
  readonly forwarding: Forwarding;
  readonly backplane: Backplane;
}

/** The functions that components call, once all are created. */
export interface ComponentCallbacks {
  /** Called with each message from another node. */
  readonly onNodeMessage: (message: NodeMessage, from: string) => void;
  /** Answers a request whose principal has been authenticated. */
  readonly route: (inbound: Inbound) => MaybePromise<Reply>;
}

/** Creates the components of an endpoint. */
export function makeComponents(
  dispatcher: Dispatcher,
  settings: Settings,
  { onNodeMessage, route }: ComponentCallbacks,
): HandlerComponents {
  const { clock, shared, stateKeys } = settings;
  const reporter = new Reporter(settings.onEvent);
  const backplane = settings.store.open(settings.storeSettings);
  const { log, leases, sessions: store, claims, nodes, secret } = backplane;
  const states = new StateSealer({
    keys: stateKeys.length === 0 && secret !== undefined ? [secret] : stateKeys,
    ttlMs: settings.calls.askTimeoutMs,
    clock,
  });
  const calls = new Calls(dispatcher, settings.calls, states, clock, reporter);
  const streams = new Streams(log, settings.streams, clock, reporter);
  const cluster = new Cluster({
    backplane,
    shared,
    polled: settings.store.shared === true,
    keys: settings.nodeKeys,
    clock,
    reporter,
    onMessage: onNodeMessage,
  });
  const pinned = dispatcher.pinned === true && settings.sessionful && shared;
  const sessions = new Sessions({
    store,
    log,
    serverStreams: new ServerStreams({ store, log, leases, clock, reporter, shared }),
    askDelay: calls.delays.ask,
    node: shared ? cluster.node : undefined,
    mostSubscriptions: settings.mostSubscriptions,
    clock,
    reporter,
    shared,
    pinned,
    onEnd(id, reason) {
      reporter.background("ending a session", () => dispatcher.sessionEnded?.(id, reason));
      cluster.pinned?.release(id);
    },
    announceEnd: (id, reason) => cluster.publish({ kind: "ended", session: id, reason }),
  });
  const { node, messenger } = cluster;
  const common = { node, claims, nodes, sessions, clock, reporter };
  const mostBatch = settings.gates.batch;
  const forwarding = new Forwarding({ ...common, calls, streams, mostBatch, route });
  if (pinned) {
    const answer = forwarding.answer.bind(forwarding);
    const { retryMs } = settings.streams;
    cluster.pinned = new PinnedSessions({ ...common, messenger, retryMs, answer });
  }
  return {
    settings,
    reporter,
    gates: new Gates(settings.gates, clock),
    auth: authSettings(dispatcher, settings),
    calls,
    streams,
    sessions,
    cluster,
    forwarding,
    backplane,
  };
}

function authSettings(
  dispatcher: Dispatcher,
  { authenticate, authorize, principalRateLimit, resource, clock }: Settings,
): AuthorizeSettings {
  return {
    authenticate,
    authorize,
    rateLimit: principalRateLimit,
    challenge: resource?.challenge,
    clock,
    dispatcher,
  };
}
