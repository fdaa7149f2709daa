/**
 * Serves pinned sessions, whose live state is at one node. That node claims the session and sends
 * heartbeats to the store, so that other nodes forward the session's requests to it.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { shortHash } from "../internal/random.ts";
import type { Reply } from "../http/reply.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { LiveSession } from "../sessions/live_session.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { Incoming } from "./forwarding/incoming.ts";
import type { ForwardedRequest, ForwardMessage } from "./messages/messages.ts";
import type { NodeMessenger } from "./messages/messenger.ts";
import { Outgoing } from "./forwarding/outgoing.ts";
import type { Presence } from "./lost_nodes/presence.ts";
import {
  CLAIM_TTL_MS,
  type Claims,
  NODE_BEAT_MS,
  NODE_TTL_MS,
  type Nodes,
  PRESENT_MS,
} from "./types.ts";

/** The age at which a claim is renewed, in milliseconds. */
const RENEW_MS = CLAIM_TTL_MS / 3;
/** The time after an outage of the store in which an unknown node may be alive, in milliseconds. */
const RETURN_MS = NODE_BEAT_MS * 1.5;
/** The number of claims that are renewed at a time. */
const RENEW_BATCH = 100;
/** Options for {@linkcode PinnedSessions}. */
export interface PinnedSessionsInit {
  /** This node's id. */
  readonly node: string;
  readonly messenger: NodeMessenger;
  /** Which nodes are lost; `undefined` if no other process can use the store. */
  readonly presence: Pick<Presence, "isLost"> | undefined;
  readonly nodes: Nodes;
  readonly claims: Claims;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** The `retry` time for clients of forwarded streams, in milliseconds. */
  readonly retryMs: number;
  /** Answers a request that another node has forwarded. Must not reject. */
  readonly answer: (request: ForwardedRequest) => Promise<Reply>;
}

/** The pinned sessions of a node. */
export class PinnedSessions {
  /** Requests that this node has forwarded. */
  readonly outgoing: Outgoing;
  /** Requests that other nodes have forwarded to this one. */
  readonly incoming: Incoming;
  readonly #init: PinnedSessionsInit;
  #alive: Promise<void> | undefined;
  #beatAt: number;
  #sureFrom = 0;
  #stop: (() => void) | undefined;
  #stopWatch: (() => void) | undefined;
  #checking = false;
  /** The peers that were unknown to the store at the last check, although they were reachable. */
  #missing: ReadonlySet<string> = new Set();

  /** Starts the heartbeats. */
  constructor(init: PinnedSessionsInit) {
    this.#init = init;
    this.#beatAt = init.clock.now();
    this.outgoing = new Outgoing(init.messenger, init.clock);
    this.incoming = new Incoming(init.messenger, init.answer);
    this.#arm();
    if (init.presence !== undefined) this.#watch(init.presence);
  }

  /** Handles a message about a forwarded request. */
  onMessage(message: ForwardMessage, from: string): void {
    this.incoming.onMessage(message, from);
    this.outgoing.onMessage(message, from);
  }

  /**
   * Claims a new session for this node, after a heartbeat.
   *
   * @returns `false` if another node has claimed it
   */
  async claim(session: LiveSession): Promise<boolean> {
    // A heartbeat for each claim, since the store may have lost earlier ones.
    this.#alive = this.#beat();
    await this.ensureAlive();
    return await this.#claim(session);
  }

  /**
   * Claims a session for this node that began in an earlier process, which may have left its claim.
   *
   * @returns `false` if another handler of this process has claimed it
   */
  async adopt(session: LiveSession): Promise<boolean> {
    const { node, claims, nodes } = this.#init;
    await this.ensureAlive();
    const holder = await claims.holder(session.id);
    if (holder !== undefined && holder !== node) {
      if (await nodes.find(holder) !== undefined) return false;
      await claims.release(session.id, holder);
    }
    return await this.#claim(session);
  }

