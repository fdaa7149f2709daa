/**
 * Pinned sessions: each is served by the node that holds its live state alone, which says again and
 * again that it lives. Whatever else gets a request for one hands it on.
 *
 * @module
 */
import { shortHash } from "../internal/random.ts";
import { HttpCalls } from "../cluster/http_calls.ts";
import { Incoming } from "../cluster/incoming.ts";
import type { ForwardedRequest, ForwardMessage } from "../cluster/messages.ts";
import { Outgoing } from "../cluster/outgoing.ts";
import { CLAIM_TTL_MS, NODE_BEAT_MS, NODE_TTL_MS, type NodeFacts } from "../cluster/types.ts";
import { endedElsewhere } from "./end_session.ts";
import type { Endpoint } from "./endpoint.ts";
import type { LiveSession } from "./live_session.ts";

/** How old a claim may become before it is renewed, in milliseconds. */
const RENEW_MS = CLAIM_TTL_MS / 3;
/** For how long a node that the store doesn't know may yet live, after nobody could say so, in milliseconds. */
const RETURN_MS = NODE_BEAT_MS * 1.5;
/** How many claims are renewed at a time. */
const AT_ONCE = 100;
/** How long a closing node waits until its answers have been sent, in milliseconds. */
const LAST_WORDS_MS = 250;

/** One handler's part in serving pinned sessions. */
export class Pins {
  /** Requests that were handed on. */
  readonly outgoing: Outgoing;
  /** Requests that were handed on over HTTP. */
  readonly http: HttpCalls;
  /** Requests that others handed on to this node. */
  readonly incoming: Incoming;
  /** Answers a request that another node has handed on. It never rejects. */
  readonly answer: (request: ForwardedRequest) => Promise<Response>;
  /** Requests that have been handed on once: they are never handed on again. */
  readonly received = new WeakSet<Request>();
  readonly #endpoint: Endpoint;
  readonly #facts: NodeFacts;
  #alive: Promise<void> | undefined;
  #beatAt: number;
  #sureFrom = 0;
  #stop: (() => void) | undefined;
  #busy = false;

  /** @param answer Answers a request that another node has handed on. It must not reject */
  constructor(endpoint: Endpoint, answer: (request: ForwardedRequest) => Promise<Response>) {
    const { node: id, post, settings: { clock, url, nodeFetch } } = endpoint;
    this.answer = answer;
    this.http = new HttpCalls(nodeFetch);
    this.#endpoint = endpoint;
    this.#facts = url === undefined ? { id } : { id, url };
    this.#beatAt = clock.now();
    this.outgoing = new Outgoing(post, clock);
    this.incoming = new Incoming(post, answer);
    this.#arm();
  }

  /** Takes what another node says of a request that is handed on. */
  hear(message: ForwardMessage, from: string): void {
    this.incoming.hear(message, from);
    this.outgoing.hear(message, from);
  }

  /**
   * Claims a new session for this node, which must be known to live by then.
   *
   * @returns `false` when another node has it
   */
  async claim(session: LiveSession): Promise<boolean> {
    // Said anew for each, since the store may have lost what it was told before.
    this.#alive = this.#beat();
    await this.live();
    return await this.#claim(session);
  }

  async #claim(session: LiveSession): Promise<boolean> {
    const { node, backplane, settings: { clock } } = this.#endpoint;
    const now = clock.now();
    if (await backplane.claims.claim(session.id, node, CLAIM_TTL_MS) !== node) return false;
    session.claimed = true;
    session.renewedAt = now;
    return true;
  }

  /** Gives up the claim to a session that is over. */
  release(session: string): void {
    const { node, backplane } = this.#endpoint;
    this.#endpoint.background(
      "giving up a session",
      () => backplane.claims.release(session, node),
    );
  }

  /** Makes sure that the others know that this node lives, or rejects. */
  async live(): Promise<void> {
    this.#alive ??= this.#beat();
    try {
      await this.#alive;
    } catch (error) {
      this.#alive = undefined;
      throw error;
    }
  }

  /**
   * Whether a node that the store doesn't know is dead. Where the store was away, it may have forgotten
   * nodes that live and have yet to say so again.
   */
  get sure(): boolean {
    return this.#endpoint.settings.clock.now() >= this.#sureFrom;
  }

  /** Waits no longer for requests that were handed on; their clients come back, to another node. */
  giveUp(which: (verb: ForwardedRequest["verb"]) => boolean): void {
    const { retryMs } = this.#endpoint.settings.streams;
    this.outgoing.close(retryMs, which);
    this.http.close(retryMs, which);
  }

  /** The node is no more: nothing is handed on, and what it holds is gone. */
  async close(): Promise<void> {
    const { backplane, node } = this.#endpoint;
    this.#stop?.();
    this.giveUp(() => true);
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const stop = this.#endpoint.settings.clock.timer(LAST_WORDS_MS, resolve);
    await Promise.race([this.incoming.settled(), late]);
    stop();
    await this.incoming.close();
    await this.#endpoint.post.drain();
    await backplane.nodes.leave(node);
  }

  #arm(): void {
    const { clock } = this.#endpoint.settings;
    this.#stop = clock.timer(NODE_BEAT_MS, () => {
      this.#arm();
      this.#alive = this.#beat();
      this.#endpoint.background("saying that the node lives", () => this.#alive);
      this.#endpoint.background("looking after pinned sessions", () => this.#look());
    });
  }

  async #beat(): Promise<void> {
    const { backplane: { nodes }, settings: { clock } } = this.#endpoint;
    await nodes.beat(this.#facts, NODE_TTL_MS);
    const now = clock.now();
    if (now - this.#beatAt > 2 * NODE_BEAT_MS) this.#sureFrom = now + RETURN_MS;
    this.#beatAt = now;
  }

  async #look(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await this.#checkPeers();
      await this.#renew();
    } finally {
      this.#busy = false;
    }
  }

  async #checkPeers(): Promise<void> {
    const { nodes } = this.#endpoint.backplane;
    const peers = [this.outgoing, this.incoming, this.http].flatMap((calls) => [...calls.nodes]);
    for (const node of new Set(peers)) {
      if (this.sure && await nodes.find(node) === undefined) {
        this.#endpoint.report({ type: "node-lost", node: shortHash(node) });
        this.outgoing.lost(node);
        this.incoming.lost(node);
        this.http.lost(node);
      } else this.outgoing.check(node);
    }
  }

  async #renew(): Promise<void> {
    const { live, settings: { clock } } = this.#endpoint;
    const due = clock.now() - RENEW_MS;
    const old = [...live.values()].filter(({ claimed, renewedAt }) => claimed && renewedAt <= due);
    while (old.length > 0) {
      await Promise.all(old.splice(0, AT_ONCE).map((session) => this.#renewOne(session)));
    }
  }

  /** Renews a claim, unless the session has ended without this node being told. */
  async #renewOne(session: LiveSession): Promise<void> {
    const { sessions } = this.#endpoint.backplane;
    const there = await sessions.peek(session.id) !== undefined;
    if (session.ended) return;
    if (there && await this.#claim(session)) return;
    endedElsewhere(this.#endpoint, session.id, "lost");
  }
}
