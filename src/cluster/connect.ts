/**
 * Connects a handler to the others of its store: messages and, if sessions are pinned, forwarded requests.
 *
 * A store that several handlers can use brings this code: an application whose handler has its store to
 * itself doesn't bundle it.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import type { Reply } from "../http/reply.ts";
import type { QuotaStore } from "../internal/quota_store.ts";
import type { Slots } from "../internal/slots.ts";
import type { Notification } from "../protocol/exchange.ts";
import type { StoredRun } from "../streams/types.ts";
import { LateAnswers } from "../streams/late_answers.ts";
import { Forwarding, type ForwardingInit } from "./forwarding/forwarding.ts";
import type { DispatcherMessage, NodeMessage, OperatorMessage } from "./messages/messages.ts";
import { LocalPresence } from "./lost_nodes/local_presence.ts";
import { LostRuns } from "./lost_nodes/lost_runs.ts";
import { NodeMessenger } from "./messages/messenger.ts";
import { onNodeMessage } from "./messages/node_messages.ts";
import { PinnedSessions } from "./pinned_sessions.ts";
import { Presence } from "./lost_nodes/presence.ts";
import { Retries } from "./lost_nodes/retries.ts";
import type { SharedDocuments } from "./documents/shared_documents.ts";
import { shareSlots } from "./shares.ts";
import type { Bus, ConnectNodes } from "./types.ts";

/** What a connection needs of its handler and its store. */
export interface ConnectionInit extends ForwardingInit {
  readonly bus: Bus;
  readonly documents: SharedDocuments;
  /** What counts for all nodes together, if the store counts it. */
  readonly quotas: QuotaStore | undefined;
  /** The slots for open subscriptions. */
  readonly listens: Slots;
  /** Secrets that seal messages between nodes, if other processes may use the store. */
  readonly keys: readonly (string | Uint8Array)[] | undefined;
  /** Whether a session is served only by the node that has claimed it. */
  readonly pinned: boolean;
  /** Whether a later process goes on with what is in the store, and only one process uses it at a time. */
  readonly durable: boolean;
  /** The `retry` time for clients of forwarded streams, in milliseconds. */
  readonly retryMs: number;
  /** Called with the messages of other nodes' operators. */
  readonly onOperatorMessage: (message: OperatorMessage, from: string) => void;
  /** Called with the messages of dispatchers at other nodes. */
  readonly onDispatcherMessage: (message: DispatcherMessage) => void;
  /** Sends a notification to this node's clients that subscribed to it. */
  readonly broadcast: (notification: Notification) => void;
}

/** The connection of a handler to the others of its store. */
export interface NodeConnection {
  readonly messenger: NodeMessenger;
  /** Returns what this node has leased of principals' shares. */
  readonly returnShares: (() => void) | undefined;
  /** The pinned sessions, if sessions are pinned. */
  readonly pinned: PinnedSessions | undefined;
  /** Which nodes are lost; `undefined` if no other process can use the store, neither now nor later. */
  readonly presence: Pick<Presence, "isLost" | "close"> | undefined;
  /** The streams of lost nodes; `undefined` if the log doesn't keep what runs where. */
  readonly lostRuns: LostRuns | undefined;
  /** The requests that may be run again; `undefined` as above, or if sessions are pinned. */
  readonly retries: Retries | undefined;
  /** Forwards a request to the node that has claimed its session, if sessions are pinned. */
  readonly forward: ((inbound: Inbound, session: string) => Promise<Reply>) | undefined;
}

/**
 * Connects a handler to the others of its store, over the store's `bus` and `nodes`. Every
 * {@linkcode Backplane} has it as `connect`.
 */
export const connectNodes: ConnectNodes = (init: ConnectionInit): NodeConnection => {
  const { bus, node, clock, keys, reporter: { report }, streams: { log } } = init;
  let pinned: PinnedSessions | undefined;
  let presence: Presence | undefined;
  const onMessage = (message: NodeMessage, from: string) =>
    onNodeMessage({ ...init, messenger, pinned, presence }, message, from);
  const onMissed = () => init.sessions.checkLive();
  const messenger = new NodeMessenger({ bus, node, clock, keys, onMessage, onMissed, report });
  init.calls.timed = keys !== undefined;
  if (keys !== undefined) presence = new Presence({ ...init, messenger, keys });
  const present = presence ?? (init.durable ? new LocalPresence(init.nodes, node) : undefined);
  const { quotas: store, calls, listens } = init;
  const slots = { requests: calls.slots, streams: init.streams.slots, listens };
  const returnShares = store && shareSlots({ store, node, slots, clock });
  const runsHere = (session: string, { requests }: StoredRun) =>
    init.sessions.live.get(session)?.inflight.all().some(({ id }) => requests.includes(id)) ??
      false;
  if (log.endRun !== undefined) {
    init.streams.keepLateAnswers(new LateAnswers(log, clock, init.reporter));
  }
  const retries = log.run !== undefined && !init.pinned ? new Retries(init) : undefined;
  const lostRuns = log.run !== undefined && present !== undefined
    ? new LostRuns({ ...init, log, presence: present, retries, runsHere })
    : undefined;
  const shared = { messenger, presence: present, lostRuns, retries, returnShares };
  if (!init.pinned) return { ...shared, pinned, forward: undefined };
  const forwarding = new Forwarding(init);
  const answer = forwarding.answer.bind(forwarding);
  const claimed = pinned = new PinnedSessions({ ...init, messenger, presence, answer });
  const forward = (inbound: Inbound, id: string) => forwarding.forward(claimed, inbound, id);
  return { ...shared, pinned, forward };
};
