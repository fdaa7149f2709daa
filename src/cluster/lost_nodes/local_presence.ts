/**
 * Tells the handlers of this process from those of earlier ones, where only one process uses the store at a
 * time.
 *
 * @module
 */
import type { Nodes } from "../types.ts";
import { presenceOf } from "./presence.ts";

/** The time for which a handler of this process is known, in milliseconds: until it leaves. */
const FOREVER_MS = Number.MAX_SAFE_INTEGER / 2;

/** The presence of a handler among those of its process. */
export class LocalPresence {
  readonly #nodes: Nodes;
  readonly #node: string;

  /**
   * Makes the handler known to the others.
   *
   * @param nodes The registry, which is empty when the process begins
   * @param node The handler's id
   */
  constructor(nodes: Nodes, node: string) {
    this.#nodes = nodes;
    this.#node = node;
    void nodes.beat({ id: presenceOf(node) }, FOREVER_MS);
  }

  /** Tells whether a node is of an earlier process, or was closed. */
  async isLost(node: string): Promise<boolean> {
    return await this.#nodes.find(presenceOf(node)) === undefined;
  }

  /** Makes the handler unknown: it runs nothing any more. */
  async close(): Promise<void> {
    await this.#nodes.leave(presenceOf(this.#node));
  }
}
