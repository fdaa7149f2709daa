/**
 * A principal that takes all that it may have, and more, of which the reference knows nothing: nobody else
 * may notice it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { as, Peer } from "../../support/wire.ts";
import type { Client, Run, World } from "./world.ts";

/** What a flooder takes. */
export type Flood = "sessions" | "calls" | "streams";

/** How much it asks for at a time. */
const AT_ONCE = 25;

/** One principal. What it takes is never given back before {@linkcode Flooder.stop}. */
export class Flooder {
  readonly #world: World;
  readonly #clients: Client[] = [];
  readonly #runs: Run[] = [];
  #calls = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Takes as much as there is for it. */
  async flood(what: Flood, node: number): Promise<void> {
    if (what === "sessions" || this.#clients.length === 0) return await this.#begin(node);
    // Its newest sessions are those that can't have been evicted.
    const clients = this.#clients.slice(-AT_ONCE);
    if (what === "calls") {
      for (const client of clients) {
        const key = `flood${++this.#calls}`;
        this.#runs.push(this.#world.call(client, node, this.#calls, "both", key));
      }
    } else {
      for (const client of clients) void this.#world.at(client, node).get().catch(() => {});
    }
    await this.#world.settle();
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    const world = this.#world;
    for (const run of this.#runs) world.finish(run);
    for (const client of this.#clients) {
      const { status } = await world.ask((peer) => peer.delete(), client, 0);
      assert.ok(status === 204 || status === 404);
    }
    await world.settle();
  }

  async #begin(node: number): Promise<void> {
    const fetch = this.#world.nodes[node];
    assert.ok(fetch);
    for (let i = 0; i < AT_ONCE; i++) {
      const peer = new Peer(fetch, { headers: as("mallory") });
      void peer.post(peer.initializeRequest()).then((response) => {
        peer.sessionId = response.headers.get("mcp-session-id") ?? undefined;
        if (peer.sessionId === undefined) return;
        this.#clients.push({ peer, owner: "mallory", server: undefined, questions: new Map() });
      }, () => {});
    }
    await this.#world.settle();
  }
}
