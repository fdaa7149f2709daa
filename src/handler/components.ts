/**
 * Creates the components of an endpoint, and passes each only what it needs.
 *
 * @module
 */
import type { AuthorizeSettings } from "../auth/authorize.ts";
import { Calls } from "../calls/calls.ts";
import { SingleUse } from "../calls/state/single_use.ts";
import { StateSealer } from "../calls/state/state.ts";
import { Cluster } from "../cluster/cluster.ts";
import { type LocalBackplane, openLocal } from "../cluster/memory/local_store.ts";
import { MemoryRecords } from "../cluster/memory/records.ts";
import { Gates } from "../http/gates/order.ts";
import type { Inbound } from "../http/inbound.ts";
import type { Reply } from "../http/reply.ts";
import { Slots } from "../internal/slots.ts";
import { TurnQueue } from "../internal/end_of_turn.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Dispatcher, Notification } from "../protocol/exchange.ts";
import { Reporter } from "../protocol/reporter.ts";
import { KeptAnswers } from "../sessions/kept_answers.ts";
import type { OwnedRecords } from "../sessions/owned_values.ts";
import { ServerStreams } from "../sessions/server_streams.ts";
import { Sessions } from "../sessions/sessions.ts";
import { UserStates } from "../sessions/user_states.ts";
import { Streams } from "../streams/streams.ts";
import type { HandlerSettings } from "./settings.ts";

/** The components of one endpoint. */
export interface HandlerComponents {
  readonly settings: HandlerSettings;
  readonly reporter: Reporter;
  readonly gates: Gates;
  /** The requests whose bodies have arrived in this turn of the event loop. */
  readonly arrived: TurnQueue;
  /** The options of authentication and authorization. */
  readonly auth: AuthorizeSettings;
  readonly calls: Calls;
  readonly streams: Streams;
  /** The slots for open subscriptions. */
  readonly listens: Slots;
  readonly sessions: Sessions;
  readonly cluster: Cluster;
  readonly backplane: LocalBackplane;
}

/** The functions that components call, once all are created. */
export interface ComponentCallbacks {
  /** Sends a notification to this node's clients that subscribed to it. */
  readonly broadcast: (notification: Notification) => void;
  /** Answers a request whose principal has been authenticated. */
  readonly route: (inbound: Inbound) => MaybePromise<Reply>;
}

/** Creates the reporter of an endpoint. */
export function reporterOf(settings: HandlerSettings): Reporter {
  const { onEvent, onError, principalName, address, nodeName } = settings;
  return new Reporter(onEvent, { principalName, onError, address, nodeName });
}

/** Creates the components of an endpoint. */
export function makeComponents(
  dispatcher: Dispatcher,
  settings: HandlerSettings,
  { broadcast, route }: ComponentCallbacks,
  reporter = reporterOf(settings),
): HandlerComponents {
  const { clock, shared, stateKeys } = settings;
  const shareable = settings.store?.open(settings.storeSettings);
  const backplane = shareable ?? openLocal(settings.storeSettings);
  const { log, leases, sessions: store, claims, documents, secret } = backplane;
  const ttlMs = settings.calls.askTimeoutMs;
  const states = new StateSealer({
    keys: stateKeys.length === 0 && secret !== undefined ? [secret] : stateKeys,
    ttlMs,
    clock,
  });
  const singleUse = new SingleUse({
    ttlMs,
    clock,
    claim: (key, holder, ttlMs) => claims.claim(key, holder, ttlMs),
  });
  const users = usersOf(settings);
  const answers = new KeptAnswers({
    ...{ records: answerRecords(settings), keys: settings.nodeKeys, clock },
    failed: (error) => reporter.failed("keeping an answer", error),
  });
  const kept = { users, answers };
  const calls = new Calls(dispatcher, settings.calls, states, singleUse, kept, clock, reporter);
  const streams = new Streams(log, settings.streams, clock, reporter);
  const listens = new Slots(settings.listen.most, settings.listen.mostPerPrincipal);
  const { nodeKeys: keys } = settings;
  const polled = settings.store?.shared === true;
  const cluster = new Cluster({ documents, shared, polled, keys, clock, reporter });
  if (cluster.node !== undefined) reporter.node = cluster.node;
  const pinned = dispatcher.pinned === true && settings.sessionful && shared;
  const sessions = new Sessions({
    store,
    log,
    serverStreams: new ServerStreams({ store, log, leases, clock, reporter, shared }),
    askDelay: calls.delays.ask,
    node: cluster.node,
    mostSubscriptions: settings.mostSubscriptions,
    stateBytes: settings.stateBytes,
    restorable: dispatcher.restores === true && shareable?.durable === true,
    adopt: async (session) => await cluster.pinned?.adopt(session) ?? false,
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
  if (shareable !== undefined) {
    cluster.connect(shareable, {
      quotas: settings.store?.quotas?.(clock),
      calls,
      streams,
      listens,
      sessions,
      clock,
      reporter,
      pinned,
      keys,
      retryMs: settings.streams.retryMs,
      mostBatch: settings.gates.batch,
      broadcast,
      route,
    });
  }
  return {
    settings,
    reporter,
    gates: new Gates(settings.gates, clock),
    arrived: new TurnQueue(clock.perRequest),
    auth: authSettings(settings),
    calls,
    streams,
    listens,
    sessions,
    cluster,
    backplane,
  };
}

/** Returns what keeps the state of users: the host, the store, or without both the memory of this process. */
function usersOf({ ownedRecords, store, users, nodeKeys, clock }: HandlerSettings): UserStates {
  const { most } = users;
  const records = ownedRecords ??
    (store === undefined
      ? new MemoryRecords(clock, undefined, most)
      : store.userStates?.(clock, most));
  return new UserStates({ records, keys: nodeKeys, ...users, clock });
}

/** The owners whose answers a process keeps in its memory at most, and those of a shared store. */
const MOST_OWNERS = 2_500;
const MOST_SHARED_OWNERS = 1_000_000;

/**
 * Returns what keeps the answers of calls: the host, the store, or without both the memory of this process.
 *
 * @returns `undefined` if the store keeps none
 */
export function answerRecords(
  { ownedRecords, store, clock }: Pick<HandlerSettings, "ownedRecords" | "store" | "clock">,
): OwnedRecords | undefined {
  if (ownedRecords !== undefined) return ownedRecords;
  if (store === undefined) return new MemoryRecords(clock, undefined, MOST_OWNERS);
  return store.answers?.(clock, store.shared === true ? MOST_SHARED_OWNERS : MOST_OWNERS);
}

function authSettings(
  { authenticate, authorize, principalRateLimit, resource, clock }: HandlerSettings,
): AuthorizeSettings {
  return {
    authenticate,
    authorize,
    rateLimit: principalRateLimit,
    challenge: resource?.challenge,
    clock,
  };
}
