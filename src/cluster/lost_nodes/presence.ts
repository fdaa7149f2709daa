/**
 * Keeps a sign of life of this node in the store, and finds out which other nodes are lost: dead, or without
 * the store for so long that nobody waits for their calls any more.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import { randomText } from "../../internal/random.ts";
import type { Reporter } from "../../protocol/reporter.ts";
import type { PresenceMessage } from "../messages/messages.ts";
import type { NodeMessenger } from "../messages/messenger.ts";
import { PresenceProof } from "./presence_proof.ts";
import { type Nodes, PRESENT_MS, SILENT_MS } from "../types.ts";

/** The time within which a silent node must answer a `ping`, in milliseconds. */
const PONG_MS = 1_500;

/** Options for {@linkcode Presence}. */
export interface PresenceInit {
  /** This node's id. */
  readonly node: string;
  readonly nodes: Nodes;
  readonly messenger: NodeMessenger;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Secrets that prove who has written a sign of life. */
  readonly keys: readonly (string | Uint8Array)[];
}

/** A check of a node that several wait for. */
interface SignOfLifeCheck {
  readonly id: string;
  readonly lost: Promise<boolean>;
  readonly answered: () => void;
}

/** The presence of this node, and of those that it asks about. */
export class Presence {
  readonly #init: PresenceInit;
  readonly #proof: PresenceProof;
  /** The checks under way, at most one for each node. */
  readonly #checks = new Map<string, SignOfLifeCheck>();
  /** When this node last reached the store; `undefined` before the first time. */
  #reachedAt: number | undefined;
  #sureFrom = 0;
  #stop: (() => void) | undefined;
  #closed = false;

  /** Begins to write signs of life. */
  constructor(init: PresenceInit) {
    this.#init = init;
    this.#proof = new PresenceProof(init.keys, init.clock);
    this.#next();
  }

  /**
   * Whether silence says anything about other nodes: not unless this node has reached the store all the
   * time. After an outage of the store, all nodes get their time to come back.
   */
  get sure(): boolean {
    const now = this.#init.clock.now();
    return this.#reachedAt !== undefined && now - this.#reachedAt <= 2 * PRESENT_MS &&
      now >= this.#sureFrom;
  }

  /**
   * Tells whether a node is lost: the store has no sign of life of it that it has proved, and it doesn't
   * answer. Says `false` if this node can't be sure.
   */
  isLost(node: string): Promise<boolean> {
    return (this.#checks.get(node) ?? this.#begin(node)).lost;
  }

  /** Handles a message of another node. */
  onMessage({ kind, id }: PresenceMessage, from: string): void {
    const { messenger, reporter } = this.#init;
    if (kind === "ping") {
      return void reporter.background("answering a node", async () => {
        await messenger.send(from, { kind: "pong", id });
      });
    }
    const check = this.#checks.get(from);
    if (check?.id === id) check.answered();
  }

  /** Removes the sign of life: this node runs nothing any more. */
  async close(): Promise<void> {
    const { nodes, node } = this.#init;
    this.#closed = true;
    this.#stop?.();
    await nodes.leave(presenceOf(node));
  }

  #next(): void {
    const { clock, reporter } = this.#init;
    reporter.background("writing a sign of life", () => this.#write());
    this.#stop = clock.timer(PRESENT_MS, () => this.#next());
  }

  async #write(): Promise<void> {
    const { node, nodes, clock } = this.#init;
    const id = presenceOf(node);
    const proof = await this.#proof.write(id);
    if (this.#closed) return;
    await nodes.beat({ id, proof }, SILENT_MS);
    const now = clock.now();
    const gap = this.#reachedAt === undefined ? 0 : now - this.#reachedAt;
    if (gap > 2 * PRESENT_MS) this.#sureFrom = now + SILENT_MS;
    this.#reachedAt = now;
  }

  #begin(node: string): SignOfLifeCheck {
    const { promise: answer, resolve } = Promise.withResolvers<void>();
    const id = randomText(16);
    const check = { id, lost: this.#check(node, id, answer), answered: resolve };
    this.#checks.set(node, check);
    const done = () => void this.#checks.delete(node);
    check.lost.then(done, done);
    return check;
  }

  async #check(node: string, id: string, answer: Promise<void>): Promise<boolean> {
    const { nodes, messenger, clock } = this.#init;
    if (!this.sure) return false;
    const presence = presenceOf(node);
    const found = await nodes.find(presence);
    if (found !== undefined && await this.#proof.check(presence, found.proof)) return false;
    if (!await messenger.send(node, { kind: "ping", id })) return this.sure;
    const late = Promise.withResolvers<void>();
    const stop = clock.timer(PONG_MS, late.resolve);
    const lost = await Promise.race([answer.then(() => false), late.promise.then(() => true)]);
    stop();
    return lost && this.sure;
  }
}

/** Names a node's sign of life: apart from its heartbeats for pinned sessions, which last longer. */
export function presenceOf(node: string): string {
  return `${node} present`;
}