  async #claim(session: LiveSession): Promise<boolean> {
    const { node, claims, clock } = this.#init;
    const now = clock.now();
    if (await claims.claim(session.id, node, CLAIM_TTL_MS) !== node) return false;
    session.claimed = true;
    session.renewedAt = now;
    return true;
  }

  /** Releases the claim to a session that has ended. */
  release(session: string): void {
    const { node, claims, reporter } = this.#init;
    reporter.background("giving up a session", () => claims.release(session, node));
  }

  /** Ensures that the store knows that this node is alive; rejects if it can't be reached. */
  async ensureAlive(): Promise<void> {
    this.#alive ??= this.#beat();
    try {
      await this.#alive;
    } catch (error) {
      this.#alive = undefined;
      throw error;
    }
  }

  /**
   * Whether a node that is unknown to the store is certainly dead. After an outage, the store may not know
   * nodes that are alive until their next heartbeat.
   */
  get sure(): boolean {
    return this.#init.clock.now() >= this.#sureFrom;
  }

  /** Stops waiting for the replies to forwarded requests; clients of streams reconnect. */
  giveUp(which: (verb: ForwardedRequest["verb"]) => boolean): void {
    this.outgoing.close(this.#init.retryMs, which);
  }

  /** Removes the node from the cluster: nothing is forwarded any more, and its sessions are lost. */
  async close(): Promise<void> {
    const { nodes, node, messenger } = this.#init;
    this.#stop?.();
    this.#stopWatch?.();
    this.giveUp(() => true);
    await this.incoming.close();
    await messenger.flush();
    await nodes.leave(node);
  }

  #arm(): void {
    const { clock, reporter } = this.#init;
    this.#stop = clock.timer(NODE_BEAT_MS, () => {
      this.#arm();
      this.#alive = this.#beat();
      reporter.background("beating", () => this.#alive);
      reporter.background("checking pinned sessions", () => this.#check());
    });
  }

  /** Fails what this node has forwarded to nodes that are lost: their sessions may yet come back. */
  #watch(presence: Pick<Presence, "isLost">): void {
    const { clock, reporter } = this.#init;
    this.#stopWatch = clock.timer(PRESENT_MS, () => {
      this.#watch(presence);
      for (const node of this.outgoing.nodes) {
        reporter.background("checking a node", async () => {
          if (await presence.isLost(node)) this.outgoing.lost(node);
        });
      }
    });
  }

  async #beat(): Promise<void> {
    const { node: id, nodes, clock } = this.#init;
    await nodes.beat({ id }, NODE_TTL_MS);
    const now = clock.now();
    if (now - this.#beatAt > 2 * NODE_BEAT_MS) this.#sureFrom = now + RETURN_MS;
    this.#beatAt = now;
  }

  async #check(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      await this.#checkPeers();
      await this.#renew();
    } finally {
      this.#checking = false;
    }
  }

  /**
   * Detects peers that are dead: unknown to the store, and unreachable or unknown for the second time. A
   * store that was emptied doesn't know nodes that are alive until their next heartbeat.
   */
  async #checkPeers(): Promise<void> {
    const { nodes } = this.#init;
    const missing = new Set<string>();
    for (const node of this.outgoing.nodes.union(this.incoming.nodes)) {
      const present = !this.sure || await nodes.find(node) !== undefined;
      if (!present && this.#missing.has(node)) {
        this.#lost(node);
        continue;
      }
      if (!present) missing.add(node);
      void this.outgoing.check(node).then((reached) => {
        if (!present && !reached) this.#lost(node);
      });
    }
    this.#missing = missing;
  }

  #lost(node: string): void {
    this.#init.reporter.report({ type: "node-lost", node: shortHash(node) });
    this.outgoing.lost(node);
    this.incoming.lost(node);
  }

  async #renew(): Promise<void> {
    const { sessions, clock } = this.#init;
    const due = clock.now() - RENEW_MS;
    const old = [...sessions.live.values()].filter(({ claimed, renewedAt }) =>
      claimed && renewedAt <= due
    );
    while (old.length > 0) {
      await Promise.all(old.splice(0, RENEW_BATCH).map((session) => this.#renewOne(session)));
    }
  }

  /** Renews a claim, or ends the live session if the session has ended elsewhere. */
  async #renewOne(session: LiveSession): Promise<void> {
    const { sessions } = this.#init;
    const present = await sessions.store.peek(session.id) !== undefined;
    if (session.ended) return;
    if (present && await this.#claim(session)) return;
    sessions.endedElsewhere(session.id, "lost");
  }
}
