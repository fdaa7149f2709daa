/**
 * Talks to the operators of other nodes: asks for their reports, and asks them to act.
 *
 * @module
 */
import { type OperatorView, randomText, shortHash } from "../../kit.ts";
import type { NodeReport } from "./node_report.ts";
import type { ActSubject } from "../../../mod.ts";
import type { MinuteRow, OperatorResult, RecentCall, RecentQuery, RecentRefusal } from "./types.ts";

/** The longest time to wait for reports, in milliseconds. */
const REPORT_MS = 1_000;
/** The time to wait for reports while no other node is known, in milliseconds. */
const FIRST_MS = 200;
/** The time without an answer after which a node that was asked is lost, in milliseconds. */
const LOST_MS = 3_000;
/** The time for which a lost node is shown, in milliseconds. */
const SHOWN_MS = 600_000;
/** The time to wait for the result of an act, in milliseconds. */
const ACT_MS = 5_000;
/** The maximum number of other nodes, and of acts that wait for a result. */
const MOST_PEERS = 256;
const MOST_ACTS = 100;

/** What one node's operator asks of another's. */
export type PeerAct =
  | { readonly act: "cancel-call"; readonly id: number }
  | {
    readonly act: "cancel-calls";
    readonly principal: string;
    readonly issuer: string;
    readonly clientId?: string | undefined;
  }
  | { readonly act: "drain-node"; readonly on: boolean }
  | { readonly act: "restart-upstream"; readonly upstream: string }
  | { readonly act: "find-recent"; readonly query: RecentQuery };

/** What one node keeps of the last calls. */
export interface NodeRecent {
  readonly calls: readonly RecentCall[];
  readonly refusals: readonly RecentRefusal[];
  readonly minutes: readonly MinuteRow[];
}

/** The result of an act at a node. */
export interface PeerResult extends OperatorResult {
  /** What was ended, for events. */
  readonly subject?: ActSubject;
  /** What was found. */
  readonly recent?: NodeRecent;
}

/** What operators of nodes say to each other. */
type PeerMessage =
  | { readonly kind: "report?" }
  | { readonly kind: "report"; readonly report: NodeReport }
  | { readonly kind: "act"; readonly id: string; readonly act: PeerAct }
  | { readonly kind: "acted"; readonly id: string; readonly result: PeerResult }
  | { readonly kind: "bye" };

/** Another node. */
export interface Peer {
  /** The node's id in the cluster. */
  readonly id: string;
  /** What it reported last. */
  report: NodeReport;
  /** When it did, in milliseconds since the epoch. */
  seenAt: number;
  /** When it was first asked without an answer since; 0 if it has answered. */
  askedAt: number;
}

/** Options for {@linkcode Peers}. */
export interface PeersInit {
  readonly view: Pick<OperatorView, "clock" | "peers">;
  /** Returns the report of this node. */
  readonly report: () => NodeReport;
  /** Does what another node's operator asks for. */
  readonly act: (act: PeerAct) => Promise<PeerResult>;
}

/** The operators of other nodes. */
export class Peers {
  readonly #init: PeersInit;
  readonly #peers = new Map<string, Peer>();
  readonly #acts = new Map<string, (result: PeerResult) => void>();
  #refreshing: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  readonly #unlisten: () => void;

