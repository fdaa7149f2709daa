/**
 * Owns a node's part in a cluster: its messages, its shared documents, its pinned sessions, and whether
 * the endpoint drains.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { randomText } from "../internal/random.ts";
import type { SharedDocumentHandle } from "../protocol/exchange.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { BusMessage, NodeMessage } from "./messages.ts";
import { NodeMessenger } from "./messenger.ts";
import type { PinnedSessions } from "./pinned_sessions.ts";
import { SharedDocuments } from "./shared_documents.ts";
import type { Backplane } from "./types.ts";

/** The document that says whether the endpoint drains. */
const DRAIN = "mooring/drain";

/** What a cluster needs. */
export interface ClusterInit {
  readonly backplane: Pick<Backplane, "bus" | "documents">;
  /** Whether other handlers may have the store. */
  readonly shared: boolean;
  /** Whether other processes may have the store: documents are polled. */
  readonly polled: boolean;
  /** Secrets that nodes authenticate each other by, where other processes may have the store. */
  readonly keys: readonly (string | Uint8Array)[] | undefined;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Called with each message of another node. */
  readonly onMessage: (message: NodeMessage, from: string) => void;
}

/** One node's part in the cluster. */
export class Cluster {
  /** The node's id among the handlers that share its store. */
  readonly node = randomText(16);
  readonly messenger: NodeMessenger;
  readonly documents: SharedDocuments;
  /** This node's part in serving pinned sessions, where sessions are pinned. */
  pinned: PinnedSessions | undefined;
  /** Whether new sessions are refused, on every node. */
  draining = false;
  readonly #init: ClusterInit;
  readonly #drain: SharedDocumentHandle;

  /** Joins the cluster. */
  constructor(init: ClusterInit) {
    const { backplane: { bus, documents }, polled, keys, clock, reporter, onMessage } = init;
    this.#init = init;
    const { report } = reporter;
    this.messenger = new NodeMessenger({ bus, node: this.node, clock, keys, onMessage, report });
    const announce = (name: string) => this.publish({ kind: "document", name });
    this.documents = new SharedDocuments({ documents, clock, reporter, shared: polled, announce });
    this.#drain = this.documents.share(DRAIN, ({ draining }) => {
      this.draining = draining === true;
    });
  }

  /** Sends a message to all other nodes, if there can be any. */
  publish(message: BusMessage): void {
    if (!this.#init.shared) return;
    const { reporter } = this.#init;
    reporter.background("publishing to the other nodes", () => this.messenger.publish(message));
  }

  /**
   * Makes every node refuse new sessions, also nodes that join later, or admit them again.
   *
   * @throws {TypeError} If `draining` is no boolean
   */
  async drain(draining: boolean): Promise<void> {
    if (typeof draining !== "boolean") {
      throw new TypeError(`Give true or false to drain: ${typeof draining}`);
    }
    await this.#drain.put({ draining });
  }

  /** Leaves the cluster. */
  dispose(): void {
    this.documents.close();
    this.#init.reporter.background("leaving the other nodes", () => this.messenger.leave());
  }
}
