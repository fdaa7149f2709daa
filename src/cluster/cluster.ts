/**
 * Owns what a node needs in a cluster: messages, shared documents, pinned sessions, and whether the
 * cluster drains.
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

/** The name of the document that says whether the cluster drains: refuses new sessions. */
const DRAIN = "mooring/drain";

/** Options for {@linkcode Cluster}. */
export interface ClusterInit {
  readonly backplane: Pick<Backplane, "bus" | "documents">;
  /** Whether other handlers may use the store. */
  readonly shared: boolean;
  /** Whether other processes may use the store: documents are polled. */
  readonly polled: boolean;
  /** Secrets that sign messages between nodes, if other processes may use the store. */
  readonly keys: readonly (string | Uint8Array)[] | undefined;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Called with each message from another node. */
  readonly onMessage: (message: NodeMessage, from: string) => void;
}

/** A node of a cluster. */
export class Cluster {
  /** The node's id among the handlers that share its store. */
  readonly node = randomText(16);
  readonly messenger: NodeMessenger;
  readonly documents: SharedDocuments;
  /** The pinned sessions, if sessions are pinned. */
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

  /** Publishes a message to all other nodes, if there may be any. */
  publish(message: BusMessage): void {
    if (!this.#init.shared) return;
    const { reporter } = this.#init;
    reporter.background("publishing to the other nodes", () => this.messenger.publish(message));
  }

  /**
   * Makes every node refuse new sessions, also nodes that join later, or accept them again.
   *
   * @throws {TypeError} If `draining` is not a boolean
   */
  async drain(draining: boolean): Promise<void> {
    if (typeof draining !== "boolean") {
      throw new TypeError(`Give a boolean as "draining": ${typeof draining}`);
    }
    await this.#drain.put({ draining });
  }

  /** Leaves the cluster. */
  dispose(): void {
    this.documents.close();
    this.#init.reporter.background("leaving the other nodes", () => this.messenger.leave());
  }
}
