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
import { Forwarding, type ForwardingInit } from "./forwarding.ts";
import type { DispatcherMessage, NodeMessage, OperatorMessage } from "./messages.ts";
import { NodeMessenger } from "./messenger.ts";
import { onNodeMessage } from "./node_messages.ts";
import { PinnedSessions } from "./pinned_sessions.ts";
import type { SharedDocuments } from "./shared_documents.ts";
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
  /** Secrets that sign messages between nodes, if other processes may use the store. */
  readonly keys: readonly (string | Uint8Array)[] | undefined;
  /** Whether a session is served only by the node that has claimed it. */
  readonly pinned: boolean;
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
  /** Forwards a request to the node that has claimed its session, if sessions are pinned. */
  readonly forward: ((inbound: Inbound, session: string) => Promise<Reply>) | undefined;
}

/**
 * Connects a handler to the others of its store, over the store's `bus` and `nodes`. Every
 * {@linkcode Backplane} has it as `connect`.
 */
export const connectNodes: ConnectNodes = (init: ConnectionInit): NodeConnection => {
  const { bus, node, clock, keys, reporter: { report } } = init;
  let pinned: PinnedSessions | undefined;
  const onMessage = (message: NodeMessage, from: string) =>
    onNodeMessage({ ...init, messenger, pinned }, message, from);
  const messenger = new NodeMessenger({ bus, node, clock, keys, onMessage, report });
  const { quotas: store, calls, streams, listens } = init;
  const slots = { requests: calls.slots, streams: streams.slots, listens };
  const returnShares = store && shareSlots({ store, node, slots, clock });
  if (!init.pinned) return { messenger, returnShares, pinned, forward: undefined };
  const forwarding = new Forwarding(init);
  const answer = forwarding.answer.bind(forwarding);
  const claimed = pinned = new PinnedSessions({ ...init, messenger, answer });
  const forward = (inbound: Inbound, id: string) => forwarding.forward(claimed, inbound, id);
  return { messenger, returnShares, pinned, forward };
};
