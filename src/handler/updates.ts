/**
 * Tells subscribed sessions that a resource changed: a burst of changes as one.
 *
 * @module
 */
import type { Delay } from "../internal/delay_line.ts";
import type { Endpoint } from "./endpoint.ts";
import { tellListeners } from "./listen.ts";
import { pushToAll } from "./server_stream.ts";

/** Resource updates that wait for the end of their burst. */
export class Updates {
  readonly #endpoint: Endpoint;
  readonly #waiting = new Map<string, Delay>();

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /**
   * Notes a change. The first of a burst decides when it is told, so that a resource that changes all
   * the time is told all the time.
   */
  add(uri: string): void {
    if (this.#waiting.has(uri) || this.#endpoint.closed) return;
    this.#waiting.set(uri, this.#endpoint.lines.updates.add(() => this.#tell(uri)));
  }

  #tell(uri: string): void {
    this.#waiting.delete(uri);
    const endpoint = this.#endpoint;
    const notification = { method: "notifications/resources/updated", params: { uri } };
    tellListeners(endpoint, notification);
    endpoint.publish({ kind: "broadcast", notification });
    endpoint.background("telling of a changed resource", async () => {
      await pushToAll(endpoint, endpoint.backplane.sessions.subscribers(uri), notification);
    });
  }
}