  /** Begins to answer the operators of other nodes. */
  constructor(init: PeersInit) {
    this.#init = init;
    // Only operators of the cluster can send any.
    this.#unlisten = init.view.peers.listen((message, from) =>
      this.#receive(message as unknown as PeerMessage, from)
    );
  }

  /** The other nodes, always in the same order: those of the same name are told apart by it. */
  get all(): readonly Peer[] {
    return [...this.#peers.values()].sort((a, b) => sortKey(a) < sortKey(b) ? -1 : 1);
  }

  /** Tells whether a node has not answered for too long. */
  isLost({ askedAt }: Peer): boolean {
    return askedAt !== 0 && this.#now - askedAt >= LOST_MS;
  }

  /**
   * Asks all other nodes for their reports, and waits until those that are not lost have answered.
   * Calls meanwhile wait for the same answers.
   */
  refresh(): Promise<void> {
    return this.#refreshing ??= this.#refresh().finally(() => this.#refreshing = undefined);
  }

  async #refresh(): Promise<void> {
    const { clock, peers } = this.#init.view;
    if (!peers.shared) return;
    const now = this.#now;
    const expected = [...this.#peers.values()].filter((peer) => !this.isLost(peer));
    for (const peer of this.#peers.values()) {
      if (peer.askedAt === 0) peer.askedAt = now;
      if (this.isLost(peer) && now - peer.seenAt >= SHOWN_MS) this.#peers.delete(peer.id);
    }
    await this.#publish({ kind: "report?" });
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = clock.timer(expected.length === 0 ? FIRST_MS : REPORT_MS, resolve);
    this.#wake = () => {
      const waiting = expected.some(({ id }) => (this.#peers.get(id)?.askedAt ?? 0) !== 0);
      if (expected.length > 0 && !waiting) resolve();
    };
    this.#wake();
    await promise;
    stop();
    this.#wake = undefined;
  }

  /** Asks another node to act, and waits for the result. */
  async act(peer: Peer, act: PeerAct): Promise<PeerResult> {
    if (this.#acts.size >= MOST_ACTS) return failed("Too many acts wait for a result: try again");
    const id = randomText(12);
    const { promise, resolve } = Promise.withResolvers<PeerResult>();
    this.#acts.set(id, resolve);
    const { node } = peer.report;
    const stop = this.#init.view.clock.timer(
      ACT_MS,
      () => resolve(failed(`The node ${node} doesn't answer`)),
    );
    try {
      if (!await this.#send(peer.id, { kind: "act", id, act })) {
        return failed(`The node ${node} has left`);
      }
      return await promise;
    } finally {
      stop();
      this.#acts.delete(id);
    }
  }

  /** Tells the other nodes that this one is no longer operated, and stops answering. */
  async close(): Promise<void> {
    this.#unlisten();
    await this.#publish({ kind: "bye" });
  }

  async #receive(message: PeerMessage, from: string): Promise<void> {
    switch (message.kind) {
      case "report?":
        return void await this.#send(from, { kind: "report", report: this.#init.report() });
      case "report":
        return this.#noteReport(message.report, from);
      case "act": {
        const { id, act } = message;
        return void await this.#send(from, {
          kind: "acted",
          id,
          result: await this.#init.act(act),
        });
      }
      case "acted":
        return this.#acts.get(message.id)?.(message.result);
      case "bye":
        this.#peers.delete(from);
        this.#wake?.();
    }
  }

  #noteReport(report: NodeReport, id: string): void {
    // A node of another version may write reports in another form.
    if (report.v !== 2 || typeof report.node !== "string") return;
    if (!this.#peers.has(id) && this.#peers.size >= MOST_PEERS) return;
    this.#peers.set(id, { id, report, seenAt: this.#now, askedAt: 0 });
    this.#wake?.();
  }

  #publish(message: PeerMessage): Promise<void> {
    return this.#init.view.peers.publish(message);
  }

  #send(to: string, message: PeerMessage): Promise<boolean> {
    return this.#init.view.peers.send(to, message);
  }

  get #now(): number {
    return this.#init.view.clock.now();
  }
}

function sortKey({ id, report }: Peer): string {
  return `${report.node} ${id}`;
}

/** Returns the name of a node, which is unique if another has the same. */
export function uniqueName(name: string, id: string, taken: ReadonlySet<string>): string {
  return taken.has(name) ? `${name} ${shortHash(id)}` : name;
}

/** Returns the result of an act that failed. */
export function failed(message: string): OperatorResult {
  return { ok: false, count: 0, message };
}
